"""Ranges of tensors that the quantizer gives the scale of what is made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.quantize.int8.tensor_ranges import Range

# Their inputs get the scale of their output, which drops what the op would drop in any case.
_CHOICES = frozenset({"MAXIMUM", "MINIMUM", "SELECT", "SELECT_V2"})


def spare_other_readers(model: schema.ModelT, ranges: Mapping[int, Range]) -> dict[int, Range]:
    """Widen what a choice between tensors gives to what it is given, where others read that, too.

    Given:  y = MINIMUM(x, 0), and RELU(x); `TFLiteConverter` quantizes x with the scale of y,
            in which nothing above 0 can be stored
    Result: y has the range of x: all that it holds are numbers of x, and no step of those is lost

    Args:
        model: The float file.
        ranges: What each activation tensor is to hold, by its number.

    Returns:
        All ranges.
    """
    nodes = list_nodes(model)
    readers = Counter(operand.index for node in nodes for operand in node.given())
    readers.update(indices(model.subgraphs[0].outputs))
    wide = dict(ranges)
    spared = {number for number, count in readers.items() if count > 1}
    for node in nodes:
        if node.op not in _CHOICES:
            continue
        sources = [o.index for o in node.given() if o.index in spared and o.index in wide]
        for target in (output.index for output in node.outputs if output.index in wide):
            for source in sources:
                wide[target] = wide[target].joined(wide[source])
            if sources:  # of a clamp in two ops the second would pass its scale on
                spared.add(target)
    return wide

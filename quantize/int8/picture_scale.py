"""The scales of inputs, where a concatenation would give them that of what is beside them."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.rewrites.flatbuffer.place import redirect
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.quantize.int8.moves import ONE_SCALE

_JOIN = "CONCATENATION"
_TIED = ONE_SCALE | {"AVERAGE_POOL_2D"}
# `TFLiteConverter` takes it between any two scales, and never writes QUANTIZE where it is needed.
_STAND_IN = Op("HARD_SWISH", 1)


def put_rescalings(model: schema.ModelT) -> frozenset[str]:
    """Put a HARD_SWISH between an input and a concatenation with other tensors.

    Given:  CONV_2D(x), and CONCATENATION(x, features of 0 to 20), x being a picture of 0 to 1;
            the quantizer ties both inputs and the output to one scale, and so leaves x 12 steps
    Result: the features of the concatenation are tied, and x has its 255

    Args:
        model: A float file with its ranges; changed in place.

    Returns:
        Names of what was put in, for `take_rescalings`.
    """
    tied = {number: number for number in indices(model.subgraphs[0].inputs)}
    joined: list[tuple[Node, list[int]]] = []
    for node in list_nodes(model):
        sources = [operand.index for operand in node.given() if not operand.constant]
        own = [source for source in sources if source in tied]
        if node.op not in _TIED or not own:
            continue
        origins = {tied[source] for source in own}
        lone = len(own) == len(sources) and len(origins) == 1
        # What only moves an input has its scale.
        apart = [source for source in own if not _alike(model, node, tied[source])]
        if apart and node.op == _JOIN and not lone:
            joined.append((node, apart))
            # The others still have the scale of what is joined.
            origins = {tied[source] for source in own if source not in apart}
        if origins:
            tied |= dict.fromkeys((output.index for output in node.outputs), min(origins))
    # From the end: what is put in moves what is behind.
    return frozenset(name for node, own in reversed(joined) for name in _put(model, node, own))


def _alike(model: schema.ModelT, node: Node, source: int) -> bool:
    """Tell whether what a concatenation gives has the range of an input."""
    return _range(model, source) == _range(model, node.outputs[0].index)


def _range(model: schema.ModelT, number: int) -> tuple[float, float] | None:
    found = model.subgraphs[0].tensors[number].quantization
    if found is None or found.min is None or not len(found.min):
        return None
    return float(found.min[0]), float(found.max[0])


def _put(model: schema.ModelT, node: Node, own: Sequence[int]) -> list[str]:
    tensors = model.subgraphs[0].tensors
    built, names, sources = Replacement(model, node), [], []
    for operand in node.given():
        source = operand.index
        if source in own:
            rescaled = built.float_tensor(operand.shape)
            tensors[rescaled].quantization = copy.copy(tensors[node.outputs[0].index].quantization)
            names.append(tensors[rescaled].name.decode())
            built.op(_STAND_IN, [source], rescaled)
            source = rescaled
        sources.append(source)
    built.op(Op(node.op, node.version, node.options), sources)
    built.finish()
    return names


def take_rescalings(model: schema.ModelT, names: frozenset[str]) -> None:
    """Make QUANTIZE of what `put_rescalings` put in.

    Args:
        model: The file as it was quantized; changed in place.
    """
    for node in list_nodes(model):
        if node.op != _STAND_IN.name or node.tensor not in names:
            continue
        (source,), (result,) = node.given(), node.outputs
        if source.dtype != "int8" or result.dtype != "int8":
            redirect(model, result.index, source.index)  # its readers stayed in float
            continue
        built = Replacement(model, node)
        built.op(QUANTIZE, [source.index])
        built.finish()
    drop_unused(model)

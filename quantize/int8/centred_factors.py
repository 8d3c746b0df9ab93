"""The second factor of a product of two computed matrices: XNNPACK has it with zero point 0."""

from __future__ import annotations

from dataclasses import replace

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.quantize.int8.moves import MOVES
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Range

# Their parts have the scale of what is parted.
_PARTS = frozenset({"SPLIT", "SPLIT_V", "UNPACK"})


def with_centred_factors(network: RangedNetwork) -> RangedNetwork:
    """Quantize what stands second in a BATCH_MATMUL, and what it is moved from, about 0.

    Given:  k (−2 to 3) → TRANSPOSE → BATCH_MATMUL(q, k)    # attention
    Result: k (−3 to 3) → TRANSPOSE → BATCH_MATMUL(q, k)

    Its steps grow to twice as large at most. Other zero points leave the op outside of XNNPACK.
    """
    nodes = list_nodes(read_model(network.data))
    moved_from = {
        output.index: [o.index for o in node.given() if o.index in network.ranges]
        for node in nodes
        if node.op in MOVES | _PARTS
        for output in node.outputs
    }
    pending = [node.given()[1].index for node in nodes if node.op == "BATCH_MATMUL"]
    centred: dict[int, Range] = {}
    while pending:
        number = pending.pop()
        if number in network.ranges and number not in centred:
            centred[number] = _centred(network.ranges[number])
            pending += moved_from.get(number, [])
    return replace(network, ranges={**network.ranges, **centred}) if centred else network


def _centred(found: Range) -> Range:
    """Widen a range to one whose zero point is 0: of 256 steps 128 lie below it, 127 above."""
    step = max(-found.low / 128, found.high / 127)
    return Range(-128 * step, 127 * step)

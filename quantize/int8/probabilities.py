"""Probabilities keep the scale 1/256 that LOGISTIC and SOFTMAX give them."""

from __future__ import annotations

from dataclasses import replace

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.quantize.int8.moves import MOVES
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Range

_WHOLE = Range(0.0, 255 / 256)  # in 8 bits: a step of 1/256, from 0 on
_SOURCES = frozenset({"LOGISTIC", "SOFTMAX"})


def with_probabilities(network: RangedNetwork) -> RangedNetwork:
    """Quantize every probability, and what only moves it, over all that it may be.

    Given:  LOGISTIC → (1/256) → DEPTH_TO_SPACE → (what calibration saw: up to 0.5, say)
    Result: LOGISTIC → (1/256) → DEPTH_TO_SPACE → (1/256)

    Calibration pictures may hold no sure pixel; a mask over their range would saturate on others.
    """
    held: set[int] = set()
    for node in list_nodes(read_model(network.data)):
        moved = [operand.index for operand in node.given() if operand.index in network.ranges]
        if node.op in _SOURCES or (node.op in MOVES and moved and held.issuperset(moved)):
            held.add(node.outputs[0].index)
    return replace(network, ranges={**network.ranges, **dict.fromkeys(held, _WHOLE)})

"""Divisions by what the network computes, which int8 stops at."""

from __future__ import annotations

from dataclasses import replace

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork


def with_float_divisions(network: RangedNetwork) -> RangedNetwork:
    """Leave a DIV by a computed tensor in float.

    Given:  y = DIV(a, b)    # b: the sum of an attention's weights, above 0 and mostly small
    Result: the same, between DEQUANTIZE and QUANTIZE

    The built-in int8 kernel ends the inference where b is nearer to 0 than half a step, and takes
    seventeen times as long (`convert/costs/arm64.json`).
    """
    divisions = {
        node.tensor
        for node in list_nodes(read_model(network.data))
        if node.op == "DIV" and not node.given()[1].constant
    }
    return replace(network, in_float=network.in_float | divisions)

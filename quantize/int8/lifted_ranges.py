"""Ranges that are too small for int8 beside what they are computed from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.xnnpack_ops import BIAS, DATA_INPUTS, FILTER, WEIGHTED
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand, list_nodes
from portrait_tflite.quantize.int8.moves import ONE_SCALE
from portrait_tflite.quantize.int8.tensor_ranges import Range

_PRODUCTS = frozenset({"MUL", "BATCH_MATMUL"})
# What they give has a step of theirs: sums, clamps (XNNPACK's QUANTIZE), what bends at zero.
_SAME_UNIT = frozenset(
    {"ADD", "SUB", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "LEAKY_RELU", "HARD_SWISH"}
)
# Half of XNNPACK's least limit: QUANTIZE scales by up to 2^7; ADD, MUL and sums of products by less
# than 2^8 (`xnnpack_scales`, `deadly_ops`).
_MOST_STEPS = 2.0**6
_STEPS = 2.0**4  # what such a unit then has: enough, and what is joined with it gets little coarser
# `TFLiteConverter` widens what is narrower than a millionth by that to either side.
_NARROWEST = 2e-6
# It makes weights coarser until the bias, in steps of picture × weights, is no larger.
_LARGEST_BIAS = 2.0**30


def lift_ranges(model: schema.ModelT, ranges: Mapping[int, Range]) -> dict[int, Range]:
    """Widen ranges of which one unit of what the op computes with would be 64 steps or more.

    Given:  a convolution with ReLU that gives zeros on all calibration pictures; its range is
            [0, 0], and XNNPACK would have to scale sums of products by 256 or more
    Result: [0, 16 units], a unit being the step of the picture × the largest step of the weights

    Nothing is lost: sums of products are whole units, and each unit still has 16 steps. What the
    range held before it still holds: less than 4 units.

    Args:
        model: The float file.
        ranges: What each activation tensor is to hold, by its number.

    Returns:
        All ranges; what only moves a wider one is as wide.
    """
    lifted = dict(ranges)
    for node in list_nodes(model):
        targets = [output.index for output in node.outputs if output.index in lifted]
        if node.op in ONE_SCALE:
            wider = [n for n in _known(node, lifted) if lifted[n] != ranges[n]]
            for target, source in ((t, s) for t in targets for s in wider):
                lifted[target] = lifted[target].joined(lifted[source])
        elif targets:
            lifted[targets[0]] = _lifted(lifted[targets[0]], 255 * _unit(node, lifted))
    return lifted


def _known(node: Node, ranges: Mapping[int, Range]) -> list[int]:
    return [operand.index for operand in node.given() if operand.index in ranges]


def _unit(node: Node, ranges: Mapping[int, Range]) -> float:
    """Return the least that two results of an op's integers differ by; 0.0 where no limit is."""
    if node.op in WEIGHTED:
        (source,) = DATA_INPUTS.get(node.op, (0,))
        unit = _step(node.inputs[source], ranges) * _step(node.inputs[FILTER[node.op]], ranges)
        place = BIAS[node.op]
        bias = node.inputs[place] if place < len(node.inputs) else None
        return max(unit, _largest(bias) / _LARGEST_BIAS)
    steps = [_step(operand, ranges) for operand in node.given()[:2]]
    if node.op in _PRODUCTS:
        return steps[0] * steps[1]
    return max(steps) if node.op in _SAME_UNIT else 0.0


def _step(operand: Operand | None, ranges: Mapping[int, Range]) -> float:
    if operand is not None and operand.index in ranges:
        return max(_width(ranges[operand.index]), _NARROWEST) / 255
    return _largest(operand) / 127


def _largest(operand: Operand | None) -> float:
    """Return the largest magnitude of a float constant; 0.0 for anything else."""
    if operand is None or operand.data is None or operand.dtype != "float32":
        return 0.0
    return float(np.abs(operand.data.view(np.float32)).max(initial=0.0))


def _width(limits: Range) -> float:
    """Return how much a range spans with zero, which int8 always has a step for."""
    return max(limits.high, 0.0) - min(limits.low, 0.0)


def _lifted(limits: Range, units: float) -> Range:
    """Stretch a range about zero where it is too small; upwards where it is zero alone.

    Args:
        units: 255 units, which a range with a step for each would span.
    """
    before, after = _width(limits), units / _STEPS
    if _MOST_STEPS * before >= units:
        return limits
    if not before:
        return Range(0.0, after)
    return Range(min(limits.low, 0.0) * after / before, max(limits.high, 0.0) * after / before)

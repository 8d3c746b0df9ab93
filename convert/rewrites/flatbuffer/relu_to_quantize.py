"""Stand-alone RELU and its kin in int8 → QUANTIZE: the same bytes, and XNNPACK takes it."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import (
    LIMITS,
    clamping_zero_points,
    quantize_refusal,
    quantize_through,
)
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)

# The real bounds of each clamp.
_BOUNDS = {
    "RELU": (0.0, np.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}


class ReluToQuantize(FlatbufferRewrite):
    """Turn a clamp into the requantizations whose saturation it is.

    Given:
        x: int8, any scale and zero point
        y = RELU(x)        # or RELU6, RELU_N1_TO_1, RELU_0_TO_1; y: int8, any zero point

    Result:
        y = QUANTIZE(x)    # where y's zero point puts the bounds at int8's ends
        y = QUANTIZE(QUANTIZE(x))    # else: the first to a zero point that cuts below, or above

    A bound on each side that neither y nor one zero point can hold takes three in a row. All are
    of y's scale, so that only the first one rounds: to the same byte, but for a tie of two scales
    whose ratio the kernels hold in different precisions.
    """

    name = "relu_to_quantize"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a stand-alone integer clamp."""
        if node.op not in _BOUNDS:
            return None
        source, target = node.inputs[0], node.outputs[0]
        # A float RELU is delegated as it is.
        if source is None or source.dtype not in LIMITS or source.dtype != target.dtype:
            return None
        # Without scales there is nothing to requantize.
        if not source.scale or not target.scale:
            return RefusedOp(node.tensor, "its int8 tensors have no scale")
        # Outside these ratios XNNPACK refuses the QUANTIZE too, and nothing is gained.
        if refusal := quantize_refusal(source, target):
            return RefusedOp(node.tensor, refusal)
        # With 0 between the bounds there always are some.
        zero_points = clamping_zero_points(target, *_integer_bounds(node, target))
        # The kernels compute the ratio of the scales in different precisions: ties may differ.
        return Match("saturation cuts where the clamp does", zero_points, exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put one QUANTIZE per zero point."""
        built = Replacement(model, node)
        quantize_through(built, node.given()[0].index, node.outputs[0], match.details)
        built.finish()


def _integer_bounds(node: Node, target: Operand) -> tuple[int, int]:
    """Give the clamp's bounds in the integers of its output, as the built-in kernels round them."""
    low, high = _BOUNDS[node.op]
    smallest, largest = LIMITS[target.dtype]
    return _stored(low, target, smallest), _stored(high, target, largest)


def _stored(bound: float, target: Operand, limit: int) -> int:
    if np.isinf(bound):
        return limit
    steps = np.float32(bound) / np.float32(target.scale)
    return int(np.floor(abs(steps) + 0.5) * np.sign(steps)) + target.zero_point

"""int8 ABS and PRELU → LEAKY_RELU, or the two signs apart: what XNNPACK has."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.constants import per_channel, real_values
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_LEAST, _LARGEST = -128, 127


class ToLeakyRelu(FlatbufferRewrite):
    """Give the negative side its one slope.

    Given:
        y = ABS(x)             # int8
        y = PRELU(x, alpha)    # int8; all of alpha the same number, not 0

    Result:
        y = LEAKY_RELU(x)      # slope -1, or alpha
    """

    name = "to_leaky_relu"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an int8 op with one slope for all negative numbers."""
        if node.op not in {"ABS", "PRELU"} or not _is_int8(node):
            return None
        if node.op == "ABS":
            return Match("the same line on either side of 0", -1.0, exact=False)
        alpha = node.given()[1]
        if not alpha.constant or len(set(real_values(alpha))) != 1:
            return None  # slopes of their own: `SplitSign`
        slope = float(real_values(alpha)[0])
        # XNNPACK takes no such LEAKY_RELU, and a RELU is another op.
        if not slope:
            return RefusedOp(node.tensor, "its slope is 0")
        return Match("the same line on either side of 0", slope, exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Exchange the op."""
        built = Replacement(model, node)
        options = schema.LeakyReluOptionsT(alpha=match.details)
        built.op(Op("LEAKY_RELU", 2, options), [node.given()[0].index])
        built.finish()


class SplitSign(FlatbufferRewrite):
    """Take the two sides of 0 apart, where each channel has a slope of its own.

    Given:
        y = PRELU(x, alpha)    # int8; alpha: constant [c]

    Result:
        positive = QUANTIZE(x)    # zero point -128: saturation cuts what is below 0
        negative = QUANTIZE(x)    # zero point 127: what is above
        y = ADD(positive, MUL(negative, alpha))
    """

    name = "split_sign"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an int8 PRELU with constant slopes per channel."""
        if node.op != "PRELU" or not _is_int8(node):
            return None
        source, alpha = node.given()
        slopes = per_channel(alpha, source.shape[-1])
        if slopes is None:
            return RefusedOp(node.tensor, "its slopes are not one constant per channel")
        if len(set(slopes)) == 1:
            return None  # `ToLeakyRelu`
        return Match("the sides of 0 apart, added with one more rounding", exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the two requantizations, the multiplication and the addition."""
        source, alpha = node.given()
        built = Replacement(model, node)
        positive = built.tensor(source.shape, source, zero_point=_LEAST)
        negative = built.tensor(source.shape, source, zero_point=_LARGEST)
        built.op(QUANTIZE, [source.index], positive)
        built.op(QUANTIZE, [source.index], negative)
        steepest = float(np.abs(real_values(alpha)).max())
        scale, middle = _product_form(real_values(alpha), source.scale * steepest)
        product = built.tensor(source.shape, source, scale, middle)
        built.op(Op("MUL", 2, schema.MulOptionsT()), [negative, alpha.index], product)
        built.op(Op("ADD", 2, schema.AddOptionsT()), [positive, product])
        built.finish()


def _product_form(slopes: NDArray[np.float64], step: float) -> tuple[float, int]:
    """Choose scale and zero point for 255 steps downwards times the slopes."""
    if np.all(slopes >= 0):
        return step, _LARGEST
    if np.all(slopes <= 0):
        return step, _LEAST
    return 2 * step, 0


def _is_int8(node: Node) -> bool:
    source, target = node.given()[0], node.outputs[0]
    return (source.dtype, target.dtype) == ("int8", "int8") and bool(source.scale and target.scale)

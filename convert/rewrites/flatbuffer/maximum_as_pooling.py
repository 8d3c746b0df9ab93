"""The larger of two integer tensors → MAX_POOL_2D over both, side by side."""

from __future__ import annotations

from math import prod

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS, form_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

# Longer runs cost no less by the number, and other kernels are written for channels.
_MOST_CHANNELS = 1024
_FEWEST_CHANNELS = 16  # what the kernel takes at once
_OF_TWO = Op(
    "MAX_POOL_2D",
    2,
    schema.Pool2DOptionsT(
        padding=schema.Padding.VALID, strideH=1, strideW=1, filterHeight=2, filterWidth=1
    ),
)


class MaximumAsPooling(FlatbufferRewrite):
    """Take the larger of two tensors by a pool, which XNNPACK has of integers.

    Given:
        y = MAXIMUM(a, b)    # int8 or uint8, all of one shape and one scale

    Result:
        y = RESHAPE(MAX_POOL_2D(CONCATENATION(RESHAPE(a), RESHAPE(b))))    # windows of 2×1 over
                                                                           # [1, 2, n / c, c]

    A pool chooses among integers as they are, so that not a byte changes, and needs a quarter of
    the cycles of a MAXIMUM in float between DEQUANTIZE and QUANTIZE. The smaller of two would
    need three products by −1 besides, and is left to ThroughFloat.
    """

    name = "maximum_as_pooling"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a MAXIMUM of two tensors of one shape."""
        if node.op != "MAXIMUM" or node.outputs[0].dtype not in LIMITS:
            return None
        target = node.outputs[0]
        if any(operand.shape != target.shape for operand in node.given()):
            return RefusedOp(node.tensor, "one operand is repeated to the size of the other")
        if any(form_of(operand) != form_of(target) for operand in node.given()):
            return RefusedOp(node.tensor, "not all its tensors have one scale")
        channels = _channels(prod(target.shape))
        if channels < _FEWEST_CHANNELS:
            return RefusedOp(node.tensor, f"{target.size} numbers are no rows of 16 or more")
        return Match("a pool chooses among the same integers", channels)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put both above each other, and the pool."""
        target = node.outputs[0]
        rows = (1, 1, prod(target.shape) // match.details, match.details)
        built = Replacement(model, node)
        lines = {o.index: built.tensor(rows, target) for o in node.given()}
        for index, line in lines.items():
            built.reshape(index, rows, line)
        both, larger = built.tensor((1, 2, *rows[2:]), target), built.tensor(rows, target)
        built.concatenate([lines[o.index] for o in node.given()], 1, target, both)
        built.op(_OF_TWO, [both], larger)
        built.reshape(larger, target.shape)
        built.finish()


def _channels(size: int) -> int:
    """Find the longest row of whose kind `size` numbers are a whole number."""
    return max((n for n in range(1, _MOST_CHANNELS + 1) if size % n == 0), default=0)

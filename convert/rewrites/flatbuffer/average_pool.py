"""int8 or uint8 AVERAGE_POOL_2D → DEPTHWISE_CONV_2D of constant weights, or MEAN."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.depthwise_average import average_windows
from portrait_tflite.convert.rewrites.flatbuffer.paddings import is_padded
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op


class AveragePool(FlatbufferRewrite):
    """Average by an op that XNNPACK has in int8.

    Given:
        y = AVERAGE_POOL_2D(x)    # int8 or uint8, no window over the border

    Result:
        y = MEAN(x; axes 1, 2)    # where one window is the whole map
        y = DEPTHWISE_CONV_2D(x; weights 1, their scale 1 / (height · width))    # otherwise

    The pool rounds a tie by the sign of the stored number, the others by that of the real one:
    one step.
    """

    name = "average_pool"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an integer average pool without padding."""
        if node.op != "AVERAGE_POOL_2D":
            return None
        source, target = node.given()[0], node.outputs[0]
        # A float pool is delegated as it is.
        if source.dtype not in LIMITS or not source.scale or not source.sized:
            return None
        window = (int(node.option("filterHeight")), int(node.option("filterWidth")))
        # At the border the pool divides by fewer pixels, which no constant weight does.
        if is_padded(node, window):
            return RefusedOp(node.tensor, "its windows reach over the border")
        whole = source.shape[1:3] == window and target.shape[1:3] == (1, 1)
        plain = not node.option("fusedActivationFunction", 0)
        reason = "the same sums, divided with another rounding of ties"
        return Match(reason, (window, whole and plain), exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the mean or the depthwise convolution."""
        window, whole = match.details
        source = node.given()[0]
        built = Replacement(model, node)
        if whole:
            axes = built.constant(np.array([1, 2], np.int32))
            options = schema.ReducerOptionsT(keepDims=True)
            built.op(Op("MEAN", 2, options), [source.index, axes])
        else:
            average_windows(built, node, window)
        built.finish()

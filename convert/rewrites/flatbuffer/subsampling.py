"""A pool of single pixels → DEPTHWISE_CONV_2D of ones."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.depthwise_average import average_windows
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite, Match

_POOLS = frozenset({"MAX_POOL_2D", "AVERAGE_POOL_2D"})
_ONE_PIXEL = (1, 1)


class Subsampling(FlatbufferRewrite):
    """Keep every n-th pixel by an op that XNNPACK has: it refuses windows below their stride.

    Given:
        y = MAX_POOL_2D(x)    # or AVERAGE_POOL_2D, of 1×1 windows; float, int8 or uint8

    Result:
        y = DEPTHWISE_CONV_2D(x; weights 1)    # 1×1, the same strides and activation

    The shortcut of ResNet V2 (He et al. 2016, section 3.2) where a block halves its picture, as
    keras.applications builds it.
    """

    name = "subsampling"

    def match(self, model: schema.ModelT, node: Node) -> Match | None:
        """Match a pool with windows of one pixel."""
        if node.op not in _POOLS:
            return None
        window = (int(node.option("filterHeight")), int(node.option("filterWidth")))
        strides = (int(node.option("strideH")), int(node.option("strideW")))
        source, target = node.given()[0], node.outputs[0]
        if window != _ONE_PIXEL or strides == _ONE_PIXEL or -1 in source.shape:
            return None
        # Of other types there is no depthwise convolution with weights of the same type.
        if source.dtype != "float32" and (source.dtype not in LIMITS or not source.scale):
            return None
        # The kernels of a pool do not look at the output's scale, those of a convolution do.
        if (source.scale, source.zero_point) != (target.scale, target.zero_point):
            return None
        return Match("every kept pixel times one")

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the depthwise convolution."""
        built = Replacement(model, node)
        average_windows(built, node, _ONE_PIXEL)
        built.finish()

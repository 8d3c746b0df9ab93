"""Bilinear resize, then a 1×1 convolution in float → the convolution first, on fewer pixels."""

from __future__ import annotations

import copy

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_NONE = schema.ActivationFunctionType.NONE
# What an activation that was fused is on its own.
_CLAMPS = {
    schema.ActivationFunctionType.RELU: "RELU",
    schema.ActivationFunctionType.RELU6: "RELU6",
    schema.ActivationFunctionType.RELU_N1_TO_1: "RELU_N1_TO_1",
}


class ConvolutionBeforeBilinear(FlatbufferRewrite):
    """Mix the channels of the pixels that there are, not of those in between.

    Given:
        y = CONV_2D(RESIZE_BILINEAR(x))    # 1×1, stride 1, float; or DEPTHWISE_CONV_2D

    Result:
        y = RESIZE_BILINEAR(CONV_2D(x))    # and the activation behind it, where it has one

    A resize is a weighted mean of pixels, the same for each channel, and its weights add up to 1,
    so that whatever is linear over the channels, its bias included, may go before it. In int8 both
    orders round, at other places; a float file is rewritten before it becomes int8.
    """

    name = "convolution_before_bilinear"
    reorders_sums = True
    before_int8 = True
    keras_name = "pointwise_before_bilinear"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a 1×1 convolution behind a bilinear resize that nobody else reads."""
        if not _is_pointwise(node):
            return None
        large = node.given()[0]
        resize = producer_of(model, large.index)
        if resize is None or resize.op != "RESIZE_BILINEAR":
            return None
        if large.dtype != "float32":
            return RefusedOp(node.tensor, f"in {large.dtype} it would round at another place")
        if count_readers(model, large.index) > 1:
            return RefusedOp(node.tensor, "another op reads the resized picture too")
        if node.option("fusedActivationFunction", _NONE) not in {_NONE, *_CLAMPS}:
            return RefusedOp(node.tensor, "its activation is no clamp")
        source = resize.given()[0]
        return Match("linear, before the resize", resize, sources=(source.index,), exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution, the resize, and the activation."""
        resize: Node = match.details
        source, target = resize.given()[0], node.outputs[0]
        clamp = _CLAMPS.get(node.option("fusedActivationFunction", _NONE))
        linear = copy.copy(node.options)
        linear.fusedActivationFunction = _NONE
        built = Replacement(model, node)
        small = built.float_tensor((*source.shape[:3], target.shape[3]))
        others = indices(model.subgraphs[0].operators[node.index].inputs)[1:]
        built.op(Op(node.op, node.version, linear), [source.index, *others], small)
        large = built.float_tensor(target.shape) if clamp else target.index
        size = resize.given()[1].index
        built.op(Op(resize.op, resize.version, resize.options), [small, size], large)
        if clamp:
            built.op(Op(clamp, 1), [large])
        built.finish()


def _is_pointwise(node: Node) -> bool:
    """Whether it looks at every pixel alone, before its activation."""
    if node.op not in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
        return False
    steps = {node.option("strideH", 1), node.option("strideW", 1)}
    weights: Operand = node.given()[1]
    return weights.shape[1:3] == (1, 1) and steps == {1}

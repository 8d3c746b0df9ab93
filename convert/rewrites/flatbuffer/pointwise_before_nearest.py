"""Nearest resize, then an op on each pixel alone → the op first, on fewer pixels."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.nearest_chain import upsampling_factors
from portrait_tflite.convert.rewrites.flatbuffer.place import (
    is_output,
    producer_of,
    readers_of,
)
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_ELEMENTWISE = frozenset(
    {"HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "QUANTIZE", "DEQUANTIZE", "RELU", "RELU6"}
    | {"RELU_N1_TO_1", "TANH"}
)


class PointwiseBeforeNearest(FlatbufferRewrite):
    """Compute a pixel once before it is repeated.

    Given:
        y = CONV_2D(RESIZE_NEAREST_NEIGHBOR(x))    # 1×1, stride 1; or an element-wise op

    Result:
        y = RESIZE_NEAREST_NEIGHBOR(CONV_2D(x))    # a quarter of the work for ×2
    """

    name = "pointwise_before_nearest"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an op on single pixels behind a nearest resize by whole factors."""
        if not _is_pointwise(node):
            return None
        resize = producer_of(model, node.given()[0].index)
        if resize is None or resize.op != "RESIZE_NEAREST_NEIGHBOR":
            return None
        source, large = resize.given()[0], resize.outputs[0]
        if upsampling_factors(source, large) is None:
            return RefusedOp(node.tensor, "the resize is by no whole factors")
        # Someone else needs all the pixels: there would be two resizes in the end.
        if is_output(model, large.index) or not all(
            _is_pointwise(reader) for reader in readers_of(model, large.index)
        ):
            return RefusedOp(node.tensor, "another op reads the resized picture too")
        return Match("equal pixels give equal results", resize, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the op, then the resize."""
        resize: Node = match.details
        source, target = resize.given()[0], node.outputs[0]
        built = Replacement(model, node)
        small = built.tensor((*source.shape[:3], target.shape[3]), target)
        others = indices(model.subgraphs[0].operators[node.index].inputs)[1:]
        built.op(Op(node.op, node.version, node.options), [source.index, *others], small)
        size = resize.given()[1].index
        version = 2 if target.scale else 1
        built.op(Op(resize.op, version, resize.options), [small, size])
        built.finish()


def _is_pointwise(node: Node) -> bool:
    if node.op in _ELEMENTWISE:
        return len(node.given()[0].shape) == 4
    if node.op != "CONV_2D":
        return False
    strides = (node.option("strideH", 1), node.option("strideW", 1))
    return node.given()[1].shape[1:3] == (1, 1) and strides == (1, 1)

"""int8 ABS and PRELU → LEAKY_RELU: what XNNPACK has."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.constants import real_values
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op


class ToLeakyRelu(FlatbufferRewrite):
    """Give the negative side its one slope.

    Given:
        y = ABS(x)             # int8
        y = PRELU(x, alpha)    # int8; all of alpha the same number, not 0

    Result:
        y = LEAKY_RELU(x)      # slope -1, or alpha
    """

    name = "to_leaky_relu"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an int8 op with one slope for all negative numbers."""
        if node.op not in {"ABS", "PRELU"} or not _is_int8(node):
            return None
        if node.op == "ABS":
            return Match("the same line on either side of 0", -1.0, exact=False)
        alpha = node.given()[1]
        if not alpha.constant or len(set(real_values(alpha))) != 1:
            return None  # slopes of their own: `ThroughFloat`
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


def _is_int8(node: Node) -> bool:
    source, target = node.given()[0], node.outputs[0]
    return (source.dtype, target.dtype) == ("int8", "int8") and bool(source.scale and target.scale)

"""int8 HARD_SWISH → MUL, ADD, MUL: what XNNPACK has."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_LARGEST = 127
_LEAST = -128


class HardSwish(FlatbufferRewrite):
    """Compute `x · clamp(x / 6 + 1/2, 0, 1)`, the clamp being int8's saturation.

    Given:
        y = HARD_SWISH(x)              # int8

    Result:
        sixth = MUL(x, 1/6)            # x's own integers: exact
        gate = ADD(sixth, 1/2)         # scale 1/255, zero point -128: stands for 0 to 1
        y = MUL(x, gate)
    """

    name = "hard_swish"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an int8 HARD_SWISH."""
        if node.op != "HARD_SWISH":
            return None
        source = node.given()[0]
        # A float one is delegated as it is.
        if source.dtype != "int8" or not source.scale:
            return None
        return Match("the same function with one more rounding, of the gate", exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the three ops."""
        source = node.given()[0]
        built = Replacement(model, node)
        sixth = built.tensor(source.shape, source, source.scale / 6)
        gate = built.tensor(source.shape, source, 1 / 255, _LEAST)
        weight = np.array([_LARGEST], np.int8)
        factor = built.constant(weight, [1 / 6 / _LARGEST])
        half = built.constant(weight, [1 / 2 / _LARGEST])
        multiply = Op("MUL", 2, schema.MulOptionsT())
        built.op(multiply, [source.index, factor], sixth)
        built.op(Op("ADD", 2, schema.AddOptionsT()), [sixth, half], gate)
        built.op(multiply, [source.index, gate])
        built.finish()

"""int8 NEG, and DIV by one constant → MUL by one constant."""

from __future__ import annotations

import numpy as np
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

_LARGEST_WEIGHT = 127


class ScalarFactor(FlatbufferRewrite):
    """Multiply where XNNPACK has neither the sign nor the quotient.

    Given:
        y = NEG(x)       # int8
        y = DIV(x, c)    # int8; c: one constant number

    Result:
        y = MUL(x, f)    # f: -1, or 1 / c; written as ±127 steps of its own scale: no rounding

    The kernel of DIV is wrong for quotients near 0 of large divisors; such a place stays.
    """

    name = "scalar_factor"
    within_one_step = True
    observes = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an int8 change of sign or division by one number."""
        if node.op not in {"NEG", "DIV"}:
            return None
        source, *others = node.given()
        if source.dtype != "int8" or source.constant:
            return None
        if node.op == "NEG":
            # The kernel changes the sign of the stored number, whatever its zero point.
            if source.zero_point or node.outputs[0].zero_point:
                return RefusedOp(node.tensor, "its kernel ignores the zero points")
            # -128 becomes -128 there, and 127 here.
            reason = "a factor of -1; on the check inputs -128, which NEG leaves, does not occur"
            return Match(reason, -1.0, exact=False, sources=(source.index,), observed=True)
        if not others[0].constant:
            return RefusedOp(node.tensor, "its divisor is computed")
        values = set(real_values(others[0]))
        # Several divisors: `ChannelLine` has one per channel.
        if len(values) != 1 or not all(values):
            return None
        return Match("the factor is the divisor's reciprocal", 1 / float(values.pop()), exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the multiplication."""
        built = Replacement(model, node)
        sign = np.array([np.copysign(_LARGEST_WEIGHT, match.details)], np.int8)
        factor = built.constant(sign, [abs(match.details) / _LARGEST_WEIGHT])
        activation = int(node.option("fusedActivationFunction", 0))
        options = schema.MulOptionsT(fusedActivationFunction=activation)
        built.op(Op("MUL", 2, options), [node.given()[0].index, factor])
        built.finish()

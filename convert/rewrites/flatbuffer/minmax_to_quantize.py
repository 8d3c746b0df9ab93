"""MAXIMUM and MINIMUM with one constant in int8 → QUANTIZE."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import (
    LIMITS,
    clamping_zero_points,
    quantize_through,
)
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)


class MinmaxToQuantize(FlatbufferRewrite):
    """Turn a bound into the requantizations whose saturation it is.

    Given:
        y = MAXIMUM(x, c)    # or MINIMUM; int8, all of one scale; c: one constant number

    Result:
        y = QUANTIZE(QUANTIZE(x))    # to a zero point that cuts at c, and back
    """

    name = "minmax_to_quantize"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an integer bound that is the same number everywhere."""
        if node.op not in {"MAXIMUM", "MINIMUM"} or len(node.given()) != 2:
            return None
        source, bound = _split(node)
        target = node.outputs[0]
        # A float bound is delegated as it is; one of two computed tensors is no clamp.
        if source.dtype not in LIMITS or not source.scale or bound.data is None:
            return None
        values = stored_values(bound)
        if values.min() != values.max() or source.shape != target.shape:
            return RefusedOp(node.tensor, "its constant is not one number for all")
        parameters = {(o.scale, o.zero_point) for o in (source, bound, target)}
        # The kernels compare the integers as they stand.
        if len(parameters) != 1:
            return RefusedOp(node.tensor, "its tensors have different scales")
        limits = LIMITS[target.dtype]
        low, high = int(values[0]), int(values[0])
        bounds = (low, limits[1]) if node.op == "MAXIMUM" else (limits[0], high)
        zero_points = clamping_zero_points(target, *bounds)
        if zero_points is None:
            return RefusedOp(node.tensor, "no zero point puts its bound at the integers' ends")
        return Match("saturation cuts where the bound does", (source, zero_points))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put one QUANTIZE per zero point."""
        source, zero_points = match.details
        built = Replacement(model, node)
        quantize_through(built, source.index, node.outputs[0], zero_points)
        built.finish()


def _split(node: Node) -> tuple[Operand, Operand]:
    """Tell the computed operand from the constant one."""
    first, second = node.given()
    return (second, first) if first.constant else (first, second)

"""L2_NORMALIZATION, LOG_SOFTMAX and POW → sums, products and roots, which XNNPACK has in float."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.constants import real_values
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS, QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.convert.rewrites.flatbuffer.through_float import UNPACK

_LEAST_SQUARE = 1e-12  # the kernel divides by 1e-6 at least
_ROOTS = {0.5: "SQRT", -0.5: "RSQRT"}


class SpelledOut(FlatbufferRewrite):
    """Compute by sums, products and roots what XNNPACK has no op for.

    Given:
        y = L2_NORMALIZATION(x)    # int8, uint8 or float
        y = LOG_SOFTMAX(x)
        y = POW(x, 3)              # float; 3, 4, 1/2 or −1/2

    Result:
        y = x * RSQRT(MAXIMUM(SUM(x * x), 1e-12))
        d = x - REDUCE_MAX(x); y = d - LOG(SUM(EXP(d)))
        y = x * x * x              # or SQRT, RSQRT

    Integers are unpacked before and packed behind, rounded once.
    """

    name = "spelled_out"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an op that is a few others."""
        if node.op not in _FORMS:
            return None
        source, target = node.given()[0], node.outputs[0]
        integer = source.dtype in LIMITS and target.dtype in LIMITS
        exponent = _exponent(node) if node.op == "POW" else 1.0
        floats = (source.dtype, target.dtype) == ("float32", "float32")
        if not (integer or floats) or exponent is None:
            return None
        if integer and not (source.scale and target.scale and source.channels == 1):
            return RefusedOp(node.tensor, "not all its tensors have one scale")
        if node.option("fusedActivationFunction", 0):
            return RefusedOp(node.tensor, "it has an activation")
        reason = "the same of the real numbers"
        return Match(reason, exponent, exact=False, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the ops that it is."""
        source, target = node.given()[0], node.outputs[0]
        built = _Floats(Replacement(model, node), source.shape)
        integer = source.dtype in LIMITS
        x = built.new(UNPACK, source.index) if integer else source.index
        last = None if integer else target.index
        result = _FORMS[node.op](built, x, last, match.details)
        if integer:
            built.replacement.op(QUANTIZE, [result])
        built.replacement.finish()


class _Floats:
    """Float ops that keep a shape, or reduce its last dimension to one."""

    def __init__(self, replacement: Replacement, shape: tuple[int, ...]) -> None:
        self.replacement = replacement
        self._shape = shape

    def new(self, op: Op, *inputs: int, flat: bool = False, output: int | None = None) -> int:
        shape = (*self._shape[:-1], 1) if flat else self._shape
        result = self.replacement.float_tensor(shape) if output is None else output
        self.replacement.op(op, inputs, result)
        return result

    def reduce(self, kind: str, source: int) -> int:
        last = self.replacement.constant(np.array([len(self._shape) - 1], np.int32))
        return self.new(Op(kind, 1, schema.ReducerOptionsT(keepDims=True)), source, last, flat=True)

    def number(self, number: float) -> int:
        return self.replacement.constant(np.array([number], np.float32))


_Form = Callable[[_Floats, int, int | None, float], int]


def _normalized(built: _Floats, x: int, output: int | None, _: float) -> int:
    product = Op("MUL", 1, schema.MulOptionsT())
    total = built.reduce("SUM", built.new(product, x, x))
    least = built.number(_LEAST_SQUARE)
    options = schema.MaximumMinimumOptionsT()
    bounded = built.new(Op("MAXIMUM", 1, options), total, least, flat=True)
    length = built.new(Op("RSQRT", 1), bounded, flat=True)
    return built.new(product, x, length, output=output)


def _log_softmax(built: _Floats, x: int, output: int | None, _: float) -> int:
    difference = Op("SUB", 1, schema.SubOptionsT())
    # EXP of what is largest is 1 then: neither it nor the sum leaves what a float holds.
    lowered = built.new(difference, x, built.reduce("REDUCE_MAX", x))
    total = built.reduce("SUM", built.new(Op("EXP", 1), lowered))
    return built.new(difference, lowered, built.new(Op("LOG", 1), total, flat=True), output=output)


def _power(built: _Floats, x: int, output: int | None, exponent: float) -> int:
    if exponent in _ROOTS:
        return built.new(Op(_ROOTS[exponent], 1), x, output=output)
    product = Op("MUL", 1, schema.MulOptionsT())
    square = built.new(product, x, x)
    return built.new(product, square, x if exponent == 3 else square, output=output)


def _exponent(node: Node) -> float | None:
    """Return the exponent of a POW where it is one number that is known here."""
    base, exponent = node.given()
    if not exponent.constant or base.shape != node.outputs[0].shape:
        return None
    numbers = np.unique(real_values(exponent))
    known = {*_ROOTS, 3.0, 4.0}
    return float(numbers[0]) if len(numbers) == 1 and float(numbers[0]) in known else None


_FORMS: dict[str, _Form] = {
    "L2_NORMALIZATION": _normalized,
    "LOG_SOFTMAX": _log_softmax,
    "POW": _power,
}

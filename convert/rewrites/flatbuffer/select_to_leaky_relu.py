"""A choice between x and a multiple of it → LEAKY_RELU or RELU."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import real_values
from portrait_tflite.convert.rewrites.flatbuffer.place import producer_of
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import form_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

SELECTS = frozenset({"SELECT", "SELECT_V2"})
_ABOVE = frozenset({"GREATER", "GREATER_EQUAL"})
_BELOW = frozenset({"LESS", "LESS_EQUAL"})


class SelectToLeakyRelu(FlatbufferRewrite):
    """Take a choice by the sign of a number, between it and a multiple of it, as one op.

    Given:
        y = SELECT(GREATER(x, 0), x, MUL(x, a))    # or LESS, the other way round; NEG; int8 or
                                                   # float
        y = MAXIMUM(x, MUL(x, a))                  # a from 0 to 1
        y = SELECT(GREATER(x, 0), x, 0)

    Result:
        y = LEAKY_RELU(x)    # slope a; RELU where there is none

    In int8 the product is rounded once less, by one step at most.
    """

    name = "select_to_leaky_relu"
    within_one_step = True
    before_int8 = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a choice between a tensor and a multiple of it."""
        found = _of_select(model, node) or _of_maximum(model, node)
        if found is None:
            return None
        source, slope = found
        if not _alike(source, node.outputs[0]):
            return None
        reason = "x above 0, and a multiple of it below"
        return Match(reason, found, exact=slope == 0, sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Exchange the op; what it chose from is left to whoever reads it."""
        source, slope = match.details
        integer = source.dtype == "int8"
        built = Replacement(model, node)
        if slope:
            options = schema.LeakyReluOptionsT(alpha=slope)
            built.op(Op("LEAKY_RELU", 2 if integer else 1, options), [source.index])
        else:
            built.op(Op("RELU", 2 if integer else 1), [source.index])
        built.finish()


def _of_select(model: schema.ModelT, node: Node) -> tuple[Operand, float] | None:
    """Read the tensor and its slope below 0 where a SELECT goes by its sign."""
    if node.op not in SELECTS:
        return None
    condition, *branches = node.given()
    signed = _signed(model, condition)
    if signed is None:
        return None
    source, positive = signed
    above, below = branches if positive else branches[::-1]
    # The op copies integers, whatever they stand for.
    if above.index != source.index or form_of(below) != form_of(source):
        return None
    slope = _slope(model, below, source)
    return None if slope is None else (source, slope)


def _of_maximum(model: schema.ModelT, node: Node) -> tuple[Operand, float] | None:
    if node.op != "MAXIMUM":
        return None
    for source, other in (node.given(), node.given()[::-1]):
        slope = None if other.constant else _slope(model, other, source)
        if slope is not None and -1 <= slope < 1:
            # A negative multiple is the larger one below 0 only, as the other is above.
            return (source, slope) if slope else None
    return None


def _signed(model: schema.ModelT, condition: Operand) -> tuple[Operand, bool] | None:
    """Return the tensor whose sign a condition is, and whether it holds above 0."""
    comparison = producer_of(model, condition.index)
    if comparison is None or comparison.op not in _ABOVE | _BELOW:
        return None
    one, other = comparison.given()
    above = comparison.op in _ABOVE
    if _is_zero(other) and not one.constant:
        return one, above
    return (other, not above) if _is_zero(one) and not other.constant else None


def _is_zero(operand: Operand) -> bool:
    return operand.constant and operand.channels <= 1 and not real_values(operand).any()


def _slope(model: schema.ModelT, below: Operand, source: Operand) -> float | None:
    """Return by what `source` is multiplied to become `below`."""
    if _is_zero(below):
        return 0.0
    producer = producer_of(model, below.index)
    if producer is None or source.index not in [o.index for o in producer.given()]:
        return None
    if producer.op == "NEG":
        return -1.0
    if producer.op != "MUL" or producer.option("fusedActivationFunction", 0):
        return None
    factors = [o for o in producer.given() if o.constant and o.channels <= 1]
    numbers = np.unique(real_values(factors[0])) if factors else np.empty(0)
    return float(numbers[0]) if len(numbers) == 1 else None


def _alike(source: Operand, target: Operand) -> bool:
    if source.dtype != target.dtype or source.shape != target.shape:
        return False
    scaled = source.scale > 0 and target.scale > 0 and source.channels == 1
    return source.dtype == "float32" or (source.dtype == "int8" and scaled)

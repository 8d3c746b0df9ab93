"""int8 choices by comparison → clamps and products in float."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import real_values
from portrait_tflite.convert.rewrites.flatbuffer.place import cut_out, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import QUANTIZE, form_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.select_to_leaky_relu import SELECTS
from portrait_tflite.convert.rewrites.flatbuffer.single_op import EVERY_INT8, Op
from portrait_tflite.convert.rewrites.flatbuffer.through_float import UNPACK
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

_COMPARISONS = {
    "EQUAL": np.equal,
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
    "NOT_EQUAL": np.not_equal,
}
_TRUTHS = frozenset({*_COMPARISONS, "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR"})
_SUB = Op("SUB", 2, schema.SubOptionsT())
# The built-in comparisons round numbers to 1/256, and have no multiplier of 1 or more
# [V: comparisons.cc, and seen on LiteRT 2.3.0].
_LEAST_SCALE, _LARGEST_SCALE = 1 / 256, 1.0
# |a − b| times the largest power of two, twice, and clamped, tells any two float32 apart. Half
# precision has no such number, and 0 times infinity is none.
_HALF_PRECISION = (
    "nothing in its place is exact in half precision, in which GPUs and some CPUs compute float "
    "files; int8 has a form"
)
_IN_FLOAT = "it compares in float in an int8 file: the quantizer has no int8 form of the comparison"
_RELU = schema.ActivationFunctionType.RELU


@dataclass(frozen=True)
class _Choice:
    """Where a condition on one int8 tensor holds, and what is taken then.

    Attributes:
        source: The tensor that is compared.
        subtracted: What is subtracted from it first, where two tensors are compared; else None.
        first: The integer from which it holds; None for the very first.
        end: The integer from which it no longer holds; None for none.
        taken: What is taken there; None for 1, where the truth itself is wanted as a number.
        left: What is taken elsewhere; None for 0.
        inverted: Whether it holds elsewhere, and not there.
    """

    source: Operand
    subtracted: Operand | None
    first: int | None
    end: int | None
    taken: Operand | None
    left: Operand | None
    inverted: bool = False


class ChoiceToNumbers(FlatbufferRewrite):
    """Multiply by 1 or 0 where a comparison chooses.

    Given:
        y = SELECT(GREATER(x, c), a, b)    # int8; any comparisons of x with numbers, and
                                           # LOGICAL_AND, _OR, _NOT of them
        y = CAST(GREATER(x, c))            # to float
        y = CAST(EQUAL(a, b))              # two tensors of one scale, as an unpooling compares a
                                           # picture with its maxima

    Result:
        x = SUB(a, b)    # of two
        u = MINIMUM(ADD(MUL(DEQUANTIZE(x), 4 / step of x), .., RELU), 1)    # 1 or 0
        y = QUANTIZE(b + u * (a - b))

    The integers of x lie a step apart: a line that rises by 4 within a step and is clamped is 0 at
    one of them and 1 at the next; where it holds at one integer alone, two lines meet. Of two
    tensors of one scale SUB is exact until it saturates, which leaves its sign. What is taken is
    rounded once, if it has another scale than y.
    """

    name = "choice_to_numbers"
    within_one_step = True
    helps_gpu = False

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a choice by what one int8 tensor is compared with."""
        if node.op not in SELECTS and not _is_cast(node):
            return None
        condition, *branches = node.given()
        sources = _compared(model, condition)
        if not sources:
            return None
        if any(one.dtype == "float32" for one in sources):
            reason = _IN_FLOAT if _unpacked(model, sources) else _HALF_PRECISION
            return RefusedOp(node.tensor, f"{node.op}: {reason}")
        if refusal := _refusal(model, condition, sources, node.outputs[0]):
            return RefusedOp(node.tensor, refusal)
        # The op copies integers, whatever they stand for.
        forms = {form_of(one) for one in (*branches, *node.outputs) if _is_int8(one)}
        if branches and (len(forms) > 1 or not all(_is_int8(one) for one in branches)):
            return RefusedOp(node.tensor, "not all that it chooses from is int8 of one scale")
        choice = _choice(_truth(model, condition, sources), sources, branches)
        if choice is None:
            return RefusedOp(node.tensor, "it changes at no integer, or at more than two")
        computed = dict.fromkeys(o.index for o in (*sources, *branches) if not o.constant)
        return Match("1 or 0 times what is chosen", choice, exact=False, sources=tuple(computed))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the clamped line, and the product."""
        choice: _Choice = match.details
        built = _Built(Replacement(model, node), node.outputs[0].shape)
        share = built.share(choice, None if choice.taken else node.outputs[0].index)
        if choice.taken is not None and choice.left is not None:
            result = built.blend(share, choice.taken, choice.left)
            built.replacement.op(QUANTIZE, [result])
        built.replacement.finish()


class _Built:
    """Float ops in the place of a choice."""

    def __init__(self, replacement: Replacement, shape: tuple[int, ...]) -> None:
        self.replacement = replacement
        self._shape = shape
        self._unpacked: dict[int, int] = {}

    def share(self, choice: _Choice, output: int | None) -> int:
        """Add what is 1 where the condition holds, and else 0."""
        source = self._difference(choice.source, choice.subtracted)
        if choice.first is not None and choice.end == choice.first + 1:
            return self._peak(source, choice.first, inverted=choice.inverted, output=output)
        if choice.inverted:
            within = self.share(replace(choice, inverted=False), None)
            return self._new("SUB", schema.SubOptionsT(), self._number(1), within, output=output)
        lines = [(choice.first, 1), (choice.end, -1)]
        bounded = [(at, sign) for at, sign in lines if at is not None]
        rising = [self._line(source, *each, clamped=len(bounded) == 1) for each in bounded]
        line = rising[0]
        if len(rising) == 2:
            lower = self._new("MINIMUM", schema.MaximumMinimumOptionsT(), *rising)
            line = self._new("RELU", None, lower)
        options = schema.MaximumMinimumOptionsT()
        return self._new("MINIMUM", options, line, self._number(1), output=output)

    def blend(self, share: int, taken: Operand, left: Operand) -> int:
        """Add `left + share · (taken − left)`."""
        if _is_nothing(left):
            return self._new("MUL", schema.MulOptionsT(), share, self._real(taken))
        one, other = self._real(taken), self._real(left)
        gap = self._new("SUB", schema.SubOptionsT(), one, other)
        moved = self._new("MUL", schema.MulOptionsT(), share, gap)
        return self._new("ADD", schema.AddOptionsT(), moved, other)

    def _difference(self, source: Operand, other: Operand | None) -> Operand:
        if other is None:
            return source
        found = self.replacement.tensor(self._shape, source, zero_point=0)
        self.replacement.op(_SUB, [source.index, other.index], found)
        return replace(source, index=found, shape=self._shape, zero_point=0)

    def _peak(self, source: Operand, at: int, *, inverted: bool, output: int | None) -> int:
        """Add what is 1 at integer `at` and 0 at all others, or the other way round."""
        gap, middle = self._real(source), at - source.zero_point
        if middle:
            gap = self._new("SUB", schema.SubOptionsT(), gap, self._number(middle * source.scale))
        away = self._new("ABS", schema.AbsOptionsT(), gap)
        # Twice as steep as it need be: what rounding leaves is cut off.
        steep = self._number((2 if inverted else -2) / source.scale)
        risen = self._new("MUL", schema.MulOptionsT(), away, steep)
        one = self._number(1)
        if inverted:
            return self._new("MINIMUM", schema.MaximumMinimumOptionsT(), risen, one, output=output)
        options = schema.AddOptionsT(fusedActivationFunction=_RELU)
        return self._new("ADD", options, risen, one, output=output)

    def _line(self, source: Operand, at: int, sign: int, *, clamped: bool) -> int:
        """Add a line that is 2 at integer `at` and −2 at the one before, or the other way round."""
        middle = at - 0.5 - source.zero_point  # in steps
        steep = self._number(sign * 4 / source.scale)
        raised = self._new("MUL", schema.MulOptionsT(), self._real(source), steep)
        options = schema.AddOptionsT(fusedActivationFunction=_RELU if clamped else 0)
        return self._new("ADD", options, raised, self._number(-sign * 4 * middle))

    def _real(self, operand: Operand) -> int:
        if operand.constant:
            values = real_values(operand).astype(np.float32)
            return self.replacement.constant(values.reshape(operand.shape or (1,)))
        if operand.index not in self._unpacked:
            real = self.replacement.float_tensor(operand.shape)
            self.replacement.op(UNPACK, [operand.index], real)
            self._unpacked[operand.index] = real
        return self._unpacked[operand.index]

    def _number(self, number: float) -> int:
        return self.replacement.constant(np.array([number], np.float32))

    def _new(self, op: str, options: object, *inputs: int, output: int | None = None) -> int:
        result = self.replacement.float_tensor(self._shape) if output is None else output
        self.replacement.op(Op(op, 1, options), inputs, result)
        return result


def _unpacked(model: schema.ModelT, sources: list[Operand]) -> bool:
    """Tell whether floats are int8 that was unpacked."""
    found = (producer_of(model, one.index) for one in sources)
    return any(one and one.op == "DEQUANTIZE" and _is_int8(one.given()[0]) for one in found)


def _refusal(
    model: schema.ModelT, condition: Operand, sources: list[Operand], target: Operand
) -> str:
    """Say why a condition on these tensors can not be computed, or ""."""
    if any(not _is_int8(one) for one in sources):
        return "what it compares is not int8 of one scale"
    if len(sources) > 2:
        return "it compares more than two tensors"
    if len(sources) == 1:
        return ""
    comparison = producer_of(model, condition.index)
    if comparison is None or comparison.op not in _COMPARISONS:
        return "it compares more than one int8 tensor with numbers"
    if form_of(sources[0]) != form_of(sources[1]):
        return "it compares two tensors of different scales"
    if not _LEAST_SCALE <= sources[0].scale < _LARGEST_SCALE:
        return f"the built-in kernel takes unlike integers of scale {sources[0].scale:g} for equal"
    return "" if condition.shape == target.shape else "it chooses for more than it compares"


def _choice(
    truth: NDArray[np.bool_], sources: list[Operand], branches: list[Operand]
) -> _Choice | None:
    turns = [int(at) - 128 for at in np.flatnonzero(truth[1:] != truth[:-1]) + 1]
    if not turns or len(turns) > 2:
        return None
    source, other = (*sources, None)[:2]
    assert source is not None
    taken, left = branches or (None, None)
    # A SELECT may as well ask for the opposite: where that saves a subtraction, or a gap.
    swapped = taken is not None and (_is_nothing(taken) if len(turns) == 1 else bool(truth[0]))
    if swapped:
        taken, left, truth = left, taken, ~truth
    if len(turns) == 2:
        first, end = turns
        return _Choice(source, other, first, end, taken, left, inverted=bool(truth[0]))
    if truth[0]:
        return _Choice(source, other, None, turns[0], taken, left)
    return _Choice(source, other, turns[0], None, taken, left)


def _truth(model: schema.ModelT, condition: Operand, sources: list[Operand]) -> NDArray[np.bool_]:
    """Tell for which integers of a tensor, or of the difference of two, it holds: `[256]`."""
    if len(sources) == 2:
        comparison = producer_of(model, condition.index)
        assert comparison is not None
        return np.asarray(_COMPARISONS[comparison.op](EVERY_INT8, 0))
    source = sources[0]
    runner = open_model(cut_out(model, [source.index], [condition.index]), Delegate.CPU)
    found: list[NDArray[np.bool_]] = []
    for start in range(0, 256, source.size):
        values = np.resize(np.roll(EVERY_INT8, -start), source.shape)
        found.append(np.asarray(runner.run(values)[0], bool).reshape(-1))
    return np.concatenate(found)[:256]


def _compared(model: schema.ModelT, condition: Operand) -> list[Operand]:
    """List the tensors that a condition looks at; none where it is no comparison with numbers."""
    found: dict[int, Operand] = {}
    pending = [condition]
    while pending:
        producer = producer_of(model, pending.pop().index)
        if producer is None or producer.op not in _TRUTHS:
            return []
        numbers = [o for o in producer.given() if not o.constant]
        if any(o.constant and o.size != 1 for o in producer.given()):
            return []
        pending.extend(o for o in numbers if o.dtype == "bool")
        found.update((o.index, o) for o in numbers if o.dtype != "bool")
    return list(found.values())


def _is_cast(node: Node) -> bool:
    kinds = (node.given()[0].dtype, node.outputs[0].dtype) if node.op == "CAST" else None
    return kinds == ("bool", "float32")


def _is_int8(operand: Operand) -> bool:
    return operand.dtype == "int8" and bool(operand.scale) and operand.channels == 1


def _is_nothing(operand: Operand) -> bool:
    return operand.constant and not real_values(operand).any()

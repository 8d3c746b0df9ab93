"""Choices by comparison: as LEAKY_RELU where they are one, else as numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer import choice_to_numbers, select_to_leaky_relu
from portrait_tflite.convert.rewrites.flatbuffer.choice_to_numbers import ChoiceToNumbers
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.select_to_leaky_relu import SelectToLeakyRelu
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

from .drawing import many

Build = Callable[..., Any]
SHAPE = (1, 8, 8, 4)
LEAKY, NUMBERS = SelectToLeakyRelu(), ChoiceToNumbers()
ABOVE, BELOW = ("GREATER", "GREATER_EQUAL"), ("LESS", "LESS_EQUAL")
_OPTIONS = {
    "EQUAL": schema.EqualOptionsT,
    "GREATER": schema.GreaterOptionsT,
    "GREATER_EQUAL": schema.GreaterEqualOptionsT,
    "LESS": schema.LessOptionsT,
    "LESS_EQUAL": schema.LessEqualOptionsT,
    "LOGICAL_AND": schema.LogicalAndOptionsT,
    "LOGICAL_NOT": schema.LogicalNotOptionsT,
    "LOGICAL_OR": schema.LogicalOrOptionsT,
    "NOT_EQUAL": schema.NotEqualOptionsT,
}
_SELECTS = {"SELECT": schema.SelectOptionsT, "SELECT_V2": schema.SelectV2OptionsT}


class Choices:
    """A file that chooses; `form` is the scale and zero point of its tensors, None for float."""

    def __init__(self, tiny_graph: Build, form: tuple[float, int] | None = (0.05, 3)) -> None:
        self.graph = tiny_graph()
        self.form = form
        self.dtype = "float32" if form is None else "int8"
        self.x = self.tensor("x")

    def tensor(self, name: str, form: tuple[float, int] | None = None) -> int:
        return int(self.graph.tensor(name, SHAPE, self.dtype, *(form or self.form or (None, 0))))

    def number(self, value: float) -> int:
        """Add a constant; int8 ones are stored as 100 steps."""
        name = f"c{len(self.graph.graph.tensors)}"
        if self.form is None:
            return int(self.graph.tensor(name, (1,), "float32", data=[value]))
        stored, scale = (100 if value > 0 else -100, abs(value) / 100) if value else (0, 0.01)
        return int(self.graph.tensor(name, (1,), "int8", scale, data=[stored]))

    def zero(self) -> int:
        """Add a 0 of the tensors' own kind, to choose."""
        form = self.form or (None, 0)
        return int(self.graph.tensor("zero", (1,), self.dtype, *form, data=[form[1]]))

    def truth(self, op: str, *inputs: int) -> int:
        name = f"b{len(self.graph.graph.tensors)}"
        result = int(self.graph.tensor(name, SHAPE, "bool"))
        version = 2 if self.form and not op.startswith("LOGICAL") else 1
        self.graph.op(op, list(inputs), result, version, _OPTIONS[op]())
        return result

    def times(self, value: float, form: tuple[float, int] | None = None) -> int:
        result = self.tensor(f"t{len(self.graph.graph.tensors)}", form)
        version = 2 if self.form else 1
        self.graph.op("MUL", [self.x, self.number(value)], result, version, schema.MulOptionsT())
        return result

    def select(
        self, condition: int, one: int, other: int, op: str = "SELECT", ends: Any = None
    ) -> bytes:
        y = self.tensor("net/choose/y")
        self.graph.op(op, [condition, one, other], y, 1, _SELECTS[op]())
        return bytes(self.graph.build(ends or [self.x], [y]))

    def cast(self, condition: int, ends: Any = None) -> bytes:
        y = int(self.graph.tensor("net/choose/y", SHAPE, "float32"))
        options = schema.CastOptionsT(
            inDataType=schema.TensorType.BOOL, outDataType=schema.TensorType.FLOAT32
        )
        self.graph.op("CAST", [condition], y, 1, options)
        return bytes(self.graph.build(ends or [self.x], [y]))


def _leaky(choices: Choices, comparison: str, slope: float, *, number_first: bool) -> bytes:
    pair = [choices.x, choices.number(0)]
    condition = choices.truth(comparison, *(pair[::-1] if number_first else pair))
    below = choices.times(slope) if slope else choices.zero()
    branches = [choices.x, below]
    above = (comparison in ABOVE) != number_first
    # A branch of one number is for the second kind of SELECT.
    op = "SELECT" if slope else "SELECT_V2"
    return choices.select(condition, *(branches if above else branches[::-1]), op=op)


@many
@given(
    comparison=st.sampled_from((*ABOVE, *BELOW)),
    number_first=st.booleans(),
    slope=st.one_of(st.just(0.0), st.floats(0.02, 0.99), st.floats(-1, -0.02)),
    form=st.one_of(st.none(), st.tuples(st.floats(0.01, 0.2), st.integers(-128, 127))),
)
def test_every_choice_by_the_sign(
    tiny_graph: Build,
    mend_with: Build,
    comparison: str,
    number_first: bool,
    slope: float,
    form: Any,
) -> None:
    data = _leaky(Choices(tiny_graph, form), comparison, slope, number_first=number_first)
    result = mend_with(data, LEAKY)
    assert result.ops == ["LEAKY_RELU" if slope else "RELU"]
    assert result.steps <= (1 if form else 1e-6)


def _maximum(choices: Choices, slope: float) -> bytes:
    y = choices.tensor("y")
    options = schema.MaximumMinimumOptionsT()
    version = 2 if choices.form else 1
    choices.graph.op("MAXIMUM", [choices.times(slope), choices.x], y, version, options)
    return bytes(choices.graph.build([choices.x], [y]))


@pytest.mark.parametrize("form", [None, (0.05, 3)])
@pytest.mark.parametrize("slope", [0.1, 0.9, -1.0])
def test_the_larger_of_a_number_and_a_part_of_it(
    tiny_graph: Build, mend_with: Build, slope: float, form: Any
) -> None:
    result = mend_with(_maximum(Choices(tiny_graph, form), slope), LEAKY)
    assert result.ops == ["LEAKY_RELU"]
    assert result.steps <= (1 if form else 1e-6)


def test_a_larger_multiple_stays(tiny_graph: Build, mend_with: Build) -> None:
    assert not mend_with(_maximum(Choices(tiny_graph), 2.0), LEAKY, accept).done


@pytest.mark.parametrize("form", [(0.05, 3), None])
def test_other_choices_are_not_by_the_sign(tiny_graph: Build, mend_with: Build, form: Any) -> None:
    choices = Choices(tiny_graph, form)
    raised = _beyond(choices, "GREATER", 0.4)
    data = choices.select(raised, choices.x, choices.times(0.1))
    assert not mend_with(data, LEAKY, accept).done
    choices = Choices(tiny_graph, form)
    equal = _beyond(choices, "EQUAL", 0)
    data = choices.select(equal, choices.x, choices.times(0.1))
    assert not mend_with(data, LEAKY, accept).done


def _beyond(choices: Choices, op: str, number: float) -> int:
    return choices.truth(op, choices.x, choices.number(number))


CONDITIONS: dict[str, Callable[[Choices, float, float], int]] = {
    "GREATER": lambda f, low, _: _beyond(f, "GREATER", low),
    "GREATER_EQUAL": lambda f, low, _: _beyond(f, "GREATER_EQUAL", low),
    "LESS": lambda f, _, high: _beyond(f, "LESS", high),
    "LESS_EQUAL": lambda f, _, high: _beyond(f, "LESS_EQUAL", high),
    "number_first": lambda f, low, _: f.truth("GREATER", f.number(low), f.x),
    "between": lambda f, low, high: f.truth(
        "LOGICAL_AND", _beyond(f, "GREATER", low), _beyond(f, "LESS_EQUAL", high)
    ),
    "outside": lambda f, low, high: f.truth(
        "LOGICAL_OR", _beyond(f, "LESS", low), _beyond(f, "GREATER", high)
    ),
    "not": lambda f, low, _: f.truth("LOGICAL_NOT", _beyond(f, "LESS", low)),
}


@many
@given(
    condition=st.sampled_from(sorted(CONDITIONS)),
    bounds=st.tuples(st.floats(-0.9, -0.01), st.floats(0.1, 0.9)),
    branches=st.sampled_from(("x_0", "0_x", "x_t", "t_x", "t_c")),
    scale=st.floats(0.01, 0.2),
    zero_point=st.integers(-20, 20),
)
def test_every_choice_by_numbers(
    tiny_graph: Build,
    mend_with: Build,
    condition: str,
    bounds: tuple[float, float],
    branches: str,
    scale: float,
    zero_point: int,
) -> None:
    choices = Choices(tiny_graph, (scale, zero_point))
    low, high = (bound * 100 * scale for bound in bounds)
    truth = CONDITIONS[condition](choices, low, high)
    held = {
        "x": lambda: choices.x,
        "t": lambda: choices.times(-0.5),
        "0": choices.zero,
        "c": lambda: choices.graph.tensor("some", (1,), "int8", scale, zero_point, [70]),
    }
    one, other = (held[name]() for name in branches.split("_"))
    scalar = set("0c") & set(branches)
    data = choices.select(truth, one, other, "SELECT_V2" if scalar else "SELECT")
    result = mend_with(data, NUMBERS)
    assert "MINIMUM" in result.ops, result.refusals
    assert not {"SELECT", "SELECT_V2", *CONDITIONS} & set(result.ops)
    assert result.steps <= 1


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_truth_that_becomes_a_number(tiny_graph: Build, mend_with: Build, condition: str) -> None:
    choices = Choices(tiny_graph)
    result = mend_with(choices.cast(CONDITIONS[condition](choices, -2.0, 3.0)), NUMBERS)
    assert result.done
    assert result.steps == 0


@many
@given(
    comparison=st.sampled_from(sorted(op for op in _OPTIONS if not op.startswith("LOGICAL"))),
    branches=st.sampled_from(("", "x_0", "0_x", "x_other", "other_x")),
    scale=st.floats(1 / 256, 0.99),  # the runtime has no others right
    zero_point=st.integers(-128, 127),
)
def test_every_comparison_of_two(
    tiny_graph: Build, mend_with: Build, comparison: str, branches: str, scale: float,
    zero_point: int,
) -> None:  # fmt: skip
    choices = Choices(tiny_graph, (scale, zero_point))
    other = choices.tensor("other")
    truth = choices.truth(comparison, choices.x, other)
    ends = [choices.x, other]
    if branches:
        held = {"x": lambda: choices.x, "other": lambda: other, "0": choices.zero}
        pair = [held[name]() for name in branches.split("_")]
        data = choices.select(truth, *pair, "SELECT_V2" if "0" in branches else "SELECT", ends)
    else:
        data = choices.cast(truth, ends)
    result = mend_with(data, NUMBERS)
    assert result.done, result.refusals
    # On noise few are equal.
    rng = np.random.default_rng(3)
    values = rng.integers(-128, 128, SHAPE)
    near = np.clip(values + rng.integers(-2, 3, SHAPE), -128, 127)
    given_to = [array.astype(np.int8) for array in (values, near)]
    before, after = (open_model(d, Delegate.CPU).run(*given_to) for d in (data, result.data))
    assert before[0].tobytes() == after[0].tobytes()


def test_two_compared_leave_nothing_outside(tiny_graph: Build) -> None:
    choices = Choices(tiny_graph)
    other = choices.tensor("other")
    data = choices.cast(choices.truth("EQUAL", choices.x, other), [choices.x, other])
    assert {node.op for node in open_model(data).outside} == {"EQUAL", "CAST"}
    result = mend_model(data)
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())


@pytest.mark.parametrize(
    ("rewrite", "slope"), [(LEAKY, 0.1), (LEAKY, -1.0), (NUMBERS, 0.1), (NUMBERS, 0.0)]
)
def test_nothing_is_outside(tiny_graph: Build, rewrite: Any, slope: float) -> None:
    data = _leaky(Choices(tiny_graph), "GREATER", slope, number_first=False)
    assert {node.op for node in open_model(data).outside} >= {"GREATER"}
    result = mend_model(data, rewrites=(rewrite,))
    assert [record.rewrite for record in result.records] == [rewrite.name]
    assert open_model(result.data).outside == ()


def test_what_is_no_comparison_with_numbers_is_refused(tiny_graph: Build, mend_with: Build) -> None:
    choices = Choices(tiny_graph)
    other = choices.times(-0.5, (0.07, 3))
    data = choices.cast(choices.truth("GREATER", choices.x, other))
    (reason,) = mend_with(data, NUMBERS, accept).refusals
    assert "different scales" in reason
    choices = Choices(tiny_graph, (0.0039, 3))
    data = choices.cast(choices.truth("GREATER", choices.x, choices.times(-0.5)))
    (reason,) = mend_with(data, NUMBERS, accept).refusals
    assert "for equal" in reason
    choices = Choices(tiny_graph)
    above = choices.truth("GREATER", choices.x, choices.times(-0.5))
    both = choices.truth("LOGICAL_AND", above, _beyond(choices, "LESS", 0.4))
    (reason,) = mend_with(choices.cast(both), NUMBERS, accept).refusals
    assert "more than one int8 tensor" in reason
    choices = Choices(tiny_graph)
    one = choices.graph.tensor("one", SHAPE, "int8", 0.07, 3)
    choices.graph.op("QUANTIZE", [choices.x], one, 2)
    data = choices.select(_beyond(choices, "LESS", 0.4), choices.x, one)
    (reason,) = mend_with(data, NUMBERS, accept).refusals
    assert "int8 of one scale" in reason
    choices = Choices(tiny_graph)
    beyond = _beyond(choices, "GREATER", 8.0)
    (reason,) = mend_with(choices.select(beyond, choices.x, choices.x), NUMBERS, accept).refusals
    assert "changes at no integer" in reason


def test_float_choices_stay(tiny_graph: Build, mend_with: Build) -> None:
    choices = Choices(tiny_graph, None)
    above = _beyond(choices, "GREATER", 0.4)
    result = mend_with(choices.select(above, choices.x, choices.times(0.5)), NUMBERS, accept)
    assert not result.done
    assert "exact in half precision" in result.refusals[0]


def test_numbers_that_int8_compares_in_float_stay(tiny_graph: Build, mend_with: Build) -> None:
    choices = Choices(tiny_graph)
    unpacked = choices.graph.tensor("unpacked", SHAPE, "float32")
    choices.graph.op("DEQUANTIZE", [choices.x], unpacked, 2)
    limit = choices.graph.tensor("limit", (1,), "float32", data=[0.4])
    above = choices.truth("GREATER", unpacked, limit)
    (reason,) = mend_with(choices.cast(above), NUMBERS, accept).refusals
    assert "in float in an int8 file" in reason


@pytest.mark.parametrize("fault", ["slope", "kind"])
def test_a_broken_slope_is_caught(
    tiny_graph: Build, mend_with: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def wrong(name: str, version: int, options: Any = None) -> Op:
        if fault == "slope":
            options.alpha = -options.alpha
            return Op(name, version, options)
        return Op("RELU", version)

    monkeypatch.setattr(select_to_leaky_relu, "Op", wrong)
    data = _leaky(Choices(tiny_graph), "GREATER", 0.5, number_first=False)
    result = mend_with(data, LEAKY)
    assert not result.done
    assert "steps on the built-in kernels" in result.refusals[0]


@pytest.mark.parametrize("fault", ["late", "turned"])
def test_a_broken_peak_is_caught(
    tiny_graph: Build, mend_with: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    peak = choice_to_numbers._Built._peak

    def wrong(built: Any, source: Any, at: int, *, inverted: bool, output: Any) -> int:
        at, inverted = (at + 1, inverted) if fault == "late" else (at, not inverted)
        return peak(built, source, at, inverted=inverted, output=output)

    monkeypatch.setattr(choice_to_numbers._Built, "_peak", wrong)
    choices = Choices(tiny_graph)
    other = choices.tensor("other")
    data = choices.cast(choices.truth("EQUAL", choices.x, other), [choices.x, other])
    result = mend_with(data, NUMBERS)
    assert not result.done
    assert "the output moves by" in result.refusals[0]


@pytest.mark.parametrize("fault", ["late", "flat", "turned"])
def test_a_broken_line_is_caught(
    tiny_graph: Build, mend_with: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    line = choice_to_numbers._Built._line

    def wrong(built: Any, source: Any, at: int, sign: int, *, clamped: bool) -> int:
        at, sign = {"late": (at + 9, sign), "turned": (at, -sign)}.get(fault, (at, sign))
        return line(built, source, at, sign, clamped=clamped and fault != "flat")

    monkeypatch.setattr(choice_to_numbers._Built, "_line", wrong)
    choices = Choices(tiny_graph)
    above = _beyond(choices, "GREATER", 1.0)
    result = mend_with(choices.select(above, choices.x, choices.times(-0.5)), NUMBERS)
    assert not result.done
    assert "steps on the built-in kernels" in result.refusals[0]

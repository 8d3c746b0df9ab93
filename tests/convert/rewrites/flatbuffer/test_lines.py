"""Numbers per channel, signs and quotients in int8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.channel_line import (
    ChannelLine,
    MergeChannelLine,
)
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.scalar_factor import ScalarFactor
from portrait_tflite.convert.rewrites.flatbuffer.to_leaky_relu import ToLeakyRelu

from .drawing import many

Build = Callable[..., Any]
SHAPE = (1, 16, 16, 4)
points = st.integers(-128, 127)
OPTIONS = {
    "MUL": schema.MulOptionsT,
    "ADD": schema.AddOptionsT,
    "SUB": schema.SubOptionsT,
    "DIV": schema.DivOptionsT,
}


def _numbers(seed: int, low: int = -127) -> list[int]:
    return [int(n) for n in np.random.default_rng(seed).integers(low, 128, 4)]


def _line(graph: Any, seed: int, forms: Any, read_twice: bool = False) -> bytes:
    """Build `x · m + t` in two ops; forms are (scale, zero point) of x, product and y."""
    x = graph.tensor("x", SHAPE, "int8", *forms[0])
    m = graph.tensor("m", (4,), "int8", 0.01, 0, data=_numbers(seed))
    t = graph.tensor("t", (4,), "int8", 0.005, 7, data=_numbers(seed + 1))
    product = graph.tensor("net/norm/mul", SHAPE, "int8", *forms[1])
    y = graph.tensor("net/norm/add", SHAPE, "int8", *forms[2])
    graph.op("MUL", [x, m], product, 2, schema.MulOptionsT())
    graph.op("ADD", [product, t], y, 2, schema.AddOptionsT())
    return bytes(graph.build([x], [y, product] if read_twice else [y]))


@many
@given(seed=st.integers(0, 999), zero_points=st.tuples(points, points), spread=st.floats(1, 3))
def test_every_line_of_two_ops_is_one(
    tiny_graph: Build, mend_with: Build, seed: int, zero_points: Any, spread: float
) -> None:
    # the product's 0.012 · 127 · 255 / 100 steps fit its int8, and so does the sum
    forms = ((0.01, zero_points[0]), (0.04 * spread, 0), (0.045 * spread, 0))
    result = mend_with(_line(tiny_graph(), seed, forms), MergeChannelLine(), accept)
    assert result.ops == ["DEPTHWISE_CONV_2D"]
    assert result.steps <= 1


def test_a_merged_line_says_how_far_it_moves(tiny_graph: Build) -> None:
    data = _line(tiny_graph(), 3, ((0.01, 3), (0.04, 0), (0.045, 0)))
    result = mend_model(data, rewrites=(MergeChannelLine(),))
    (record,) = result.records
    assert (record.rewrite, record.layer, record.exact) == ("merge_channel_line", "norm", False)
    assert record.max_abs_error == pytest.approx(0.045, rel=1e-5)
    assert 0 < record.max_rel_error < 0.05
    assert result.whole is not None
    assert result.whole.max_abs_error == pytest.approx(0.045, rel=1e-5)


def test_a_product_that_is_cut_off_stays(tiny_graph: Build) -> None:
    data = _line(tiny_graph(), 3, ((0.05, 3), (0.01, 0), (0.045, 0)))
    result = mend_model(data, rewrites=(MergeChannelLine(),))
    assert result.data is data
    assert "steps" in result.skipped[0].reason


def test_a_product_that_another_reads_stays(tiny_graph: Build, mend_with: Build) -> None:
    data = _line(tiny_graph(), 3, ((0.01, 3), (0.04, 0), (0.045, 0)), read_twice=True)
    assert "another op" in mend_with(data, MergeChannelLine(), accept).refusals[0]


@many
@given(
    op=st.sampled_from(["MUL", "ADD", "SUB"]),
    seed=st.integers(0, 999),
    scales=st.tuples(st.floats(0.005, 0.1), st.floats(0.005, 0.05)),
    zero_points=st.tuples(points, points),
    activation=st.integers(0, 1),
)
def test_every_op_per_channel_is_a_line(
    one_op: Build, mend_with: Build, op: str, seed: int, scales: Any, zero_points: Any,
    activation: int,
) -> None:  # fmt: skip
    constant = ((4,), "int8", scales[1], 7, _numbers(seed))
    x, y = (SHAPE, "int8", scales[0], zero_points[0]), (SHAPE, "int8", 0.03, zero_points[1])
    options = OPTIONS[op](fusedActivationFunction=activation)
    result = mend_with(one_op(op, x, y, constant, options=options), ChannelLine(), accept)
    assert result.ops == ["DEPTHWISE_CONV_2D"]
    assert result.steps <= 1


def test_a_line_that_costs_more_stays(tiny_graph: Build, mend_with: Build) -> None:
    graph = tiny_graph()
    shape = (1, 4, 4, 128)
    numbers = np.random.default_rng(0).integers(-127, 128, 128)
    x, y = (graph.tensor(name, shape, "int8", 0.03, 3) for name in "xy")
    t = graph.tensor("t", (128,), "int8", 0.01, 0, data=numbers)
    graph.op("MUL", [x, t], y, 2, schema.MulOptionsT())
    assert "nothing gained" in mend_with(graph.build([x], [y]), ChannelLine()).refusals[0]


@many
@given(
    seed=st.integers(0, 999),
    scale=st.floats(0.005, 0.02),  # DIV's kernel is wrong where the quotient is near 0
    zero_points=st.tuples(points, points),
    single=st.booleans(),
)
def test_every_quotient_is_a_product(
    one_op: Build, mend_with: Build, seed: int, scale: float, zero_points: Any, single: bool
) -> None:
    numbers = [int(n) for n in np.random.default_rng(seed).integers(20, 128, 1 if single else 4)]
    constant = ((len(numbers),), "int8", scale, 0, numbers)
    x, y = (SHAPE, "int8", 0.05, zero_points[0]), (SHAPE, "int8", 0.03, zero_points[1])
    data = one_op("DIV", x, y, constant, version=1, options=schema.DivOptionsT())
    result = mend_with(data, ScalarFactor() if single else ChannelLine(), accept)
    assert result.ops == (["MUL"] if single else ["DEPTHWISE_CONV_2D"])
    assert result.steps <= 1


def test_a_quotient_that_the_kernel_gets_wrong_stays(one_op: Build, mend_with: Build) -> None:
    x, y = (SHAPE, "int8", 0.05, 0), (SHAPE, "int8", 0.03, 0)
    constant = ((1,), "int8", 0.125, 0, [111])  # DIV makes -128 of -2 / 277
    data = one_op("DIV", x, y, constant, version=1, options=schema.DivOptionsT())
    assert not mend_with(data, ScalarFactor()).done


def test_a_quotient_by_zero_stays(one_op: Build, mend_with: Build) -> None:
    x = (SHAPE, "int8", 0.05, 3)
    data = one_op("DIV", x, x, ((1,), "int8", 0.1, 0, [0]), version=1, options=schema.DivOptionsT())
    for rewrite in (ScalarFactor(), ChannelLine()):
        assert not rewrite.apply(_read(data)).mended


def _negative(graph: Any, scale: float, ratio: float) -> bytes:
    x = graph.tensor("x", SHAPE, "int8", scale, 0)
    less, y = (graph.tensor(f"net/{n}/op", SHAPE, "int8", scale * ratio, 0) for n in ("less", "y"))
    graph.op("QUANTIZE", [x], less, 2)
    graph.op("NEG", [less], y, 1, schema.NegOptionsT())
    return bytes(graph.build([x], [y]))


@many
@given(scale=st.floats(0.005, 0.5), ratio=st.floats(1.01, 3))
def test_every_change_of_sign_is_a_product(
    tiny_graph: Build, mend_with: Build, scale: float, ratio: float
) -> None:
    result = mend_with(_negative(tiny_graph(), scale, ratio), ScalarFactor(), accept)
    assert (result.ops, result.steps) == (["QUANTIZE", "MUL"], 0)


@pytest.mark.parametrize(("ratio", "done"), [(1.1, True), (0.9, False)])
def test_a_change_of_sign_that_meets_the_least_integer_stays(
    tiny_graph: Build, ratio: float, done: bool
) -> None:
    # NEG leaves -128 as it is
    result = mend_model(_negative(tiny_graph(), 0.05, ratio), rewrites=(ScalarFactor(),))
    assert bool(result.records) is done
    assert done or "moves by 255 steps" in result.skipped[0].reason


def test_a_change_of_sign_with_zero_points_stays(one_op: Build, mend_with: Build) -> None:
    x = (SHAPE, "int8", 0.05, 3)
    data = one_op("NEG", x, x, version=1, options=schema.NegOptionsT())
    assert "zero points" in mend_with(data, ScalarFactor()).refusals[0]


@many
@given(
    scale=st.floats(0.005, 0.5),
    ratio=st.floats(0.3, 3),
    zero_points=st.tuples(points, points),
    slope=st.integers(-127, 127).filter(bool),
    absolute=st.booleans(),
)
def test_every_single_slope_is_a_leaky_relu(
    one_op: Build, mend_with: Build, scale: float, ratio: float, zero_points: Any, slope: int,
    absolute: bool,
) -> None:  # fmt: skip
    tensors = (SHAPE, "int8", scale, zero_points[0]), (SHAPE, "int8", scale * ratio, zero_points[1])
    if absolute:
        data = one_op("ABS", *tensors, options=schema.AbsOptionsT())
    else:
        alpha = ((1, 1, 4), "int8", 0.01, 0, [slope] * 4)
        data = one_op("PRELU", *tensors, alpha, version=1)
    result = mend_with(data, ToLeakyRelu(), accept)
    assert result.ops == ["LEAKY_RELU"]
    assert result.steps <= 1


def test_a_slope_of_zero_stays(one_op: Build, mend_with: Build) -> None:
    x = (SHAPE, "int8", 0.05, 3)
    data = one_op("PRELU", x, x, ((1, 1, 4), "int8", 0.01, 0, [0] * 4), version=1)
    assert mend_with(data, ToLeakyRelu()).refusals == ["its slope is 0"]


def _read(data: bytes) -> Any:
    from portrait_tflite.convert.files.flatbuffer import read_model

    return read_model(data)

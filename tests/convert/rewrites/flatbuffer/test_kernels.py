"""Ops that XNNPACK has not in int8, by others that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.add_in_range import AddInRange
from portrait_tflite.convert.rewrites.flatbuffer.average_pool import AveragePool
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.softmax_to_logistic import SoftmaxToLogistic
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

from .drawing import many

Build = Callable[..., Any]
SHAPE = (1, 16, 16, 4)
PROBABILITY = ("int8", 1 / 256, -128)
points = st.integers(-128, 127)


# softmax


@many
@given(
    reach=st.floats(0.05, 0.5),
    beta=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
    zero_point=points,
    shape=st.sampled_from([(1, 16, 16, 2), (1, 256, 2), (64, 2), (1, 3, 5, 7, 2)]),
    unsigned=st.booleans(),
)
def test_every_softmax_of_two_is_a_sigmoid(
    one_op: Build, mend_with: Build, reach: float, beta: float, zero_point: int, shape: Any,
    unsigned: bool,
) -> None:  # fmt: skip
    dtype, shift = ("uint8", 128) if unsigned else ("int8", 0)
    options = schema.SoftmaxOptionsT(beta=beta)
    source = (shape, dtype, reach / beta, zero_point + shift)
    target = (shape, dtype, 1 / 256, shift - 128)
    result = mend_with(
        one_op("SOFTMAX", source, target, options=options), SoftmaxToLogistic(), accept
    )
    assert "LOGISTIC" in result.ops
    assert "SOFTMAX" not in result.ops
    assert result.steps <= 1


@many
@given(
    beta=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
    shape=st.sampled_from([(1, 16, 16, 2), (1, 256, 2), (64, 2), (1, 3, 5, 7, 2)]),
    seed=st.integers(0, 1 << 16),
)
def test_every_float_softmax_of_two_is_a_sigmoid(
    one_op: Build, mend_with: Build, beta: float, shape: Any, seed: int
) -> None:
    real = (shape, "float32")
    options = schema.SoftmaxOptionsT(beta=beta)
    data = one_op("SOFTMAX", real, real, options=options, version=1)
    result = mend_with(data, SoftmaxToLogistic(), accept, seed)
    assert "LOGISTIC" in result.ops
    assert result.steps <= 1e-6


def test_a_float_softmax_is_a_sigmoid_where_that_is_cheaper(one_op: Build) -> None:
    options = schema.SoftmaxOptionsT(beta=1.0)
    for channels, done in ((2, True), (3, False)):
        real = ((1, 64, 64, channels), "float32")
        data = one_op("SOFTMAX", real, real, options=options, version=1)
        found = mend_model(data, rewrites=(SoftmaxToLogistic(),))
        assert [(r.rewrite, r.exact) for r in found.records] == [
            ("softmax_to_logistic", True)
        ] * done
        assert mend_model(data, delegate=Delegate.GPU).records == ()


@pytest.mark.parametrize(
    ("channels", "scale", "beta", "reason"),
    [
        (3, 0.1, 1, "3 classes"),
        (2, 0.005, 1, "differences reach further than int8"),
        (2, 0.05, 0.5, "differences reach further than int8"),
    ],
)
def test_a_softmax_that_is_no_sigmoid_stays(
    one_op: Build, mend_with: Build, channels: int, scale: float, beta: float, reason: str
) -> None:
    shape = (1, 16, 16, channels)
    options = schema.SoftmaxOptionsT(beta=beta)
    data = one_op("SOFTMAX", (shape, "int8", scale, 0), (shape, *PROBABILITY), options=options)
    assert reason in mend_with(data, SoftmaxToLogistic(), accept).refusals[0]


def test_a_softmax_that_is_written_in_16_bits_stays(one_op: Build, mend_with: Build) -> None:
    wide = ("int16", 1 / 32768, 0)
    shape = (1, 16, 16, 2)
    options = schema.SoftmaxOptionsT(beta=1)
    data = one_op("SOFTMAX", (shape, "int8", 0.1, 0), (shape, *wide), options=options)
    assert mend_with(data, SoftmaxToLogistic(), accept).refusals == [
        "LOGISTIC has another output scale"
    ]


# average pool


def _pool(
    one_op: Build,
    size: Any,
    window: Any,
    strides: Any,
    form: Any,
    padding: int,
    act: int = 0,
    dtype: str = "int8",
) -> bytes:
    if padding == 0:
        out = [-(-n // s) for n, s in zip(size[:2], strides, strict=True)]
    else:
        out = [(n - w) // s + 1 for n, w, s in zip(size[:2], window, strides, strict=True)]
    options = schema.Pool2DOptionsT(
        padding=padding, strideW=strides[1], strideH=strides[0],
        filterWidth=window[1], filterHeight=window[0], fusedActivationFunction=act,
    )  # fmt: skip
    shapes = (1, *size), (1, *out, size[2])
    return bytes(one_op("AVERAGE_POOL_2D", *((s, dtype, *form) for s in shapes), options=options))


@many
@given(
    size=st.tuples(st.integers(4, 9), st.integers(4, 9), st.integers(1, 9)),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    form=st.tuples(st.floats(0.005, 0.5), points),
    whole=st.booleans(),
    act=st.integers(0, 1),
    unsigned=st.booleans(),
)
def test_every_pool_inside_the_picture_is_another_op(
    one_op: Build, mend_with: Build, size: Any, window: Any, strides: Any, form: Any, whole: bool,
    act: int, unsigned: bool,
) -> None:  # fmt: skip
    window = size[:2] if whole else window
    dtype, form = ("uint8", (form[0], form[1] + 128)) if unsigned else ("int8", form)
    data = _pool(one_op, size, window, strides, form, 1, act, dtype)
    result = mend_with(data, AveragePool(), accept)
    everything = window == size[:2] and not act
    assert result.ops == ["MEAN" if everything else "DEPTHWISE_CONV_2D"]
    assert result.steps <= 1


@pytest.mark.parametrize(("window", "done"), [((2, 2), True), ((3, 3), False)])
def test_a_pool_over_the_border_stays(
    one_op: Build, mend_with: Build, window: Any, done: bool
) -> None:
    # SAME of 2×2 with stride 2 on an even size adds nothing
    result = mend_with(_pool(one_op, (8, 8, 3), window, (2, 2), (0.05, 3), 0), AveragePool())
    assert result.done is done
    assert done or "border" in result.refusals[0]


# additions that XNNPACK refuses


def _sum(graph: Any, op: str, ratio: float, zero_points: Any) -> bytes:
    a = graph.tensor("a", SHAPE, "int8", 0.05, zero_points[0])
    b = graph.tensor("b", SHAPE, "int8", 0.05 * ratio, zero_points[1])
    y = graph.tensor("net/sum/op", SHAPE, "int8", 0.05, zero_points[2])
    options = schema.AddOptionsT() if op == "ADD" else schema.SubOptionsT()
    graph.op(op, [a, b], y, 2, options)
    return bytes(graph.build([a, b], [y]))


@many
@given(
    op=st.sampled_from(["ADD", "SUB"]),
    exponent=st.floats(-16, -10.1),
    zero_points=st.tuples(points, points, points),
)
def test_every_refused_sum_is_brought_into_range(
    tiny_graph: Build, mend_with: Build, op: str, exponent: float, zero_points: Any
) -> None:
    data = _sum(tiny_graph(), op, 2.0**exponent, zero_points)
    result = mend_with(data, AddInRange(), accept)
    assert result.done, result.refusals
    assert result.steps <= 1


def test_a_sum_that_xnnpack_takes_stays(tiny_graph: Build, mend_with: Build) -> None:
    assert not mend_with(_sum(tiny_graph(), "ADD", 0.5, (0, 0, 0)), AddInRange(), accept).done


@pytest.mark.parametrize(("exponent", "reason"), [(-30, "no QUANTIZE"), (9, "overflow")])
def test_a_sum_too_far_out_stays(
    tiny_graph: Build, mend_with: Build, exponent: int, reason: str
) -> None:
    data = _sum(tiny_graph(), "ADD", 2.0**exponent, (0, 0, 0))
    assert reason in mend_with(data, AddInRange()).refusals[0]


def test_a_small_operand_comes_inside(tiny_graph: Build, mend_with: Build) -> None:
    data = _sum(tiny_graph(), "ADD", 2.0**-11, (0, 0, 0))
    result = mend_with(data, AddInRange())
    assert (len(open_model(data).outside), open_model(result.data).outside) == (1, ())

"""Ops that XNNPACK has not in int8, by others that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.rewrites.flatbuffer.add_in_range import AddInRange
from portrait_tflite.convert.rewrites.flatbuffer.average_pool import AveragePool
from portrait_tflite.convert.rewrites.flatbuffer.merge_pad import MergePad
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.softmax_to_logistic import SoftmaxToLogistic
from portrait_tflite.runtime import open_model

Build = Callable[..., Any]
SHAPE = (1, 16, 16, 4)
PROBABILITY = ("int8", 1 / 256, -128)
many = settings(
    deadline=None,
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
points = st.integers(-128, 127)


# softmax


@many
@given(
    scale=st.floats(0.05, 0.5),
    zero_point=points,
    shape=st.sampled_from([(1, 16, 16, 2), (1, 256, 2), (64, 2), (1, 3, 5, 7, 2)]),
)
def test_every_softmax_of_two_is_a_sigmoid(
    one_op: Build, mend_with: Build, scale: float, zero_point: int, shape: Any
) -> None:
    options = schema.SoftmaxOptionsT(beta=1.0)
    data = one_op(
        "SOFTMAX", (shape, "int8", scale, zero_point), (shape, *PROBABILITY), options=options
    )
    result = mend_with(data, SoftmaxToLogistic(), accept)
    assert "LOGISTIC" in result.ops
    assert "SOFTMAX" not in result.ops
    assert result.steps <= 1


@pytest.mark.parametrize(
    ("channels", "scale", "reason"),
    [(3, 0.1, "3 classes"), (2, 0.005, "moves by")],
)
def test_a_softmax_that_is_no_sigmoid_stays(
    one_op: Build, mend_with: Build, channels: int, scale: float, reason: str
) -> None:
    shape = (1, 16, 16, channels)
    options = schema.SoftmaxOptionsT(beta=1.0)
    data = one_op("SOFTMAX", (shape, "int8", scale, 0), (shape, *PROBABILITY), options=options)
    # at 0.005 a step the difference saturates long before the sigmoid does
    assert reason in mend_with(data, SoftmaxToLogistic()).refusals[0]


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


# padding


def _padded(
    graph: Any, op: str, size: Any, pads: Any, kernel: Any, strides: Any, zero_point: int,
    keep: bool = False,
) -> bytes:  # fmt: skip
    rng = np.random.default_rng(1)
    depth = size[2]
    rows, columns = (n + sum(p) for n, p in zip(size[:2], pads, strict=True))
    x = graph.tensor("x", (1, *size), "int8", 0.05, zero_point)
    amounts = graph.tensor("p", (4, 2), "int32", data=[(0, 0), *pads, (0, 0)])
    wide = graph.tensor("net/pad/op", (1, rows, columns, depth), "int8", 0.05, zero_point)
    graph.op("PAD", [x, amounts], wide, 2, schema.PadOptionsT())
    out = [(n - k) // s + 1 for n, k, s in zip((rows, columns), kernel, strides, strict=True)]
    common = {"padding": 1, "strideW": strides[1], "strideH": strides[0]}
    form = (0.05, zero_point) if op == "MAX_POOL_2D" else (0.2, 5)
    y = graph.tensor("net/next/op", (1, *out, depth), "int8", *form)
    if op == "MAX_POOL_2D":
        options = schema.Pool2DOptionsT(filterWidth=kernel[1], filterHeight=kernel[0], **common)
        graph.op(op, [wide], y, 2, options)
        return bytes(graph.build([x], [y]))
    dilation = {"dilationWFactor": 1, "dilationHFactor": 1}
    scales = rng.uniform(0.004, 0.01, depth)
    shape = (depth, *kernel, depth) if op == "CONV_2D" else (1, *kernel, depth)
    weights = graph.tensor(
        "w",
        shape,
        "int8",
        scales,
        data=rng.integers(-127, 128, shape),
        axis=0 if op == "CONV_2D" else 3,
    )
    bias = graph.tensor("b", (depth,), "int32", scales * 0.05, data=rng.integers(-900, 900, depth))
    if op == "CONV_2D":
        options = schema.Conv2DOptionsT(**common, **dilation)
    else:
        options = schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **common, **dilation)
    graph.op(op, [wide, weights, bias], y, 3, options)
    return bytes(graph.build([x], [y, wide] if keep else [y]))


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


WINDOW_OPS = ["CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"]


@many
@given(
    op=st.sampled_from(WINDOW_OPS),
    size=st.tuples(st.integers(3, 9), st.integers(3, 9), st.integers(1, 4)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    zero_point=points,
    shift=st.integers(0, 1),
)
def test_a_pad_is_merged_where_it_is_what_same_adds(
    tiny_graph: Build, mend_with: Build, op: str, size: Any, kernel: Any, strides: Any,
    zero_point: int, shift: int,
) -> None:  # fmt: skip
    first, second = (_same(*n) for n in zip(size[:2], kernel, strides, strict=True))
    pads = ((first[0] + shift, first[1]), second)
    point = -128 if op == "MAX_POOL_2D" else zero_point
    data = _padded(tiny_graph(), op, size, pads, kernel, strides, point)
    result = mend_with(data, MergePad(), accept)
    assert result.steps == 0
    assert result.done is (shift == 0)


def test_a_pool_of_numbers_below_zero_keeps_its_pad(tiny_graph: Build, mend_with: Build) -> None:
    data = _padded(tiny_graph(), "MAX_POOL_2D", (8, 8, 3), ((0, 1), (0, 1)), (3, 3), (2, 2), 0)
    assert "another number" in mend_with(data, MergePad(), accept).refusals[0]


def test_a_pad_that_another_reads_stays(tiny_graph: Build, mend_with: Build) -> None:
    pads = ((0, 1), (0, 1))
    data = _padded(tiny_graph(), "CONV_2D", (8, 8, 3), pads, (3, 3), (2, 2), 0, keep=True)
    assert "another op" in mend_with(data, MergePad(), accept).refusals[0]


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

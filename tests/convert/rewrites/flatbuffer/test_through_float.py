"""Integer ops that XNNPACK has in float alone, computed in float."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.through_float import ThroughFloat
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

from .drawing import many

Build = Callable[..., Any]
SHAPE = (1, 8, 8, 4)
dtypes = st.sampled_from(["int8", "uint8"])
points = st.integers(0, 255)


def _point(dtype: str, number: int) -> int:
    return number if dtype == "uint8" else number - 128


def _pool(window: int, stride: int) -> Any:
    return schema.Pool2DOptionsT(
        padding=0, strideW=stride, strideH=stride, filterWidth=window, filterHeight=window
    )


@many
@given(dtype=dtypes, reach=st.floats(0.5, 20), low=st.floats(0.1, 10))
def test_every_hard_swish(
    one_op: Build, mend_with: Build, dtype: str, reach: float, low: float
) -> None:
    scale = (reach + low) / 255
    bottom = 0.375 if low > 1.5 else low * (3 - low) / 6
    out = (max(reach * min(reach + 3, 6) / 6, 0.01) + bottom) / 255
    x = (SHAPE, dtype, scale, _point(dtype, round(low / scale)))
    y = (SHAPE, dtype, out, _point(dtype, round(bottom / out)))
    result = mend_with(one_op("HARD_SWISH", x, y, version=1), ThroughFloat())
    assert result.ops == ["DEQUANTIZE", "HARD_SWISH", "QUANTIZE"]
    assert result.steps <= 1


@many
@given(
    seed=st.integers(0, 999),
    ratio=st.floats(1, 3),
    zero_points=st.tuples(points, points),
)
def test_every_prelu_with_slopes_of_its_own(
    one_op: Build, mend_with: Build, seed: int, ratio: float, zero_points: Any
) -> None:
    numbers = np.random.default_rng(seed).integers(-127, 128, 4)
    x = (SHAPE, "int8", 0.05, zero_points[0] - 128)
    y = (SHAPE, "int8", 0.05 * ratio, zero_points[1] - 128)
    data = one_op("PRELU", x, y, ((1, 1, 4), "int8", 0.005, 0, numbers), version=1)
    result = mend_with(data, ThroughFloat(), accept)
    assert result.ops == ["DEQUANTIZE", "PRELU", "QUANTIZE"]
    assert result.steps <= 1


@many
@given(
    dtype=dtypes,
    size=st.tuples(st.integers(3, 9), st.integers(3, 9), st.integers(1, 5)),
    window=st.integers(2, 3),
    stride=st.integers(1, 3),
    form=st.tuples(st.floats(0.01, 0.5), points),
)
def test_every_pool_over_the_border(
    one_op: Build, mend_with: Build, dtype: str, size: Any, window: int, stride: int, form: Any
) -> None:
    scale, point = form[0], _point(dtype, form[1])
    small = (1, -(-size[0] // stride), -(-size[1] // stride), size[2])
    shapes = ((1, *size), small)
    tensors = [(shape, dtype, scale, point) for shape in shapes]
    data = one_op("AVERAGE_POOL_2D", *tensors, options=_pool(window, stride))
    result = mend_with(data, ThroughFloat(), accept)
    assert result.ops == ["DEQUANTIZE", "AVERAGE_POOL_2D", "QUANTIZE"]
    assert result.steps <= 1


@many
@given(
    dtype=dtypes,
    classes=st.integers(2, 8),
    form=st.tuples(st.floats(0.002, 0.3), points),
    beta=st.sampled_from([1.0, 1.0, 0.5]),
)
def test_every_softmax(
    one_op: Build, mend_with: Build, dtype: str, classes: int, form: Any, beta: float
) -> None:
    shape = (1, 8, 8, classes)
    x = (shape, dtype, form[0], _point(dtype, form[1]))
    y = (shape, dtype, 1 / 256, _point(dtype, 0))
    options = schema.SoftmaxOptionsT(beta=beta)
    result = mend_with(one_op("SOFTMAX", x, y, options=options), ThroughFloat(), accept)
    assert result.ops == ["DEQUANTIZE", "SOFTMAX", "QUANTIZE"]
    assert result.steps <= 1


@many
@given(
    forward=st.booleans(),
    scale=st.floats(0.005, 0.5),
    ratio=st.sampled_from([1.0, 1.0, 0.37, 2.9]),
    zero_points=st.tuples(points, points),
)
def test_every_change_between_int8_and_uint8(
    one_op: Build, mend_with: Build, forward: bool, scale: float, ratio: float, zero_points: Any
) -> None:
    kinds = ("uint8", "int8") if forward else ("int8", "uint8")
    forms = zip(kinds, (scale, scale * ratio), zero_points, strict=True)
    x, y = ((SHAPE, kind, size, _point(kind, point)) for kind, size, point in forms)
    result = mend_with(one_op("QUANTIZE", x, y), ThroughFloat(), accept)
    assert result.ops == ["DEQUANTIZE", "QUANTIZE"]
    assert result.steps <= (1 if ratio != 1 else 0)


@many
@given(scale=st.floats(1 / 256, 0.1), out=st.floats(0.02, 0.1), point=st.integers(-20, 127))
def test_every_logarithm(
    one_op: Build, mend_with: Build, scale: float, out: float, point: int
) -> None:
    data = one_op("LOG", (SHAPE, "int8", scale, -128), (SHAPE, "int8", out, point), version=2)
    result = mend_with(data, ThroughFloat(), accept)
    assert result.ops == ["DEQUANTIZE", "LOG", "QUANTIZE"]
    assert result.steps <= 1


def _quotient(graph: Any, scales: Any) -> bytes:
    a, b, y = (
        graph.tensor(name, SHAPE, "int8", scale, point)
        for name, scale, point in zip("aby", scales, (3, -128, 0), strict=True)
    )
    graph.op("DIV", [a, b], y, 1, schema.DivOptionsT())
    return bytes(graph.build([a, b], [y]))


@many
@given(
    scales=st.tuples(st.floats(0.01, 0.1), st.floats(0.01, 0.1)),
    step=st.integers(2, 200),  # how many steps of the output 1 / 1 is
)
def test_every_quotient_of_what_pictures_give(tiny_graph: Build, scales: Any, step: int) -> None:
    data = _quotient(tiny_graph(), (*scales, scales[0] / scales[1] / step))
    rng = np.random.default_rng(step)
    # Below half a step the integer kernel makes -128 of the quotient; 0 stops it.
    pairs = [
        (rng.integers(-128, 128, SHAPE, np.int8), rng.integers(-127, step - 128, SHAPE, np.int8))
        for _ in range(2)
    ]
    result = mend_model(data, pairs, (ThroughFloat(),))
    assert [record.rewrite for record in result.records] == ["through_float"], result.skipped
    before, after = (open_model(one, Delegate.CPU) for one in (data, result.data))
    for pair in pairs:
        old, new = (runner.run(*pair)[0].astype(int) for runner in (before, after))
        assert np.abs(old - new).max() <= 1
    assert open_model(result.data).outside == ()


@pytest.mark.parametrize(
    ("op", "options", "version"),
    [
        ("HARD_SWISH", None, 1),
        ("AVERAGE_POOL_2D", _pool(3, 1), 2),
        ("RELU", None, 2),
    ],
)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_the_op_comes_inside(
    one_op: Build, op: str, options: Any, version: int, dtype: str
) -> None:
    x = (SHAPE, dtype, 0.05, _point(dtype, 100))
    data = one_op(op, x, x, version=version, options=options)
    assert [node.op for node in open_model(data).outside] == [op]
    result = mend_model(data, rewrites=(ThroughFloat(),))
    (record,) = result.records
    assert record.rewrite == "through_float"
    assert open_model(result.data).outside == ()
    assert open_model(result.data).partitions == 1


def test_a_file_of_unsigned_ends_is_one_partition(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("image", SHAPE, "uint8", 1 / 255, 0)
    a, b = (graph.tensor(f"net/{n}/op", SHAPE, "int8", 1 / 255, -128) for n in "ab")
    y = graph.tensor("mask", SHAPE, "uint8", 1 / 255, 0)
    graph.op("QUANTIZE", [x], a, 2)
    graph.op("ADD", [a, a], b, 2, schema.AddOptionsT())
    graph.op("QUANTIZE", [b], y, 2)
    data = graph.build([x], [y])
    assert [node.op for node in open_model(data).outside] == ["QUANTIZE"] * 2
    result = mend_model(data)
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert all(record.exact for record in result.records)


@pytest.mark.parametrize(
    ("op", "tensor"),
    [("HARD_SWISH", (SHAPE, "float32", None, 0)), ("QUANTIZE", (SHAPE, "int8", 0.05, 3))],
)
def test_what_xnnpack_takes_stays(one_op: Build, mend_with: Build, op: str, tensor: Any) -> None:
    version = 1 if op == "HARD_SWISH" else 2
    data = one_op(op, tensor, tensor, version=version)
    assert not mend_with(data, ThroughFloat(), accept).done


def test_integers_that_stand_for_nothing_stay(one_op: Build, mend_with: Build) -> None:
    data = one_op("RELU", (SHAPE, "int8", None, 0), (SHAPE, "int8", None, 0))
    assert mend_with(data, ThroughFloat(), accept).refusals == [
        "not all its tensors have one scale"
    ]

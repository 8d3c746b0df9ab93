"""Pools of single pixels, which XNNPACK refuses where they have a stride."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.subsampling import Subsampling
from portrait_tflite.runtime import open_model

Build = Callable[..., Any]
FORMS = {"float32": (None, 0), "int8": (0.05, 3), "uint8": (0.05, 131)}
POOLS = ("MAX_POOL_2D", "AVERAGE_POOL_2D")


def _pool(
    one_op: Build, op: str, size: Any, strides: Any, dtype: str, *, window: Any = (1, 1),
    padding: int = 1, act: int = 0, form: Any = None, target: Any = None,
) -> bytes:  # fmt: skip
    form = form or FORMS[dtype]
    out = [(n - w) // s + 1 for n, w, s in zip(size[:2], window, strides, strict=True)]
    options = schema.Pool2DOptionsT(
        padding=padding, strideW=strides[1], strideH=strides[0],
        filterWidth=window[1], filterHeight=window[0], fusedActivationFunction=act,
    )  # fmt: skip
    source = ((1, *size), dtype, *form)
    result = ((1, *out, size[2]), dtype, *(target or form))
    return bytes(one_op(op, source, result, options=options, version=1 if not form[0] else 2))


@settings(
    deadline=None,
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    op=st.sampled_from(POOLS),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    strides=st.tuples(st.integers(1, 4), st.integers(1, 4)).filter(lambda s: s != (1, 1)),
    dtype=st.sampled_from(sorted(FORMS)),
    scale=st.floats(1e-4, 5.0),
    zero_point=st.integers(0, 255),
    padding=st.integers(0, 1),
    act=st.sampled_from([0, 1, 3]),
)
def test_every_pool_of_pixels_is_a_depthwise_convolution(
    one_op: Build, mend_with: Build, op: str, size: Any, strides: Any, dtype: str, scale: float,
    zero_point: int, padding: int, act: int,
) -> None:  # fmt: skip
    form = (None, 0) if dtype == "float32" else (scale, zero_point - 128 * (dtype == "int8"))
    data = _pool(one_op, op, size, strides, dtype, padding=padding, act=act, form=form)
    result = mend_with(data, Subsampling(), accept)
    assert result.ops == ["DEPTHWISE_CONV_2D"]
    assert result.steps == 0


@pytest.mark.parametrize("dtype", sorted(FORMS))
@pytest.mark.parametrize("op", POOLS)
def test_it_comes_inside_xnnpack(one_op: Build, op: str, dtype: str) -> None:
    data = _pool(one_op, op, (16, 16, 4), (2, 2), dtype)
    assert [node.op for node in open_model(data).outside] == [op]
    result = mend_model(data)
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert "subsampling" in {record.rewrite for record in result.records}


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ({"strides": (1, 1)}, "the pool does nothing, and is delegated"),
        ({"window": (2, 2)}, "it chooses among pixels"),
        ({"target": (0.06, 3)}, "a pool hands the numbers on as they are"),
    ],
)
def test_another_pool_stays(one_op: Build, mend_with: Build, details: Any, why: str) -> None:
    strides = details.pop("strides", (2, 2))
    data = _pool(one_op, "MAX_POOL_2D", (8, 8, 3), strides, "int8", **details)
    assert mend_with(data, Subsampling()).ops == ["MAX_POOL_2D"], why

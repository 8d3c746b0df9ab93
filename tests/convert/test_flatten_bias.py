"""The bias of a transposed convolution, in the one rank that XNNPACK accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.flatbuffer import read_model
from portrait_tflite.convert.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.flatten_bias import FlattenBias
from portrait_tflite.runtime import open_model

Build = Callable[..., Any]
RunOnce = Callable[[bytes], list[bytes]]


def _transposed(graph: Any, bias_shape: tuple[int, ...], shared: bool = False) -> bytes:
    rng = np.random.default_rng(0)
    scales = rng.uniform(0.004, 0.01, 3)
    x = graph.tensor("x", (1, 4, 4, 2), "int8", 0.05, 3)
    shape = graph.tensor("shape", (4,), "int32", data=[1, 4, 4, 3])
    weights = graph.tensor(
        "w", (3, 3, 3, 2), "int8", scales, data=rng.integers(-127, 128, (3, 3, 3, 2))
    )
    axis = len(bias_shape) - 1
    bias = graph.tensor(
        "b", bias_shape, "int32", scales * 0.05, data=rng.integers(-3000, 3000, 3), axis=axis
    )
    y = graph.tensor("net/up/BiasAdd", (1, 4, 4, 3), "int8", 0.04, -1)
    options = schema.TransposeConvOptionsT(strideW=1, strideH=1)
    graph.op("TRANSPOSE_CONV", [shape, weights, x, bias], y, 4, options)
    if not shared:
        return bytes(graph.build([x], [y]))
    twice = graph.tensor("net/again/BiasAdd", (1, 4, 4, 3), "int8", 0.04, -1)
    graph.op("TRANSPOSE_CONV", [shape, weights, x, bias], twice, 4, options)
    return bytes(graph.build([x], [y, twice]))


def test_a_bias_of_four_dimensions_is_flattened(tiny_graph: Build, run_once: RunOnce) -> None:
    data = _transposed(tiny_graph(), (1, 1, 1, 3))
    assert [node.op for node in open_model(data).outside] == ["TRANSPOSE_CONV"]
    result = mend_model(data)
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert run_once(result.data) == run_once(data)
    assert [record.layer for record in result.records] == ["up"]


def test_a_flat_bias_needs_nothing(tiny_graph: Build) -> None:
    assert mend_model(_transposed(tiny_graph(), (3,))).records == ()


def test_a_shared_bias_stays(tiny_graph: Build) -> None:
    model = read_model(_transposed(tiny_graph(), (1, 1, 1, 3), shared=True))
    applied = FlattenBias().apply(model)
    assert [op.reason for op in applied.refused] == ["its bias is shared"] * 2


@pytest.mark.parametrize("computed", [False, True])
def test_a_float16_bias_is_flattened_before_it_is_unpacked(
    tiny_graph: Build, computed: bool
) -> None:
    graph = tiny_graph()
    rng = np.random.default_rng(0)
    x = graph.tensor("x", (1, 4, 4, 2), "float32")
    shape = graph.tensor("shape", (4,), "int32", data=[1, 4, 4, 3])
    weights = graph.tensor("w", (3, 3, 3, 2), "float32", data=rng.normal(size=(3, 3, 3, 2)))
    packed = graph.tensor("b16", (1, 1, 1, 3), "float16", data=rng.normal(size=3))
    bias = graph.tensor("b", (1, 1, 1, 3), "float32")
    y = graph.tensor("net/up/BiasAdd", (1, 4, 4, 3), "float32")
    graph.op("DEQUANTIZE", [packed], bias, 3)
    if computed:
        other = graph.tensor("b2", (1, 1, 1, 3), "float32")
        graph.op("TANH", [bias], other)
        bias = other
    options = schema.TransposeConvOptionsT(strideW=1, strideH=1)
    graph.op("TRANSPOSE_CONV", [shape, weights, x, bias], y, 4, options)
    data = graph.build([x], [y])
    result = mend_model(data)
    if computed:
        assert [skipped.reason for skipped in result.skipped] == ["its bias is computed"]
        return
    assert len(result.records) == 1
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())

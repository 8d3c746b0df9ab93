"""The bias of a transposed convolution, in the one rank that XNNPACK accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.flatten_bias import FlattenBias
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
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
    result = mend_model(data, rewrites=(FlattenBias(),))
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert run_once(result.data) == run_once(data)
    assert [record.layer for record in result.records] == ["up"]


def test_a_flat_bias_needs_nothing(tiny_graph: Build) -> None:
    assert mend_model(_transposed(tiny_graph(), (3,)), rewrites=(FlattenBias(),)).records == ()


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
    result = mend_model(data, rewrites=(FlattenBias(),))
    if computed:
        assert [skipped.reason for skipped in result.skipped] == ["its bias is computed"]
        return
    assert len(result.records) == 1
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())


@settings(
    deadline=None,
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    depths=st.tuples(st.integers(1, 5), st.integers(2, 6)),
    quantized=st.booleans(),
    rank=st.integers(1, 4),
)
def test_every_bias_keeps_its_numbers(
    tiny_graph: Build, mend_with: Build, size: Any, kernel: Any, strides: Any, depths: Any,
    quantized: bool, rank: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(sum(size) + rank)
    graph, (less, more) = tiny_graph(), depths
    large = (1, *(n * s for n, s in zip(size, strides, strict=True)), more)
    shape = (*[1] * (rank - 1), more)
    wanted = graph.tensor("shape", (4,), "int32", data=large)
    filters = (more, *kernel, less)
    if quantized:
        scales = rng.uniform(0.004, 0.01, more)
        x = graph.tensor("x", (1, *size, less), "int8", 0.05, 3)
        weights = graph.tensor("w", filters, "int8", scales, data=rng.integers(-127, 128, filters))
        numbers = rng.integers(-3000, 3000, more)
        bias = graph.tensor("b", shape, "int32", scales * 0.05, data=numbers, axis=rank - 1)
        y = graph.tensor("net/up/op", large, "int8", 0.04, -1)
    else:
        x = graph.tensor("x", (1, *size, less), "float32")
        weights = graph.tensor("w", filters, "float32", data=rng.normal(size=filters))
        bias = graph.tensor("b", shape, "float32", data=rng.normal(size=more))
        y = graph.tensor("net/up/op", large, "float32")
    options = schema.TransposeConvOptionsT(strideW=strides[1], strideH=strides[0])
    graph.op("TRANSPOSE_CONV", [wanted, weights, x, bias], y, 4, options)
    result = mend_with(graph.build([x], [y]), FlattenBias(), accept)
    assert (result.done, result.steps) == (rank > 1, 0)


class _Shifted(FlattenBias):
    """Flattens the bias and takes another's numbers."""

    def change(self, model: Any, node: Any, match: Any) -> None:
        super().change(model, node, match)
        tensor = model.subgraphs[0].tensors[match.details[0]]
        old = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.int32)
        model.buffers.append(schema.BufferT(data=old[::-1].copy().view(np.uint8)))
        tensor.buffer = len(model.buffers) - 1


def test_another_bias_is_caught(tiny_graph: Build) -> None:
    data = _transposed(tiny_graph(), (1, 1, 1, 3))
    result = mend_model(data, rewrites=(_Shifted(),))
    assert result.data is data
    assert "not byte-equal" in result.skipped[0].reason

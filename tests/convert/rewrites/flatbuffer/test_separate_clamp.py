"""The activation of a transposed convolution behind it: the GPU delegate takes none inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.delegates.gpu import predict_gpu
from portrait_tflite.convert.files.flatbuffer import op_code_index, read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.separate_clamp import SeparateClamp
from portrait_tflite.vocabulary import Delegate

from .drawing import many

Build = Callable[..., Any]
CLAMPS = {0: [], 1: ["RELU"], 2: ["RELU_N1_TO_1"], 3: ["RELU6"]}


def _transposed(
    graph: Any, activations: tuple[int, ...], *, bias: bool = True, half: bool = False,
    kernel: int = 2, stride: int = 2, padding: int = 0, version: int = 4,
) -> bytes:  # fmt: skip
    """Build transposed convolutions of [1, 4, 5, 3] in a row, of one version."""
    rng = np.random.default_rng(7)
    first = value = graph.tensor("x", (1, 4, 5, 3), "float32")
    height, width = 4, 5
    for number, activation in enumerate(activations):
        beyond = max(kernel - stride, 0) if padding else 0
        height, width = height * stride + beyond, width * stride + beyond
        weights = (3, kernel, kernel, 3)
        numbers = rng.normal(size=weights)
        if half:
            packed = graph.tensor(f"h{number}", weights, "float16", data=numbers)
            kernels = graph.tensor(f"w{number}", weights, "float32")
            graph.op("DEQUANTIZE", [packed], kernels, 3, schema.DequantizeOptionsT())
        else:
            kernels = graph.tensor(f"w{number}", weights, "float32", data=numbers)
        size = graph.tensor(f"s{number}", (4,), "int32", data=[1, height, width, 3])
        inputs = [size, kernels, value]
        if bias:
            inputs.append(graph.tensor(f"b{number}", (3,), "float32", data=rng.normal(size=3)))
        options = schema.TransposeConvOptionsT(
            padding=padding, strideH=stride, strideW=stride, fusedActivationFunction=activation
        )
        value = graph.tensor(f"net/up{number}/op", (1, height, width, 3), "float32")
        graph.op("TRANSPOSE_CONV", inputs, value, version, options)
    return bytes(graph.build([first], [value]))


@many
@given(
    activation=st.integers(0, 3),
    bias=st.booleans(),
    half=st.booleans(),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.sampled_from([0, 1]),
)
def test_the_clamp_stands_behind(
    tiny_graph: Build, mend_with: Build, activation: int, bias: bool, half: bool, kernel: int,
    stride: int, padding: int,
) -> None:  # fmt: skip
    data = _transposed(
        tiny_graph(), (activation,), bias=bias, half=half, kernel=kernel, stride=stride,
        padding=padding,
    )  # fmt: skip
    result = mend_with(data, SeparateClamp(), accept)
    ops = [op for op in result.ops if op != "DEQUANTIZE"]
    assert ops == ["TRANSPOSE_CONV", *CLAMPS[activation]]
    assert result.steps == 0
    assert not predict_gpu(read_model(result.data))


def test_a_float16_file_is_complete_on_the_gpu(tiny_graph: Build) -> None:
    """All places have one version, that of the one that clamps."""
    data = _transposed(tiny_graph(), (1, 0), half=True)
    assert len(predict_gpu(read_model(data))) == 2
    mended = mend_model(data, delegate=Delegate.GPU)
    assert [record.rewrite for record in mended.records] == ["separate_clamp"] * 2
    assert all(record.max_abs_error == 0 for record in mended.records)
    model = read_model(mended.data)
    assert not predict_gpu(model)
    assert {n.version for n in list_nodes(model) if n.op == "TRANSPOSE_CONV"} == {3}


@pytest.mark.parametrize("version", [1, 3])
def test_one_that_the_gpu_takes_stays(tiny_graph: Build, mend_with: Build, version: int) -> None:
    data = _transposed(tiny_graph(), (0,), bias=version == 3, version=version)
    result = mend_with(data, SeparateClamp(), accept)
    assert not result.done
    assert not result.refusals


def test_integers_stay(tiny_graph: Build, mend_with: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 4, 4, 2), "int8", 0.05, 3)
    y = graph.tensor("net/up/op", (1, 8, 8, 2), "int8", 0.05, -128)
    size = graph.tensor("s", (4,), "int32", data=[1, 8, 8, 2])
    weights = graph.tensor("w", (2, 2, 2, 2), "int8", [0.01, 0.01], data=np.arange(16))
    options = schema.TransposeConvOptionsT(strideH=2, strideW=2, fusedActivationFunction=1)
    graph.op("TRANSPOSE_CONV", [size, weights, x], y, 4, options)
    assert not mend_with(graph.build([x], [y]), SeparateClamp(), accept).done


class _OtherClamp(SeparateClamp):
    """Clamps at 6, too."""

    def change(self, model: Any, node: Any, match: Any) -> None:
        super().change(model, node, match)
        added = model.subgraphs[0].operators[node.index + 1]
        added.opcodeIndex = op_code_index(model, "RELU6", 1)


def test_another_clamp_is_caught(tiny_graph: Build) -> None:
    data = _transposed(tiny_graph(), (1,))
    result = mend_model(data, rewrites=(_OtherClamp(),))
    assert result.data is data
    assert result.skipped[0].reason.startswith("undone")

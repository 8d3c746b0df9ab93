"""A convolution of few channels in a finished file, on several columns at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.column_packs import packed_kernel
from portrait_tflite.convert.rewrites.flatbuffer import columns_as_channels
from portrait_tflite.convert.rewrites.flatbuffer.columns_as_channels import ColumnsAsChannels
from portrait_tflite.convert.rewrites.flatbuffer.repeated import repeated_bias, repeated_scales
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

from .drawing import many

Build = Callable[..., Any]
EVERY = ColumnsAsChannels(fewest=1)
PACKED = ["RESHAPE", "CONV_2D", "RESHAPE"]


@dataclass(frozen=True)
class Convolution:
    """One CONV_2D of `[1, *size]` with a constant kernel."""

    size: tuple[int, int, int] = (64, 64, 3)
    filters: int = 8
    kernel: tuple[int, int] = (3, 3)
    dtype: str = "int8"
    per_channel: bool = True
    activation: int = 0
    padding: int = 0  # SAME
    stride: int = 1
    dilation: int = 1


def _file(graph: Any, net: Convolution) -> bytes:
    rng = np.random.default_rng(5)
    integer = net.dtype == "int8"
    form = (0.05, 3) if integer else (None, 0)
    x = graph.tensor("x", (1, *net.size), net.dtype, *form)
    lost = 0 if net.padding == 0 else 1
    rows, columns = (
        -(-(n - lost * (k - 1)) // net.stride)
        for n, k in zip(net.size[:2], net.kernel, strict=True)
    )
    form = (0.2, -7) if integer else (None, 0)
    y = graph.tensor("net/conv/op", (1, rows, columns, net.filters), net.dtype, *form)
    shape = (net.filters, *net.kernel, net.size[2])
    scales = rng.uniform(0.004, 0.01, net.filters if net.per_channel else 1)
    if integer:
        drawn = rng.integers(-127, 128, shape)
        weights = graph.tensor("w", shape, "int8", scales, data=drawn)
        drawn = rng.integers(-900, 900, net.filters)
        bias = graph.tensor("b", (net.filters,), "int32", scales * 0.05, data=drawn)
    else:
        weights = graph.tensor("w", shape, "float32", data=rng.normal(size=shape))
        bias = graph.tensor("b", (net.filters,), "float32", data=rng.normal(size=net.filters))
    options = schema.Conv2DOptionsT(
        padding=net.padding,
        strideH=net.stride,
        strideW=net.stride,
        dilationHFactor=net.dilation,
        dilationWFactor=net.dilation,
        fusedActivationFunction=net.activation,
    )
    graph.op("CONV_2D", [x, weights, bias], y, 3, options)
    return bytes(graph.build([x], [y]))


@many
@given(
    size=st.tuples(st.integers(1, 5), st.sampled_from([2, 4, 6, 8, 16]), st.integers(1, 5)),
    filters=st.integers(1, 5),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 7)),
    dtype=st.sampled_from(["int8", "float32"]),
    per_channel=st.booleans(),
    activation=st.sampled_from([0, 1, 3]),
)
def test_every_convolution_is_the_same_on_packs(
    tiny_graph: Build, mend_with: Build, size: Any, filters: int, kernel: Any, dtype: str,
    per_channel: bool, activation: int,
) -> None:  # fmt: skip
    net = Convolution(size, filters, kernel, dtype, per_channel, activation)
    result = mend_with(_file(tiny_graph(), net), EVERY, accept)
    assert result.ops == PACKED
    assert result.steps <= (0 if dtype == "int8" else 1e-4)


def test_a_1x1_convolution_without_padding_is_one_of_same_size(
    tiny_graph: Build, mend_with: Build
) -> None:
    net = Convolution((4, 8, 3), kernel=(1, 1), padding=1)
    result = mend_with(_file(tiny_graph(), net), EVERY, accept)
    assert (result.ops, result.steps) == (PACKED, 0)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_the_cost_decides(tiny_graph: Build, mend_with: Build, dtype: str) -> None:
    """Three channels leave most of a tile idle; with 15 as many are zeros as would be saved."""
    few = mend_with(_file(tiny_graph(), Convolution(dtype=dtype)), ColumnsAsChannels())
    assert few.done is (dtype == "int8"), few.refusals
    many_channels = Convolution((64, 64, 16), filters=15, dtype=dtype)
    refused = mend_with(_file(tiny_graph(), many_channels), ColumnsAsChannels())
    assert "nothing gained" in refused.refusals[0]


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (Convolution(stride=2), "drops positions"),
        (Convolution(dilation=2), "drops positions"),
        (Convolution(padding=1), "drops positions"),
        (Convolution((64, 63, 3)), "no whole packs"),
    ],
)
def test_what_does_not_fit_stays(
    tiny_graph: Build, mend_with: Build, net: Convolution, reason: str
) -> None:
    result = mend_with(_file(tiny_graph(), net), EVERY, accept)
    assert not result.done
    assert reason in result.refusals[0]


@pytest.mark.parametrize(
    "net", [Convolution(filters=16), Convolution((64, 64, 17)), Convolution((32, 32, 3))]
)
def test_others_are_none_of_its_concern(
    tiny_graph: Build, mend_with: Build, net: Convolution
) -> None:
    result = mend_with(_file(tiny_graph(), net), ColumnsAsChannels(), accept)
    assert (result.done, result.refusals) == (False, [])


def test_weights_that_are_computed_stay(tiny_graph: Build, mend_with: Build) -> None:
    graph = tiny_graph()
    _file(graph, Convolution())
    (operator,) = graph.graph.operators
    number = int(operator.inputs[1])
    graph.graph.tensors[number].buffer = 0
    data = graph.build([int(operator.inputs[0]), number], [int(operator.outputs[0])])
    assert "constants" in mend_with(data, EVERY, accept).refusals[0]


def test_a_file_for_the_gpu_stays(tiny_graph: Build) -> None:
    data = _file(tiny_graph(), Convolution(dtype="float32"))
    assert mend_model(data, rewrites=(EVERY,), delegate=Delegate.GPU).data == data


def test_the_result_is_one_partition_with_the_same_scales(tiny_graph: Build) -> None:
    found = mend_model(_file(tiny_graph(), Convolution()))
    assert [(r.rewrite, r.layer, r.exact) for r in found.records] == [
        ("columns_as_channels", "conv", True)
    ]
    runner = open_model(found.data)
    assert (runner.partitions, runner.outside) == (1, ())
    convolution = list_nodes(read_model(found.data))[1]
    count = convolution.outputs[0].shape[3] // 8
    assert count > 1
    assert convolution.given()[1].channels == convolution.given()[2].channels == 8 * count


def _mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        columns_as_channels, "packed_kernel", lambda kernel, n: packed_kernel(kernel[:, ::-1], n)
    )


def _without_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgotten(*arguments: Any) -> tuple[Any, list[float]]:
        bias, scales = repeated_bias(*arguments)
        return np.zeros_like(bias), scales

    monkeypatch.setattr(columns_as_channels, "repeated_bias", forgotten)


def _other_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    def turned(*arguments: Any) -> list[float]:
        return repeated_scales(*arguments)[::-1]

    monkeypatch.setattr(columns_as_channels, "repeated_scales", turned)


@pytest.mark.parametrize("fault", [_mirrored, _without_bias, _other_scales])
def test_a_fault_is_caught(
    tiny_graph: Build, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., None]
) -> None:
    data = _file(tiny_graph(), Convolution())
    fault(monkeypatch)
    found = mend_model(data, rewrites=(ColumnsAsChannels(),))
    assert found.records == ()
    assert found.skipped[0].reason.startswith("undone:")

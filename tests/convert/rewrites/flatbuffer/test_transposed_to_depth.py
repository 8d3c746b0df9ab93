"""A transposed convolution in a finished file, computed at the low resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Match, accept
from portrait_tflite.convert.rewrites.flatbuffer.transposed_to_depth import TransposedToDepth

from .drawing import many

Build = Callable[..., Any]


@dataclass(frozen=True)
class Transposed:
    """One TRANSPOSE_CONV of `[1, *size]` with a constant kernel."""

    size: tuple[int, int, int] = (16, 16, 8)
    outputs: int = 2
    kernel: tuple[int, int] = (2, 2)
    strides: tuple[int, int] = (2, 2)
    padding: int = 0  # SAME
    dtype: str = "int8"
    bias: bool = True
    per_channel: bool = True
    beyond: int = 0  # rows and columns more than the stride asks for

    def form(self, scale: float, zero_point: int) -> tuple[Any, int]:
        """Give scale and zero point of a tensor; none in float."""
        return (scale, zero_point) if self.dtype == "int8" else (None, 0)

    @property
    def large(self) -> list[int]:
        """Height and width of the output."""
        numbers = zip(self.size[:2], self.kernel, self.strides, strict=True)
        valid = self.padding == 1
        return [n * s + (max(k - s, 0) if valid else 0) + self.beyond for n, k, s in numbers]


def _file(graph: Any, net: Transposed) -> bytes:
    rng = np.random.default_rng(7)
    x = graph.tensor("x", (1, *net.size), net.dtype, *net.form(0.05, 3))
    y = graph.tensor("net/up/op", (1, *net.large, net.outputs), net.dtype, *net.form(0.3, -7))
    shape = (net.outputs, *net.kernel, net.size[2])
    scales = rng.uniform(0.004, 0.01, net.outputs if net.per_channel else 1)
    size = graph.tensor("s", (4,), "int32", data=[1, *net.large, net.outputs])
    if net.dtype == "int8":
        numbers = rng.integers(-127, 128, shape)
        weights = graph.tensor("w", shape, "int8", scales, data=numbers)
    else:
        weights = graph.tensor("w", shape, "float32", data=rng.normal(size=shape))
    inputs = [size, weights, x]
    if net.bias and net.dtype == "int8":
        numbers = rng.integers(-900, 900, net.outputs)
        inputs.append(graph.tensor("b", (net.outputs,), "int32", scales * 0.05, data=numbers))
    elif net.bias:
        inputs.append(
            graph.tensor("b", (net.outputs,), "float32", data=rng.normal(size=net.outputs))
        )
    rows, columns = net.strides
    options = schema.TransposeConvOptionsT(padding=net.padding, strideH=rows, strideW=columns)
    graph.op("TRANSPOSE_CONV", inputs, y, 3, options)
    return bytes(graph.build([x], [y]))


@many
@given(
    size=st.tuples(st.integers(2, 7), st.integers(2, 7), st.integers(1, 5)),
    outputs=st.integers(1, 4),
    kernel=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    stride=st.integers(1, 4),
    padding=st.sampled_from([0, 1]),
    dtype=st.sampled_from(["int8", "float32"]),
    bias=st.booleans(),
    per_channel=st.booleans(),
)
def test_it_is_computed_at_the_low_resolution(
    tiny_graph: Build, mend_with: Build, size: Any, outputs: int, kernel: Any, stride: int,
    padding: int, dtype: str, bias: bool, per_channel: bool,
) -> None:  # fmt: skip
    net = Transposed(
        size, outputs, kernel, (stride, stride), padding, dtype, bias or dtype == "int8",
        per_channel,
    )  # fmt: skip
    whole = all(large % stride == 0 for large in net.large)
    result = mend_with(_file(tiny_graph(), net), TransposedToDepth(), accept)
    assert result.done is whole, result.refusals
    assert result.steps <= (1 if dtype == "int8" else 1e-4)
    if whole:
        last = ["DEPTH_TO_SPACE"] if stride > 1 else []
        assert [op for op in result.ops if op != "PAD"] == ["CONV_2D", *last]


def test_one_without_a_bias_in_int8_gets_zeros(tiny_graph: Build, mend_with: Build) -> None:
    result = mend_with(_file(tiny_graph(), Transposed(bias=False)), TransposedToDepth())
    assert result.done
    assert result.steps <= 1


def test_the_cost_decides(tiny_graph: Build, mend_with: Build) -> None:
    """A kernel as large as its stride has no taps that are zero; one of twice that has half."""
    cheap = _file(tiny_graph(), Transposed(size=(64, 64, 16), outputs=1))
    assert mend_with(cheap, TransposedToDepth()).done
    wide = Transposed(size=(64, 64, 32), outputs=16, kernel=(4, 4))
    refused = mend_with(_file(tiny_graph(), wide), TransposedToDepth())
    assert "nothing gained" in refused.refusals[0], refused.refusals


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (Transposed(strides=(2, 1)), "square"),
        (Transposed(kernel=(3, 3), padding=1), "no multiple"),
        (Transposed(beyond=1, kernel=(3, 3), padding=1), ""),
    ],
)
def test_what_does_not_fit_stays(
    tiny_graph: Build, mend_with: Build, net: Transposed, reason: str
) -> None:
    result = mend_with(_file(tiny_graph(), net), TransposedToDepth(), accept)
    assert result.done is (not reason)
    assert [reason in refusal for refusal in result.refusals] == ([True] if reason else [])


@pytest.mark.parametrize("place", [1, 3])
def test_constants_that_are_computed_stay(tiny_graph: Build, mend_with: Build, place: int) -> None:
    graph = tiny_graph()
    _file(graph, Transposed())
    operator = graph.graph.operators[0]
    number = int(operator.inputs[place])
    graph.graph.tensors[number].buffer = 0
    data = graph.build([int(operator.inputs[2]), number], [int(operator.outputs[0])])
    assert not mend_with(data, TransposedToDepth(), accept).done


class _Wrong(TransposedToDepth):
    """Forgets something of the weights."""

    def __init__(self, forget: Callable[[Any], Any]) -> None:
        self._forget = forget

    def match(self, model: Any, node: Any) -> Any:
        found = super().match(model, node)
        return (
            replace(found, details=self._forget(found.details))
            if isinstance(found, Match)
            else found
        )


def _turned(phases: Any) -> Any:
    joint = phases.joint
    taps = tuple(replace(tap, phase=joint.stride - 1 - tap.phase) for tap in joint.rows.taps)
    return replace(phases, joint=replace(joint, rows=replace(joint.rows, taps=taps)))


def _without_bias(phases: Any) -> Any:
    return replace(phases, bias=None)


@pytest.mark.parametrize("forget", [_turned, _without_bias])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_fault_is_caught(tiny_graph: Build, dtype: str, forget: Any) -> None:
    net = Transposed(size=(12, 12, 8), kernel=(3, 4), dtype=dtype)
    data = _file(tiny_graph(), net)
    assert mend_model(data, rewrites=(_Wrong(lambda phases: phases),)).records
    found = mend_model(data, rewrites=(_Wrong(forget),))
    assert found.records == ()
    assert found.skipped[0].reason.startswith("undone:")


def test_scales_are_those_of_each_phase(tiny_graph: Build) -> None:
    data = mend_model(_file(tiny_graph(), Transposed()), rewrites=(TransposedToDepth(),)).data
    (convolution, _) = list_nodes(read_model(data))
    assert convolution.given()[1].channels == convolution.given()[2].channels == 8

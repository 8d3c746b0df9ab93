"""A convolution behind a nearest resize in a float file, computed at the low resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import assume, given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.nearest_convolution import NearestConvolution
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Match, RefusedOp, accept

from .drawing import many

Build = Callable[..., Any]


@dataclass(frozen=True)
class Decoder:
    """One RESIZE_NEAREST_NEIGHBOR of `[1, *size]`, and a convolution behind it."""

    size: tuple[int, int, int] = (32, 32, 16)
    factors: tuple[int, int] = (2, 2)
    filters: int = 8
    kernel: tuple[int, int] = (3, 3)
    dilation: int = 1
    padding: int = 0  # SAME
    activation: int = 0
    stride: int = 1
    dtype: str = "float32"
    aligned: bool = False
    kept: bool = False  # whether the resized picture is an output, too

    @property
    def large(self) -> tuple[int, int]:
        """Height and width between resize and convolution."""
        return self.size[0] * self.factors[0], self.size[1] * self.factors[1]

    @property
    def output(self) -> list[int]:
        """Height and width of the output."""
        lost = [(k - 1) * self.dilation * self.padding for k in self.kernel]
        pairs = zip(self.large, lost, strict=True)
        return [-(-(side - less) // self.stride) for side, less in pairs]


def _file(graph: Any, net: Decoder) -> bytes:
    rng = np.random.default_rng(8)
    integer = net.dtype == "int8"
    form = (0.05, 3) if integer else (None, 0)
    channels = net.size[2]
    x = graph.tensor("x", (1, *net.size), net.dtype, *form)
    size = graph.tensor("size", (2,), "int32", data=net.large)
    large = graph.tensor("net/up/op", (1, *net.large, channels), net.dtype, *form)
    resize = schema.ResizeNearestNeighborOptionsT(alignCorners=net.aligned)
    graph.op("RESIZE_NEAREST_NEIGHBOR", [x, size], large, 2, resize)
    shape = (net.filters, *net.kernel, channels)
    if integer:
        drawn = rng.integers(-127, 128, shape)
        weights = graph.tensor("w", shape, "int8", 0.01, data=drawn)
        drawn = rng.integers(-99, 99, net.filters)
        bias = graph.tensor("b", (net.filters,), "int32", 0.0005, data=drawn)
    else:
        weights = graph.tensor("w", shape, "float32", data=rng.normal(size=shape))
        bias = graph.tensor("b", (net.filters,), "float32", data=rng.normal(size=net.filters))
    form = (0.2, -7) if integer else (None, 0)
    y = graph.tensor("net/conv/op", (1, *net.output, net.filters), net.dtype, *form)
    options = schema.Conv2DOptionsT(
        padding=net.padding,
        strideH=net.stride,
        strideW=net.stride,
        dilationHFactor=net.dilation,
        dilationWFactor=net.dilation,
        fusedActivationFunction=net.activation,
    )
    graph.op("CONV_2D", [large, weights, bias], y, 1, options)
    return bytes(graph.build([x], [y, large] if net.kept else [y]))


@many
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4)),
    factor=st.integers(2, 4),
    filters=st.integers(1, 4),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    dilation=st.integers(1, 3),
    padding=st.sampled_from([0, 1]),
    activation=st.sampled_from([0, 1, 3]),
)
def test_every_convolution_is_computed_at_the_low_resolution(
    tiny_graph: Build, mend_with: Build, size: Any, factor: int, filters: int, kernel: Any,
    dilation: int, padding: int, activation: int,
) -> None:  # fmt: skip
    net = Decoder(size, (factor, factor), filters, kernel, dilation, padding, activation)
    assume(min(net.output) > 0)
    result = mend_with(_file(tiny_graph(), net), NearestConvolution(), accept)
    found = [op for op in result.ops if op not in {"PAD", "SLICE"}]
    assert found == ["CONV_2D", "DEPTH_TO_SPACE"]
    assert result.steps <= 1e-4


def test_a_kernel_of_3_behind_2_reads_2(tiny_graph: Build, mend_with: Build) -> None:
    result = mend_with(_file(tiny_graph(), Decoder()), NearestConvolution())
    assert result.ops == ["PAD", "CONV_2D", "DEPTH_TO_SPACE", "SLICE"]
    assert list_nodes(read_model(result.data))[1].given()[1].shape == (32, 2, 2, 16)


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (Decoder(dtype="int8"), "rounded anew"),
        (Decoder(kept=True), "another op"),
        (Decoder(factors=(2, 3)), "the same both ways"),
        (Decoder(aligned=True), "whole factor"),
        (Decoder(stride=2), "drops positions"),
    ],
)
def test_what_does_not_fit_stays(tiny_graph: Build, net: Decoder, reason: str) -> None:
    model = read_model(_file(tiny_graph(), net))
    found = NearestConvolution().match(model, list_nodes(model)[1])
    assert isinstance(found, RefusedOp)
    assert reason in found.reason


def test_weights_that_are_computed_stay(tiny_graph: Build, mend_with: Build) -> None:
    graph = tiny_graph()
    _file(graph, Decoder())
    resize, convolution = graph.graph.operators
    number = int(convolution.inputs[1])
    graph.graph.tensors[number].buffer = 0
    data = graph.build([int(resize.inputs[0]), number], [int(convolution.outputs[0])])
    assert "constants" in mend_with(data, NearestConvolution(), accept).refusals[0]


class _Wrong(NearestConvolution):
    """Errs in where the cells are."""

    def __init__(self, err: Callable[[Any], Any]) -> None:
        self._err = err

    def match(self, model: Any, node: Any) -> Any:
        found = super().match(model, node)
        if not isinstance(found, Match):
            return found
        source, joint, kernel = found.details
        wrong = replace(joint, rows=self._err(joint.rows))
        return replace(found, details=(source, wrong, kernel))


def _wrong_cut(rows: Any) -> Any:
    return replace(rows, skip=1 - rows.skip)


def _forgotten_tap(rows: Any) -> Any:
    return replace(rows, taps=rows.taps[:-1])


@pytest.mark.parametrize("err", [_wrong_cut, _forgotten_tap])
def test_a_fault_is_caught(tiny_graph: Build, err: Callable[[Any], Any]) -> None:
    data = _file(tiny_graph(), Decoder())
    assert mend_model(data, rewrites=(_Wrong(lambda rows: rows),)).records
    found = mend_model(data, rewrites=(_Wrong(err),))
    assert found.records == ()
    assert found.skipped[0].reason.startswith("undone:")

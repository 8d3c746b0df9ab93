"""A 1×1 convolution behind a bilinear resize in a float file, moved before it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.convolution_before_bilinear import (
    ConvolutionBeforeBilinear,
)
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Match, RefusedOp, accept

from .drawing import many

Build = Callable[..., Any]
CLAMPS = {1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}


@dataclass(frozen=True)
class Decoder:
    """One RESIZE_BILINEAR of `[1, *size]`, and a convolution behind it."""

    size: tuple[int, int, int] = (16, 16, 16)
    large: tuple[int, int] = (32, 32)
    filters: int = 16
    op: str = "CONV_2D"
    activation: int = 0
    aligned: bool = False
    half: bool = False
    kernel: int = 1
    stride: int = 1
    dtype: str = "float32"
    kept: bool = False  # whether the resized picture is an output, too


def _file(graph: Any, net: Decoder) -> bytes:
    rng = np.random.default_rng(6)
    integer = net.dtype == "int8"
    form = (0.05, 3) if integer else (None, 0)
    channels = net.size[2]
    x = graph.tensor("x", (1, *net.size), net.dtype, *form)
    size = graph.tensor("size", (2,), "int32", data=net.large)
    large = graph.tensor("net/up/op", (1, *net.large, channels), net.dtype, *form)
    options = schema.ResizeBilinearOptionsT(alignCorners=net.aligned, halfPixelCenters=net.half)
    graph.op("RESIZE_BILINEAR", [x, size], large, 3, options)
    y = _convolution(graph, net, large, rng)
    return bytes(graph.build([x], [y, large] if net.kept else [y]))


def _convolution(graph: Any, net: Decoder, source: int, rng: Any) -> int:
    channels = net.size[2]
    depthwise = net.op == "DEPTHWISE_CONV_2D"
    filters = channels if depthwise else net.filters
    head = 1 if depthwise else filters
    shape = (head, net.kernel, net.kernel, channels)
    if net.dtype == "int8":
        drawn = rng.integers(-127, 128, shape)
        weights = graph.tensor("w", shape, "int8", 0.01, data=drawn)
        bias = graph.tensor("b", (filters,), "int32", 0.0005, data=rng.integers(-99, 99, filters))
    else:
        weights = graph.tensor("w", shape, "float32", data=rng.normal(size=shape))
        bias = graph.tensor("b", (filters,), "float32", data=rng.normal(size=filters))
    rows, columns = (-(-side // net.stride) for side in net.large)
    form = (0.2, -7) if net.dtype == "int8" else (None, 0)
    y = graph.tensor("net/head/op", (1, rows, columns, filters), net.dtype, *form)
    steps = {
        "strideH": net.stride,
        "strideW": net.stride,
        "dilationHFactor": 1,
        "dilationWFactor": 1,
        "fusedActivationFunction": net.activation,
    }
    options = (
        schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **steps)
        if depthwise
        else schema.Conv2DOptionsT(**steps)
    )
    graph.op(net.op, [source, weights, bias], y, 1, options)
    return int(y)


@many
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5)),
    large=st.tuples(st.integers(1, 13), st.integers(1, 13)),
    filters=st.integers(1, 5),
    op=st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D"]),
    activation=st.sampled_from([0, *CLAMPS]),
    corners=st.sampled_from([(False, False), (True, False), (False, True)]),
)
def test_every_linear_convolution_moves_before_the_resize(
    tiny_graph: Build, mend_with: Build, size: Any, large: Any, filters: int, op: str,
    activation: int, corners: tuple[bool, bool],
) -> None:  # fmt: skip
    net = Decoder(size, large, filters, op, activation, *corners)
    result = mend_with(_file(tiny_graph(), net), ConvolutionBeforeBilinear(), accept)
    clamp = [CLAMPS[activation]] if activation else []
    assert result.ops == [op, "RESIZE_BILINEAR", *clamp]
    assert result.steps <= 1e-4


def test_a_row_of_convolutions_moves_as_one(tiny_graph: Build, mend_with: Build) -> None:
    graph, net = tiny_graph(), Decoder()
    x = graph.tensor("x", (1, *net.size), "float32")
    size = graph.tensor("size", (2,), "int32", data=net.large)
    large = graph.tensor("net/up/op", (1, *net.large, 16), "float32")
    graph.op("RESIZE_BILINEAR", [x, size], large, 3, schema.ResizeBilinearOptionsT())
    rng = np.random.default_rng(6)
    y = _convolution(graph, net, _convolution(graph, net, large, rng), rng)
    result = mend_with(graph.build([x], [y]), ConvolutionBeforeBilinear())
    assert result.ops == ["CONV_2D", "CONV_2D", "RESIZE_BILINEAR"]
    assert result.steps <= 1e-4


def test_the_cost_decides(tiny_graph: Build, mend_with: Build) -> None:
    """A convolution to more channels makes the resize dearer than itself cheaper."""
    assert mend_with(_file(tiny_graph(), Decoder()), ConvolutionBeforeBilinear()).done
    shrunk = Decoder(size=(32, 32, 16), large=(16, 16))
    refused = mend_with(_file(tiny_graph(), shrunk), ConvolutionBeforeBilinear())
    assert "nothing gained" in refused.refusals[0]


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (Decoder(dtype="int8"), "round at another place"),
        (Decoder(kept=True), "another op"),
        (Decoder(activation=4), "no clamp"),  # TANH, which no kernel runs
    ],
)
def test_what_is_not_the_same_stays(tiny_graph: Build, net: Decoder, reason: str) -> None:
    model = read_model(_file(tiny_graph(), net))
    found = ConvolutionBeforeBilinear().match(model, list_nodes(model)[1])
    assert isinstance(found, RefusedOp)
    assert reason in found.reason


@pytest.mark.parametrize("net", [Decoder(kernel=3), Decoder(stride=2)])
def test_others_are_none_of_its_concern(tiny_graph: Build, mend_with: Build, net: Decoder) -> None:
    result = mend_with(_file(tiny_graph(), net), ConvolutionBeforeBilinear(), accept)
    assert (result.done, result.refusals) == (False, [])


class _ActivationFirst(ConvolutionBeforeBilinear):
    """Leaves the activation with the convolution."""

    def change(self, model: Any, node: Node, match: Match) -> None:
        super().change(model, node, match)
        graph = model.subgraphs[0]
        convolution, resize, clamp = graph.operators[node.index : node.index + 3]
        convolution.builtinOptions = copy.copy(convolution.builtinOptions)
        convolution.builtinOptions.fusedActivationFunction = 1
        resize.outputs = clamp.outputs
        graph.operators.remove(clamp)


class _WithoutBias(ConvolutionBeforeBilinear):
    """Forgets the bias."""

    def change(self, model: Any, node: Node, match: Match) -> None:
        super().change(model, node, match)
        convolution = model.subgraphs[0].operators[node.index]
        convolution.inputs = convolution.inputs[:2]


@pytest.mark.parametrize("wrong", [_ActivationFirst(), _WithoutBias()])
def test_a_fault_is_caught(tiny_graph: Build, wrong: ConvolutionBeforeBilinear) -> None:
    data = _file(tiny_graph(), Decoder(size=(64, 64, 16), large=(128, 128), activation=1))
    assert mend_model(data, rewrites=(ConvolutionBeforeBilinear(),)).records
    found = mend_model(data, rewrites=(wrong,))
    assert found.records == ()
    assert found.skipped[0].reason.startswith("undone:")


def test_it_is_exact_as_floats_are(tiny_graph: Build) -> None:
    found = mend_model(_file(tiny_graph(), Decoder()))
    (record,) = [one for one in found.records if one.rewrite == "convolution_before_bilinear"]
    assert record.exact
    assert 0 < record.max_rel_error <= 1e-5
    assert found.whole is not None

"""Files of which LiteRT would end the process: refused first, and the others are not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.deadly_ops import find_deadly_op
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
INFINITE, NO_NUMBER = float("inf"), float("nan")

# (op, scales of its inputs and its output, who dies of it)
DEADLY = [
    ("ADD", (0.1, 0.0, 0.1), "both"),
    ("ADD", (0.1, 0.1, INFINITE), "both"),
    ("ADD", (-0.1, 0.1, 0.1), "both"),
    ("ADD", (2.0**19, 0.1, 1.0), "both"),
    ("ADD", (0.1, 0.1, None), "both"),
    ("SUB", (0.0, 0.1, 0.1), "both"),
    ("SQUARED_DIFFERENCE", (64.0, 0.1, 1.0), "both"),
    ("SQUARED_DIFFERENCE", (0.1, NO_NUMBER, 0.1), "both"),
    ("LESS", (0.0, 0.1), "both"),
    ("EQUAL", (0.1, -0.1), "both"),
    ("QUANTIZE", (0.1, 0.0), "xnnpack"),
    ("QUANTIZE", (1e-40, 0.1), "xnnpack"),
]
HARMLESS = [
    ("ADD", (0.1, 0.1, 0.1)),
    ("ADD", (2.0**18, 0.1, 1.0)),
    ("ADD", (1e-40, 0.1, 0.1)),
    ("SUB", (2.0**20, 0.1, 1.0)),
    ("SQUARED_DIFFERENCE", (63.0, 0.1, 1.0)),
    ("MUL", (0.0, 0.1, 0.1)),
    ("QUANTIZE", (0.1, 1e-30)),
]

_OPTIONS = {
    "ADD": schema.AddOptionsT,
    "SUB": schema.SubOptionsT,
    "MUL": schema.MulOptionsT,
}


@pytest.fixture
def net(tiny_graph: Build) -> Build:
    """Give a function that builds a file of one op on bytes, all of it in one shape."""

    def build(op: str, scales: tuple[float | None, ...]) -> bytes:
        graph = tiny_graph()
        shape = (1, 4, 4, 2)
        given = list(scales) if op in ("LESS", "EQUAL") else list(scales[:-1])
        inputs = [graph.tensor(f"x{i}", shape, "int8", scale) for i, scale in enumerate(given)]
        if len(given) == len(scales):
            target = graph.tensor("y", shape, "bool")
        else:
            target = graph.tensor("y", shape, "int8", scales[-1])
        options = _OPTIONS[op]() if op in _OPTIONS else None
        graph.op(op, inputs, target, 2, options)
        data: bytes = graph.build(inputs, [target])
        return data

    return build


@pytest.mark.parametrize(("op", "scales", "who"), DEADLY)
@pytest.mark.parametrize("delegate", [Delegate.CPU, Delegate.XNNPACK])
def test_what_ends_the_process_is_refused_by_name(
    net: Build, op: str, scales: tuple[float | None, ...], who: str, delegate: Delegate
) -> None:
    data = net(op, scales)
    if who in ("both", delegate):
        with pytest.raises(UsageError, match=f"survives is required. Received: bytes: {op} .*'"):
            open_model(data, delegate)
    else:
        assert find_deadly_op(data, delegate) == ""
        open_model(data, delegate)


@pytest.mark.parametrize(("op", "scales"), HARMLESS)
@pytest.mark.parametrize("delegate", [Delegate.CPU, Delegate.XNNPACK])
def test_what_does_not_is_opened(
    net: Build, op: str, scales: tuple[float, ...], delegate: Delegate
) -> None:
    runner = open_model(net(op, scales), delegate)
    assert len(runner.run(*(np.zeros(i.shape, i.dtype) for i in runner.inputs))) == 1


def _convolution(graph: Any, op: str, factors: list[float], target: str = "y") -> bytes:
    """Build one convolution of 4 channels whose products are scaled by `factors` to its output."""
    shape = {"DEPTHWISE_CONV_2D": (1, 1, 1, 4), "FULLY_CONNECTED": (4, 4)}.get(op, (4, 1, 1, 4))
    picture = (3, 4) if op == "FULLY_CONNECTED" else (1, 4, 4, 4)
    x = graph.tensor("x", picture, "int8", 0.5)
    scales = [factor * 0.1 / 0.5 for factor in factors]
    one = op == "FULLY_CONNECTED"
    weights = graph.tensor(
        "w", shape, "int8", scales[:1] if one else scales, data=np.ones(shape),
        axis=3 if op == "DEPTHWISE_CONV_2D" else 0,
    )  # fmt: skip
    biases = [scale * 0.5 for scale in scales]
    bias = graph.tensor("b", (4,), "int32", biases[:1] if one else biases, data=np.zeros(4))
    y = graph.tensor(target, picture, "int8", 0.1)
    strides = {"strideW": 1, "strideH": 1}
    dilations = {"dilationWFactor": 1, "dilationHFactor": 1}
    inputs, version = [x, weights, bias], 3
    options: Any = schema.FullyConnectedOptionsT()
    if op == "CONV_2D":
        options = schema.Conv2DOptionsT(**strides, **dilations)
    elif op == "DEPTHWISE_CONV_2D":
        options = schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **strides, **dilations)
    elif op == "TRANSPOSE_CONV":
        size = graph.tensor("size", (4,), "int32", data=picture)
        inputs = [size, weights, x, bias]
        options = schema.TransposeConvOptionsT(**strides)
    graph.op(op, inputs, y, 4 if op == "FULLY_CONNECTED" else version, options)
    return bytes(graph.build([x], [y]))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "float32"])
@pytest.mark.parametrize("delegate", [Delegate.CPU, Delegate.XNNPACK])
def test_a_depthwise_convolution_needs_its_bias(
    tiny_graph: Build, dtype: str, delegate: Delegate
) -> None:
    graph = tiny_graph()
    scale = None if dtype == "float32" else 0.1
    x = graph.tensor("x", (1, 4, 4, 2), dtype, scale)
    weights = "int8" if dtype == "int16" else dtype
    w = graph.tensor("w", (1, 3, 3, 2), weights, scale, data=np.ones((1, 3, 3, 2)))
    y = graph.tensor("net/y", (1, 4, 4, 2), dtype, scale)
    options = schema.DepthwiseConv2DOptionsT(
        strideW=1, strideH=1, depthMultiplier=1, dilationWFactor=1, dilationHFactor=1
    )
    graph.op("DEPTHWISE_CONV_2D", [x, w], y, 3, options)
    data = graph.build([x], [y])
    if dtype != "int16":
        with pytest.raises(UsageError, match="DEPTHWISE_CONV_2D without a bias, at 'net/y'"):
            open_model(data, delegate)
    else:
        runner = open_model(data, delegate)
        assert len(runner.run(np.ones((1, 4, 4, 2), dtype))) == 1


LINEAR = ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"]


@pytest.mark.parametrize("op", LINEAR)
def test_products_that_are_scaled_too_much_are_refused(tiny_graph: Build, op: str) -> None:
    data = _convolution(tiny_graph(), op, [300.0, 1.0, 1.0, 1.0])
    with pytest.raises(UsageError, match=f"{op} whose products are scaled by 300, at 'y'"):
        open_model(data, Delegate.XNNPACK)
    open_model(data, Delegate.CPU)


@pytest.mark.parametrize("op", LINEAR)
def test_products_that_are_scaled_less_are_opened(tiny_graph: Build, op: str) -> None:
    runner = open_model(_convolution(tiny_graph(), op, [255.0, 1.0, 1.0, 1.0]), Delegate.XNNPACK)
    assert runner.partitions == 1


_UNGUARDED = """
import pathlib, sys
from portrait_tflite import runtime
runtime.require_harmless = lambda *_: None
runtime.open_model(pathlib.Path(sys.argv[1]), runtime.Delegate(sys.argv[2]))
"""


@pytest.mark.parametrize(
    ("op", "scales", "delegate"),
    [("ADD", (0.1, 0.0, 0.1), Delegate.CPU), ("QUANTIZE", (0.1, 0.0), Delegate.XNNPACK)],
)
def test_the_runtime_still_dies_of_them(
    net: Build, tmp_path: Path, op: str, scales: tuple[float, ...], delegate: Delegate
) -> None:
    """Once it refuses these files itself, the guard is needless."""
    file = tmp_path / "net.tflite"
    file.write_bytes(net(op, scales))
    command = [sys.executable, "-c", _UNGUARDED, str(file), str(delegate)]
    assert subprocess.run(command, capture_output=True, check=False).returncode < 0  # a signal

"""What scales and shifts the channels of a float convolution, in its weights and bias."""

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
from portrait_tflite.convert.rewrites.flatbuffer.line_into_convolution import LineIntoConvolution
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Match, accept

from .drawing import many

Build = Callable[..., Any]
OPTIONS = {
    "ADD": schema.AddOptionsT,
    "SUB": schema.SubOptionsT,
    "MUL": schema.MulOptionsT,
    "DIV": schema.DivOptionsT,
}


@dataclass(frozen=True)
class Line:
    """A convolution of `[1, *size]` that keeps its size, and an op with constants behind it."""

    size: tuple[int, int, int] = (8, 8, 4)
    convolution: str = "CONV_2D"
    op: str = "ADD"
    one: bool = False  # one number for all channels
    first: bool = False  # the constant is the first input
    bias: bool = True
    activation: int = 0
    clamped: int = 0  # the convolution's own
    dtype: str = "float32"
    kept: bool = False  # whether the convolution is an output, too

    @property
    def filters(self) -> int:
        """Channels of the output."""
        return self.size[2] if self.convolution == "DEPTHWISE_CONV_2D" else 3


def _file(graph: Any, net: Line) -> bytes:
    rng = np.random.default_rng(3)
    form = (0.05, 3) if net.dtype == "int8" else (None, 0)
    x = graph.tensor("x", (1, *net.size), net.dtype, *form)
    shape = (1, *net.size[:2], net.filters)
    middle, y = (graph.tensor(f"net/{n}/op", shape, net.dtype, *form) for n in ("conv", "line"))
    inputs = _convolution_inputs(graph, net, x, rng)
    steps = {"strideH": 1, "strideW": 1}
    if net.convolution != "TRANSPOSE_CONV":
        steps |= {"dilationHFactor": 1, "dilationWFactor": 1}
        steps |= {"fusedActivationFunction": net.clamped}
    options = {
        "CONV_2D": schema.Conv2DOptionsT,
        "DEPTHWISE_CONV_2D": lambda **k: schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **k),
        "TRANSPOSE_CONV": schema.TransposeConvOptionsT,
    }[net.convolution](**steps)
    graph.op(net.convolution, inputs, middle, 3 if net.bias else 1, options)
    numbers = rng.uniform(0.5, 2, 1 if net.one else net.filters) * rng.choice([-1, 1])
    if net.dtype == "int8":
        constant = graph.tensor("c", numbers.shape, "int8", 0.02, data=numbers * 50)
    else:
        constant = graph.tensor("c", numbers.shape, "float32", data=numbers)
    operands = [constant, middle] if net.first else [middle, constant]
    line = OPTIONS[net.op](fusedActivationFunction=net.activation)
    graph.op(net.op, operands, y, 1, line)
    return bytes(graph.build([x], [y, middle] if net.kept else [y]))


def _convolution_inputs(graph: Any, net: Line, x: int, rng: Any) -> list[int]:
    depth, filters = net.size[2], net.filters
    shape = {
        "CONV_2D": (filters, 3, 3, depth),
        "DEPTHWISE_CONV_2D": (1, 3, 3, filters),
        "TRANSPOSE_CONV": (filters, 3, 3, depth),
    }[net.convolution]
    if net.dtype == "int8":
        weights = graph.tensor("w", shape, "int8", 0.01, data=rng.integers(-127, 128, shape))
        bias = graph.tensor("b", (filters,), "int32", 0.0005, data=rng.integers(-9, 9, filters))
    else:
        weights = graph.tensor("w", shape, "float32", data=rng.normal(size=shape))
        bias = graph.tensor("b", (filters,), "float32", data=rng.normal(size=filters))
    if net.convolution != "TRANSPOSE_CONV":
        return [x, weights, bias]
    size = graph.tensor("s", (4,), "int32", data=[1, *net.size[:2], filters])
    return [size, weights, x, *[bias] * net.bias]


@many
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5)),
    convolution=st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"]),
    op=st.sampled_from(list(OPTIONS)),
    one=st.booleans(),
    first=st.booleans(),
    bias=st.booleans(),
    activation=st.sampled_from([0, 1, 3]),
)
def test_every_line_goes_into_the_convolution(
    tiny_graph: Build, mend_with: Build, size: Any, convolution: str, op: str, one: bool,
    first: bool, bias: bool, activation: int,
) -> None:  # fmt: skip
    transposed = convolution == "TRANSPOSE_CONV"
    first = first and op in {"ADD", "MUL"}
    activation = 0 if transposed else activation
    net = Line(size, convolution, op, one, first, bias or not transposed, activation)
    result = mend_with(_file(tiny_graph(), net), LineIntoConvolution(), accept)
    assert result.ops == [convolution]
    assert result.steps <= 1e-4


def test_a_row_of_lines_goes_as_one(tiny_graph: Build) -> None:
    graph = tiny_graph()
    data = _file(graph, Line(op="MUL"))
    (last,) = [int(i) for i in graph.graph.outputs]
    shift = graph.tensor("t", (3,), "float32", data=[1, -2, 3])
    end = graph.tensor("net/end/op", (1, 8, 8, 3), "float32")
    graph.op("ADD", [last, shift], end, 1, schema.AddOptionsT(fusedActivationFunction=1))
    data = graph.build([int(i) for i in graph.graph.inputs], [end])
    found = mend_model(data, rewrites=(LineIntoConvolution(),))
    (node,) = list_nodes(read_model(found.data))
    assert (node.op, node.option("fusedActivationFunction")) == ("CONV_2D", 1)
    assert [record.exact for record in found.records] == [True, True]


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (Line(kept=True), "another op"),
        (Line(convolution="TRANSPOSE_CONV", activation=1), "GPU"),
        (Line(dtype="int8"), ""),
        (Line(clamped=1), ""),
    ],
)
def test_what_is_no_line_of_the_sums_stays(
    tiny_graph: Build, mend_with: Build, net: Line, reason: str
) -> None:
    result = mend_with(_file(tiny_graph(), net), LineIntoConvolution(), accept)
    assert not result.done
    assert [reason in refusal for refusal in result.refusals] == ([True] if reason else [])


def test_weights_that_are_computed_stay(tiny_graph: Build, mend_with: Build) -> None:
    graph = tiny_graph()
    _file(graph, Line())
    number = int(graph.graph.operators[0].inputs[1])
    graph.graph.tensors[number].buffer = 0
    data = graph.build([int(graph.graph.inputs[0]), number], [int(graph.graph.outputs[0])])
    assert "constants" in mend_with(data, LineIntoConvolution(), accept).refusals[0]


class _Wrong(LineIntoConvolution):
    """Forgets a part of the line."""

    def __init__(self, part: str) -> None:
        self._part = part

    def match(self, model: Any, node: Any) -> Any:
        found = super().match(model, node)
        if not isinstance(found, Match):
            return found
        producer, line, held = found.details
        forgotten = {"factors": np.ones_like(line.factors), "offsets": np.zeros_like(line.offsets)}
        changed = {self._part: forgotten[self._part]} if self._part else {}
        return replace(found, details=(producer, replace(line, **changed), held))


@pytest.mark.parametrize(("op", "part"), [("MUL", "factors"), ("ADD", "offsets")])
@pytest.mark.parametrize("convolution", ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_a_fault_is_caught(tiny_graph: Build, convolution: str, op: str, part: str) -> None:
    data = _file(tiny_graph(), Line(convolution=convolution, op=op))
    assert mend_model(data, rewrites=(_Wrong(""),)).records
    found = mend_model(data, rewrites=(_Wrong(part),))
    assert found.records == ()
    assert found.skipped[0].reason.startswith("undone:")

"""Predicting a whole file as the sum of its ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.cost_prediction import predict
from portrait_tflite.convert.cost_series import Axis, Series
from portrait_tflite.convert.cost_table import CostTable
from portrait_tflite.convert.costed_op import FLOAT32, INT8, CostedOp
from portrait_tflite.errors import UsageError

Build = Callable[..., Any]
CALL = 1000


def _table(*kinds: str, precision: str = FLOAT32, axis: str = "elements") -> CostTable:
    """A table by which an op costs one cycle per number in its output, or as `axis` says."""
    axes = (Axis(axis, (0, 1000)),)
    series = tuple(Series(kind, precision, 1, axes, (0, 1000)) for kind in kinds)
    return CostTable("moon", "", {}, CALL, series)


def test_the_sum_of_the_ops_and_one_call_of_the_runtime(relu_net: Build) -> None:
    table = _table("CONV_2D", "RELU", precision=INT8)
    assert predict(relu_net(), table).cycles == pytest.approx(CALL + 5 * 8 * 8 * 4)
    taps = _table("CONV_2D", "RELU", precision=INT8, axis="taps")
    assert predict(relu_net(), taps).cycles == pytest.approx(CALL + 5)


def test_ops_without_an_entry_are_named_and_add_nothing(relu_net: Build) -> None:
    prediction = predict(relu_net(), _table("CONV_2D", precision=INT8))
    assert prediction.cycles == pytest.approx(CALL + 3 * 8 * 8 * 4)
    assert prediction.unknown == ("RELU in int8",)
    assert predict(relu_net(), _table("RELU")).unknown == ("CONV_2D in int8", "RELU in int8")


def test_a_constant_per_channel_is_another_op(tiny_graph: Build) -> None:
    graph = tiny_graph()
    source = graph.tensor("x", (1, 8, 8, 4), "float32")
    constant = graph.tensor("c", (4,), "float32", data=[1.0, 2.0, 3.0, 4.0])
    target = graph.tensor("y", (1, 8, 8, 4), "float32")
    graph.op("MUL", [source, constant], target, 1, schema.MulOptionsT())
    data = graph.build([source], [target])
    assert predict(data, _table("MUL_CHANNELS")).unknown == ()
    assert predict(data, _table("MUL")).unknown == ("MUL_CHANNELS in float32",)


def _clamped_sum(tiny_graph: Build, *, shared: bool) -> bytes:
    graph = tiny_graph()
    total, clamped, last = (graph.tensor(name, (1, 8, 8, 4), "float32") for name in "tcl")
    source = graph.tensor("x", (1, 8, 8, 4), "float32")
    graph.op("ADD", [source, source], total, 1, schema.AddOptionsT())
    graph.op("RELU", [total], clamped, 1)
    graph.op("ADD", [clamped, total if shared else clamped], last, 1, schema.AddOptionsT())
    data: bytes = graph.build([source], [last])
    return data


def test_a_clamp_that_xnnpack_fuses_costs_nothing(tiny_graph: Build) -> None:
    assert predict(_clamped_sum(tiny_graph, shared=False), _table("ADD")).unknown == ()


def test_a_clamp_of_a_tensor_that_others_need_is_an_op(tiny_graph: Build) -> None:
    prediction = predict(_clamped_sum(tiny_graph, shared=True), _table("ADD"))
    assert prediction.unknown == ("RELU in float32",)


def test_a_transposed_convolution_that_xnnpack_leaves_has_no_entry(tiny_graph: Build) -> None:
    def build(bias_shape: tuple[int, ...]) -> bytes:
        graph = tiny_graph()
        shape = graph.tensor("shape", (4,), "int32", data=[1, 8, 8, 2])
        weights = graph.tensor("w", (2, 3, 3, 2), "float32", data=[0.1] * 36)
        source = graph.tensor("x", (1, 8, 8, 2), "float32")
        bias = graph.tensor("b", bias_shape, "float32", data=[0.5, 0.25])
        target = graph.tensor("y", (1, 8, 8, 2), "float32")
        options = schema.TransposeConvOptionsT(strideH=1, strideW=1)
        graph.op("TRANSPOSE_CONV", [shape, weights, source, bias], target, 3, options)
        data: bytes = graph.build([source], [target])
        return data

    table = _table("TRANSPOSE_CONV")
    assert predict(build((2,)), table).cycles == pytest.approx(CALL + 128)
    assert predict(build((1, 1, 1, 2)), table).unknown == (
        "TRANSPOSE_CONV outside of XNNPACK in float32",
    )


def test_a_concatenation_copies_each_input(tiny_graph: Build) -> None:
    graph = tiny_graph()
    parts = [graph.tensor(f"x{c}", (1, 8, 8, c), "float32") for c in (1, 3, 8)]
    target = graph.tensor("y", (1, 8, 8, 12), "float32")
    graph.op("CONCATENATION", parts, target, 1, schema.ConcatenationOptionsT(axis=3))
    data = graph.build(parts, [target])
    assert predict(data, _table("CONCATENATION")).cycles == pytest.approx(CALL + 64 * 12)


def test_whole_rows_are_copied_as_by_a_reshape(tiny_graph: Build) -> None:
    def predicted(axis: int, sizes: tuple[int, ...]) -> float:
        graph = tiny_graph()
        shapes = [[1, 40, 30, 8] for _ in sizes]
        for shape, size in zip(shapes, sizes, strict=True):
            shape[axis] = size
        parts = [graph.tensor("x", tuple(shape), "float32") for shape in shapes]
        target = [1, 40, 30, 8]
        target[axis] = sum(sizes)
        y = graph.tensor("y", tuple(target), "float32")
        graph.op("CONCATENATION", parts, y, 1, schema.ConcatenationOptionsT(axis=axis))
        return predict(graph.build(parts, [y]), CostTable.load("arm64")).cycles

    def copied(elements: int) -> float:
        op = CostedOp("RESHAPE", elements, 1, 1, 1)
        return CostTable.load("arm64").op_cost(op, FLOAT32)

    call = CostTable.load("arm64").call
    whole = copied(40 * 30 * 8)
    assert predicted(1, (40, 40)) - call == pytest.approx(2 * whole)
    # A run of few elements costs more than its share.
    assert predicted(2, (30, 1)) - call > whole + 5 * copied(40 * 8)
    assert predicted(-1, (8, 8)) - call > 4 * whole


def test_a_damaged_file_is_refused(relu_net: Build) -> None:
    with pytest.raises(UsageError, match="a whole .tflite"):
        predict(relu_net()[:500], _table("ADD"))

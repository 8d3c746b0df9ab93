"""Predicting a whole file as the sum of its ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_series import Axis, Series
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.costs.costed_nodes import costed_ops
from portrait_tflite.convert.costs.costed_op import BUILTIN, FLOAT32, INT8, CostedOp
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
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


def test_a_transposed_convolution_that_xnnpack_leaves_has_an_entry_of_its_own(
    tiny_graph: Build,
) -> None:
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
    outside = build((1, 1, 1, 2))
    assert predict(outside, table).unknown == (f"{BUILTIN['TRANSPOSE_CONV']} in float32",)
    assert predict(outside, _table(BUILTIN["TRANSPOSE_CONV"])).cycles == pytest.approx(CALL + 128)
    # What the runtime leaves counts, whatever the rules say.
    assert predict(build((2,)), table, outside={0}).unknown


@pytest.mark.parametrize("turned", [False, True])
def test_a_product_of_matrices_is_one_for_each_of_a_batch(tiny_graph: Build, turned: bool) -> None:
    graph = tiny_graph()
    source = graph.tensor("x", (1, 2, 5, 7) if turned else (1, 2, 7, 5), "float32")
    factor = graph.tensor("f", (1, 2, 5, 3), "float32")
    target = graph.tensor("y", (1, 2, 7, 3), "float32")
    options = schema.BatchMatMulOptionsT(adjX=turned)
    graph.op("BATCH_MATMUL", [source, factor], target, 1, options)
    (node,) = list_nodes(read_model(graph.build([source, factor], [target])))
    assert list(costed_ops(node)) == [CostedOp("BATCH_MATMUL", 7, 1, 5, 3)] * 2


@pytest.mark.parametrize(
    ("depth", "filters", "expected"),
    [
        (8, 8, [CostedOp("CONV_2D", 16, 1, 8, 8, (3, 3))]),
        (2, 12, [CostedOp("CONV_2D", 16, 1, 2, 3, (3, 3))] * 4),
        (1, 16, [CostedOp("CONV_2D", 16, 1, 1, 2, (3, 3))] * 8),
        (1, 8, [CostedOp("DEPTHWISE_CONV_2D", 16, 1, 8, 8, (3, 3))]),
    ],
)
def test_a_convolution_in_groups_is_that_of_each_group(
    tiny_graph: Build, depth: int, filters: int, expected: list[CostedOp]
) -> None:
    graph = tiny_graph()
    source = graph.tensor("x", (1, 4, 4, 8), "float32")
    shape = (filters, 3, 3, depth)
    weights = graph.tensor("w", shape, "float32", data=[0.0] * (filters * 9 * depth))
    target = graph.tensor("y", (1, 4, 4, filters), "float32")
    graph.op("CONV_2D", [source, weights], target, 1, schema.Conv2DOptionsT(strideH=1, strideW=1))
    (node,) = list_nodes(read_model(graph.build([source], [target])))
    assert list(costed_ops(node)) == expected


@pytest.mark.parametrize(
    ("shape", "order", "positions", "run", "stride"),
    [
        ((8, 12, 3, 5), (0, 2, 1, 3), 8 * 12 * 3, 5, 3),
        ((1, 3, 6, 10), (0, 2, 3, 1), 180, 1, 3),  # channels from first to last
        ((1, 6, 10, 16), (0, 3, 1, 2), 960, 1, 16),
        ((1, 6, 10, 16), (0, 2, 1, 3), 60, 16, 6),
        ((6, 1, 10, 4), (2, 1, 0, 3), 60, 4, 6),  # a dimension of 1 is none
        ((1, 4, 1, 6), (0, 3, 2, 1), 24, 1, 4),
        ((1, 6, 10, 16), (0, -1, 1, 2), 960, 1, 16),
    ],
)
def test_a_transpose_moves_runs(
    tiny_graph: Build,
    shape: tuple[int, ...],
    order: tuple[int, ...],
    positions: int,
    run: int,
    stride: int,
) -> None:
    (op,) = costed_ops(_transpose(tiny_graph, shape, order))
    expected = CostedOp("TRANSPOSE", positions, 1, run, run, stride=stride)
    assert op == expected


def test_a_transpose_that_moves_nothing_is_a_copy(tiny_graph: Build) -> None:
    (op,) = costed_ops(_transpose(tiny_graph, (1, 6, 1, 4), (0, 2, 1, 3)))
    assert (op.kind, op.elements) == ("RESHAPE", 24)


def _transpose(tiny_graph: Build, shape: tuple[int, ...], order: tuple[int, ...]) -> Any:
    graph = tiny_graph()
    source = graph.tensor("x", shape, "float32")
    axes = graph.tensor("order", (len(order),), "int32", data=list(order))
    target = graph.tensor("y", tuple(shape[axis] for axis in order), "float32")
    graph.op("TRANSPOSE", [source, axes], target, 2, schema.TransposeOptionsT())
    return list_nodes(read_model(graph.build([source], [target])))[0]


def _through_float(tiny_graph: Build, *, shared: bool) -> bytes:
    """An int8 HARD_SWISH in float, whose result is an output, too, where it is `shared`."""
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 8, 8, 4), "int8", scale=0.1) for name in "xy")
    f, g = (graph.tensor(name, (1, 8, 8, 4), "float32") for name in "fg")
    graph.op("DEQUANTIZE", [x], f, 2)
    graph.op("HARD_SWISH", [f], g, 1, schema.HardSwishOptionsT())
    graph.op("QUANTIZE", [g], y, 2)
    data: bytes = graph.build([x], [y, g] if shared else [y])
    return data


def test_a_row_that_xnnpack_looks_up_costs_one_look_up(tiny_graph: Build) -> None:
    data = _through_float(tiny_graph, shared=False)
    table = _table("LOGISTIC", precision=INT8)
    assert predict(data, table).cycles == pytest.approx(CALL + 8 * 8 * 4)
    assert predict(data, table).unknown == ()
    # Neither where the runtime leaves one of its ops, nor where the number in between is needed.
    assert "HARD_SWISH in float32" in predict(data, table, outside={1}).unknown
    apart = predict(_through_float(tiny_graph, shared=True), table)
    assert "HARD_SWISH in float32" in apart.unknown


def test_a_square_inside_of_a_row_is_looked_up_with_it(tiny_graph: Build) -> None:
    graph = tiny_graph()
    one = graph.tensor("one", (), "int8", scale=0.1, data=[10])
    x, more, y = (graph.tensor(name, (1, 8, 8, 4), "int8", scale=0.1) for name in ("x", "m", "y"))
    graph.op("ADD", [x, one], more, 2, schema.AddOptionsT())
    graph.op("MUL", [more, more], y, 2, schema.MulOptionsT())
    prediction = predict(graph.build([x], [y]), _table("LOGISTIC", precision=INT8))
    assert (prediction.cycles, prediction.unknown) == (CALL + 8 * 8 * 4, ())


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

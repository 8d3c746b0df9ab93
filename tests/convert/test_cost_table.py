"""Cost tables: read strictly, looked up by kind, precision and stride."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from portrait_tflite.convert.costs.cost_series import Axis, Series
from portrait_tflite.convert.costs.cost_table import CostTable, read_table, write_table
from portrait_tflite.convert.costs.costed_op import FLOAT32, INT8, CostedOp
from portrait_tflite.errors import UsageError

Change = Callable[[dict[str, Any]], Any]


def _series(stride: int, cost: int, precision: str = INT8) -> Series:
    axis = Axis("channels_out", (8, 16), tile=8)
    return Series("DEPTHWISE_CONV_2D", precision, stride, (axis,), (cost, 2 * cost))


def _table() -> CostTable:
    series = (_series(1, 10), _series(2, 11), _series(4, 12), _series(1, 50, FLOAT32))
    return CostTable("moon", "steps", {"qemu": "7.2"}, 3, series)


def _depthwise(stride: int) -> CostedOp:
    return CostedOp("DEPTHWISE_CONV_2D", 4, 4, 8, 8, (3, 3), stride)


def test_a_written_table_is_read_as_it_was() -> None:
    text = write_table(_table())
    assert read_table(text) == _table()
    assert max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize(("stride", "cost"), [(1, 10), (2, 11), (4, 12), (3, 11), (8, 12)], ids=str)
def test_the_nearest_stride_stands_for_one_that_was_not_counted(stride: int, cost: int) -> None:
    assert _table().op_cost(_depthwise(stride), INT8) == cost


@pytest.mark.parametrize(
    ("kernel", "strides", "series", "taps"),
    [
        ((3, 3), (2, 1), 2, 18),
        ((3, 3), (1, 2), 2, 18),
        ((4, 2), (4, 1), 2, 8),
        ((4, 4), (4, 2), 2, 8),
        ((6, 6), (3, 3), 2, 16),
        ((8, 8), (8, 8), 4, 16),
        ((3, 3), (2, 2), 2, 9),
        ((5, 5), (1, 1), 1, 25),
    ],
)
def test_a_transposed_convolution_has_as_many_taps_per_phase(
    kernel: tuple[int, int], strides: tuple[int, int], series: int, taps: int
) -> None:
    axes = (Axis("taps", (0, 1000)),)
    counted = [
        Series("TRANSPOSE_CONV", INT8, s, axes, (1000 * s, 1000 * s + 1000)) for s in (1, 2, 4)
    ]
    table = CostTable("moon", "", {}, 0, tuple(counted))
    op = CostedOp("TRANSPOSE_CONV", 8, 8, 4, 4, kernel, strides[0], stride_columns=strides[1])
    assert table.op_cost(op, INT8) == pytest.approx(1000 * series + taps)


def test_precisions_have_costs_of_their_own() -> None:
    assert _table().op_cost(_depthwise(1), FLOAT32) == 50
    assert _table().knows("DEPTHWISE_CONV_2D", FLOAT32)
    assert not _table().knows("DEPTHWISE_CONV_2D", "int16")
    assert not _table().knows("ADD", INT8)


def test_an_op_that_was_not_counted_is_refused_by_name() -> None:
    message = r"table moon is required: DEPTHWISE_CONV_2D. Received: MAGIC in int8. Count it"
    with pytest.raises(UsageError, match=message):
        _table().op_cost(CostedOp("MAGIC", 1, 1, 1, 1), INT8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(colour="red"), "colour"),
        (lambda d: d.update(schema=2), "schema 1"),
        (lambda d: d.pop("call"), "call"),
        (lambda d: d.update(call="many"), "no count of cycles"),
        (lambda d: d.pop("series"), "series"),
        (lambda d: d["series"][0].update(remark="x"), "remark"),
        (lambda d: d["series"][0].pop("tiles"), "tiles"),
        (lambda d: d["series"][0]["axes"].update(depth=[1, 2]), "depth"),
        (lambda d: d["series"][0]["tiles"].update(taps=4), "taps"),
        (lambda d: d["series"][0]["cycles"].pop(), "1 costs for 2 sizes"),
        (lambda d: d["series"].append(d["series"][0]), "twice"),
    ],
)
def test_a_table_is_read_strictly(change: Change, message: str) -> None:
    data = json.loads(write_table(_table()))
    change(data)
    with pytest.raises(UsageError, match=f"schema 1 is required.*{message}"):
        read_table(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"schema": 1, "series": [3]}'])
def test_what_is_no_table(text: str) -> None:
    with pytest.raises(UsageError, match="a cost table"):
        read_table(text)


def test_a_target_without_a_table_lists_those_with_one() -> None:
    with pytest.raises(UsageError, match="required: arm64. Received: moon"):
        CostTable.load("moon")


# The committed table


def test_the_committed_table_says_what_it_was_made_with() -> None:
    table = CostTable.load("arm64")
    assert set(table.versions) == {"qemu", "ai-edge-litert", "numpy"}
    assert 500 < table.call < 2000


@pytest.mark.parametrize("precision", [INT8, FLOAT32])
@pytest.mark.parametrize("kind", ["CONV_2D", "TRANSPOSE_CONV", "DEPTHWISE_CONV_2D"])
@pytest.mark.parametrize("axis", ["channels_in", "channels_out", "width"])
def test_a_larger_op_costs_more(kind: str, precision: str, axis: str) -> None:
    sizes = [
        {"channels_in": 16, "channels_out": 16, "width": 16, axis: 16 * n} for n in range(1, 9)
    ]
    ops = [CostedOp(kind, 16, kernel=(3, 3), stride=2, **size) for size in sizes]
    costs = [CostTable.load("arm64").op_cost(op, precision) for op in ops]
    assert costs == sorted(costs)
    if not (kind == "DEPTHWISE_CONV_2D" and axis == "channels_in"):
        assert costs[-1] > 2 * costs[0]

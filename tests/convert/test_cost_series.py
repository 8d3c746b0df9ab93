"""What lies between the counted sizes of an op."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from portrait_tflite.convert.costs.cost_series import Axis, Series
from portrait_tflite.convert.costs.costed_op import INT8, CostedOp

TAPS, IN, OUT = Axis("taps", (1, 9)), Axis("channels_in", (4, 8, 64)), Axis("channels_out", (8, 16))


def _kernel_cost(taps: float, channels_in: float, channels_out: float) -> float:
    """As a matrix product costs, per tile of the output: a constant, and so much per product."""
    return channels_out * (7 + 3 * taps + 2 * taps * channels_in)


def _op(taps: int, channels_in: int, channels_out: int) -> CostedOp:
    return CostedOp("CONV_2D", 4, 4, channels_in, channels_out, (1, taps))


@pytest.fixture(scope="module")
def series() -> Series:
    axes = (TAPS, IN, OUT)
    sizes = product(*(axis.entries for axis in axes))
    return Series("CONV_2D", INT8, 1, axes, tuple(round(_kernel_cost(*size)) for size in sizes))


@pytest.mark.parametrize("size", [*product(TAPS.entries, IN.entries, OUT.entries)])
def test_a_counted_size_costs_what_was_counted(series: Series, size: tuple[int, int, int]) -> None:
    assert series.cost(_op(*size)) == round(_kernel_cost(*size))


@pytest.mark.parametrize(
    "size",
    [
        (3, 8, 8),  # between on one axis
        (5, 30, 12),  # on all
        (9, 640, 256),  # beyond the last
        (25, 32, 11),
    ],
)
def test_between_and_beyond_it_is_multilinear(series: Series, size: tuple[int, int, int]) -> None:
    assert series.cost(_op(*size)) == pytest.approx(_kernel_cost(*size))


def test_below_the_first_entry_the_first_entry_counts(series: Series) -> None:
    assert series.cost(_op(1, 1, 1)) == series.cost(_op(1, 4, 8))


def test_more_work_never_costs_less(series: Series) -> None:
    for axis in range(3):
        sizes = [[5, 6, 9] for _ in range(100)]
        for value, size in enumerate(sizes, 1):
            size[axis] = value
        costs = [series.cost(_op(*size)) for size in sizes]
        assert costs == sorted(costs)
        assert costs[0] < costs[-1]


def test_what_was_not_counted_is_rounded_up_to_the_tile() -> None:
    axis = Axis("channels_out", (1, 16, 32), tile=16)
    series = Series("CONV_2D", INT8, 1, (axis,), (5, 20, 40))
    costs = [series.cost(_op(1, 1, n)) for n in (1, 2, 15, 16, 17, 32, 33, 48)]
    assert costs == [5, 20, 20, 20, 40, 40, 60, 60]


def test_an_axis_is_an_attribute_of_the_op() -> None:
    series = Series("ADD", INT8, 1, (Axis("elements", (0, 100)),), (0, 1000))
    assert series.cost(CostedOp("ADD", 2, 3, 5, 5)) == 300
    series = Series("PAD", INT8, 1, (Axis("positions", (0, 100)),), (0, 1000))
    assert series.cost(CostedOp("PAD", 2, 3, 5, 5)) == 60


@pytest.mark.parametrize(
    ("name", "entries", "tile"),
    [
        ("depth", (1, 2), 1),
        ("taps", (1,), 1),
        ("taps", (2, 2), 1),
        ("taps", (4, 1), 1),
        ("taps", (1, 2), 0),
    ],
)
def test_an_axis_that_is_none(name: str, entries: tuple[int, ...], tile: int) -> None:
    with pytest.raises(ValueError, match="axis"):
        Axis(name, entries, tile)


@pytest.mark.parametrize("broken", [{"cycles": (1, 2, 3)}, {"cycles": (1, -2)}, {"axes": ()}])
def test_a_series_that_does_not_fill_its_grid(broken: dict[str, Any]) -> None:
    whole: dict[str, Any] = {"axes": (TAPS,), "cycles": (1, 2)}
    with pytest.raises(ValueError, match="costs for"):
        Series("CONV_2D", INT8, 1, **{**whole, **broken})

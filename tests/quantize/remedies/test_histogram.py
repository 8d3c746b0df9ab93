"""Distributions of numbers, and the ranges chosen by them."""

from __future__ import annotations

import numpy as np
import pytest

from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.tensor_ranges import Range
from portrait_tflite.quantize.remedies.histogram import Histogram


def _counted(*arrays: Floats) -> Histogram:
    histogram = Histogram()
    for number, array in enumerate(arrays):
        histogram.add(np.asarray(array, np.float32), seed=number)
    return histogram


def _squared_error(values: Floats, held: Range) -> float:
    """What int8 over a range makes of numbers."""
    scale = (held.high - held.low) / 255
    point = round(-128 - held.low / scale)
    stored = np.clip(np.round(values / scale) + point, -128, 127)
    return float(np.mean(((stored - point) * scale - values) ** 2))


def test_bins_grow_with_what_comes() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.normal(0, 0.01, 5000), rng.normal(0, 3, 5000)
    grown, at_once = _counted(small, large), _counted(large, small)
    assert grown.limit == at_once.limit >= np.abs(large).max()
    assert grown.counts.sum() == 10_000
    # Merged bins lose nothing but where in a bin a number was.
    assert np.abs(np.cumsum(grown.counts) - np.cumsum(at_once.counts)).max() == 0


@pytest.mark.parametrize("share", [0.99, 0.999])
def test_percentiles(share: float) -> None:
    values = np.random.default_rng(1).normal(1, 2, 16_000)
    found = _counted(values).percentile(share)
    width = 2 * 16 / 4096
    assert found.low == pytest.approx(np.quantile(values, 1 - share), abs=2 * width)
    assert found.high == pytest.approx(np.quantile(values, share), abs=2 * width)


def test_zero_is_held_whatever_the_percentile() -> None:
    found = _counted(np.random.default_rng(1).uniform(3, 4, 1000)).percentile(0.99)
    assert found.low == 0.0
    assert found.high == pytest.approx(4, abs=0.02)
    assert _counted(np.zeros(100)).percentile(0.99) == Range(0.0, 0.0)


def test_large_tensors_are_drawn_from_with_their_ends() -> None:
    values = np.random.default_rng(2).normal(0, 1, 100_000)
    values[[3, 99_000]] = -20, 30
    histogram = _counted(values)
    assert histogram.counts.sum() < 20_000
    found = histogram.percentile(1.0)
    assert found.low == pytest.approx(-20, abs=0.05)
    assert found.high == pytest.approx(30, abs=0.05)


@pytest.mark.parametrize("seed", range(20))
def test_least_error_is_what_trying_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Sharp peaks with tails, many zeros.
    values = rng.laplace(0, 0.1, 12_000) ** 3 * (rng.random(12_000) > rng.random())
    if seed % 2:
        values = np.maximum(values, 0)
    whole = Range(min(0.0, float(values.min())), max(0.0, float(values.max())))
    found = _counted(values).least_error(whole)
    assert whole.low <= found.low <= 0 <= found.high <= whole.high
    shares = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    tried = [
        _squared_error(values, Range(whole.low * low, whole.high * high))
        for low in shares
        for high in shares
    ]
    assert _squared_error(values, found) <= 1.1 * min(tried)


def test_a_rare_outlier_is_clipped() -> None:
    values = np.random.default_rng(0).normal(0, 1, 15_000)
    values[:5] = 5.5
    whole = Range(-40.0, 40.0)  # as wide as another network's
    found = _counted(values).least_error(whole)
    assert found.high < 8.5
    assert _squared_error(values, found) < 0.1 * _squared_error(values, whole)


def test_what_fills_its_range_keeps_it() -> None:
    values = np.random.default_rng(3).uniform(-1, 1, 12_000)
    found = _counted(values).least_error(Range(-1.0, 1.0))
    assert found.low == pytest.approx(-1, abs=0.021)
    assert found.high == pytest.approx(1, abs=0.021)

"""The bootstrap interval, held against what normal figures have."""

from __future__ import annotations

import numpy as np
import pytest

from portrait_tflite.quantize.accuracy.bootstrap import bootstrap_interval


def test_is_about_two_standard_errors_to_either_side() -> None:
    values = np.random.default_rng(0).normal([1.0, -2.0], [0.5, 3.0], (200, 2))
    low, high = bootstrap_interval(values)
    error = values.std(axis=0) / np.sqrt(200)
    assert low == pytest.approx(values.mean(axis=0) - 1.96 * error, abs=0.15 * error.max())
    assert high == pytest.approx(values.mean(axis=0) + 1.96 * error, abs=0.15 * error.max())


def test_holds_the_true_mean_nineteen_times_of_twenty() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        (low,), (high,) = bootstrap_interval(rng.normal(0.3, 1.0, (60, 1)))
        held += bool(low <= 0.3 <= high)
    assert 180 <= held <= 198


def test_same_values_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=(30, 3))
    assert np.array_equal(bootstrap_interval(values), bootstrap_interval(values.copy()))


def test_large_sets_are_drawn_in_parts() -> None:
    values = np.random.default_rng(0).normal(size=(2_000, 3))
    low, high = bootstrap_interval(values)
    assert (low < values.mean(axis=0)).all()
    assert (high > values.mean(axis=0)).all()

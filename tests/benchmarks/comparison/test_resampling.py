"""The bootstrap on simulated series: it finds a slowdown of 15 %, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from portrait_tflite.benchmarks.comparison.resampling import Ratio, _student, ratio_of_medians

Series = list[list[float]]


def simulate(seed: int, slowdown: float, processes: int, between: float = 0.025) -> Series:
    """Draw runs as a shared machine gives them.

    Every process has its own level (standard deviation `between`), runs scatter by 3 % around it,
    and one in twenty is interrupted and takes up to three times as long.
    """
    rng = np.random.default_rng(seed)
    series = []
    for _ in range(processes):
        level = 4.0 * slowdown * np.exp(rng.normal(0, between))
        runs = level * np.exp(rng.normal(0, 0.03, 50 // processes))
        interrupted = rng.random(runs.size) < 0.05
        runs[interrupted] *= rng.uniform(1.2, 3.0, interrupted.sum())
        series.append(list(runs))
    return series


def found(slowdown: float, processes: int) -> int:
    """Count in how many of 100 pairs a slowdown is significant."""
    ratios = [
        ratio_of_medians(simulate(2 * n, 1.0, processes), simulate(2 * n + 1, slowdown, processes))
        for n in range(100)
    ]
    return sum(ratio.significant and ratio.value > 1 for ratio in ratios)


@pytest.mark.parametrize("processes", [3, 5])
def test_a_slowdown_of_15_percent_is_found_in_19_of_20(processes: int) -> None:
    assert found(1.15, processes) >= 95


@pytest.mark.parametrize("processes", [3, 5])
def test_none_is_found_in_19_of_20_where_there_is_none(processes: int) -> None:
    assert 100 - found(1.0, processes) >= 95


def test_runs_that_are_taken_for_independent_would_find_what_is_not_there() -> None:
    # The same 50 runs as 50 processes of one run each: what a plain bootstrap would do.
    wrong = sum(
        ratio_of_medians(
            [[run] for one in simulate(2 * n, 1.0, 3, 0.05) for run in one],
            [[run] for one in simulate(2 * n + 1, 1.0, 3, 0.05) for run in one],
        ).significant
        for n in range(20)
    )
    assert wrong >= 5


def test_the_interval_holds_the_ratio_and_is_the_same_every_time() -> None:
    old, new = simulate(1, 1.0, 3), simulate(2, 1.3, 3)
    first = ratio_of_medians(old, new)
    assert first == ratio_of_medians(old, new)
    assert first.low is not None
    assert first.high is not None
    assert first.low < first.value < first.high
    assert first.value == pytest.approx(1.3, rel=0.1)
    back = ratio_of_medians(new, old)
    assert back.value == pytest.approx(1 / first.value)


def test_one_process_says_nothing_of_the_spread_between_them() -> None:
    ratio = ratio_of_medians([[1.0] * 50], [[2.0] * 25, [2.0] * 25])
    assert ratio == Ratio(2.0)
    assert not ratio.significant


@pytest.mark.parametrize(
    ("low", "high", "significant"),
    [
        (1.01, 1.2, True), (0.8, 0.99, True), (0.9, 1.1, False), (1.0, 1.2, False),
        (None, None, False), (float("nan"), float("nan"), False),
    ],
)  # fmt: skip
def test_an_interval_without_1_is_significant(
    low: float | None, high: float | None, significant: bool
) -> None:
    assert Ratio(1.1, low, high).significant is significant


def test_processes_that_agree_exactly_are_not_infinitely_sure() -> None:
    noisy = [[1.0, 1.2, 0.8, 1.1, 0.9]] * 3
    ratio = ratio_of_medians(noisy, [[1.02 * run for run in one] for one in noisy])
    assert ratio.low is not None
    assert ratio.low < 1 < ratio.value


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.706), (2, 4.303), (4, 2.776), (30, 2.042)]
)
def test_students_quantiles_are_those_of_the_tables(freedom: float, quantile: float) -> None:
    assert _student(0.95, freedom) == pytest.approx(quantile, abs=2e-3)

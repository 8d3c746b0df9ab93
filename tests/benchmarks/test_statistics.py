"""What timings are reduced to, and the doubts about them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait_tflite.benchmarks.statistics import (
    WarmUp,
    doubts,
    is_stable,
    summarize_ms,
    unsettled,
)
from portrait_tflite.vocabulary import LatencyMs

timings = st.lists(st.floats(0.001, 1e4), min_size=1, max_size=80)


@settings(deadline=None, max_examples=50)
@given(timings)
def test_the_figures_are_ordered(samples: list[float]) -> None:
    latency = summarize_ms(samples)
    assert latency.min <= latency.median <= latency.p90 <= latency.p95 <= max(samples)
    assert latency.min <= latency.mean * (1 + 1e-9)
    assert 0 <= latency.mad <= max(samples) - min(samples)


def test_known_figures() -> None:
    latency = summarize_ms([1, 2, 3, 4, 100])
    assert latency == LatencyMs(
        median=3, mean=22, p90=pytest.approx(61.6), p95=pytest.approx(80.8), min=1, mad=1
    )


def test_no_timings_are_an_error() -> None:
    with pytest.raises(ValueError, match="one or more timings"):
        summarize_ms([])


def test_stable_means_a_small_deviation_of_the_middle_half() -> None:
    steady = [10.0 + 0.1 * (i % 3) for i in range(60)]
    assert is_stable(summarize_ms(steady))
    assert is_stable(summarize_ms([*steady, 500.0]))  # one outlier is no doubt about the median
    assert not is_stable(summarize_ms([10.0, 14.0] * 30))


def test_a_good_series_raises_no_doubt() -> None:
    assert doubts([[10.0, 10.1] * 30]) == ()


@pytest.mark.parametrize(
    ("samples", "clock_ms", "message"),
    [
        ([10.0] * 49, 1e-6, "only 49 runs"),
        ([10.0, 14.0] * 30, 1e-6, "standard deviation is over 10% of the mean"),
        ([10.0] * 60, 0.5, "under 100 ticks of the clock (0.5 ms)"),
    ],
)
def test_doubts_are_said_aloud(samples: list[float], clock_ms: float, message: str) -> None:
    (doubt,) = doubts([samples], clock_ms)
    assert message in doubt


@pytest.mark.parametrize(
    ("medians", "disagree"), [((10.0, 10.1, 10.05), False), ((10.0, 10.1, 11.5), True)]
)
def test_processes_that_disagree_beyond_their_scatter_are_said(
    medians: tuple[float, ...], disagree: bool
) -> None:
    found = doubts([[median + 0.1 * (i % 3) for i in range(20)] for median in medians])
    assert found == (
        ("processes disagree by 15 %; more of them would say more",) if disagree else ()
    )


def test_scatter_inside_of_the_processes_is_no_disagreement() -> None:
    rng = np.random.default_rng(0)
    found = doubts([list(rng.normal(10, 0.9, 17)) for _ in range(3)])
    assert not any("disagree" in doubt for doubt in found)


def test_warm_up_that_was_given_up_is_said() -> None:
    settled, restless = WarmUp(12, settled=True), WarmUp(40, settled=False)
    assert unsettled([settled] * 3) == ()
    (said,) = unsettled([settled, restless, restless])
    assert said.startswith("timings had not settled after 40 runs of warm-up in 2 of 3 processes")


def test_figures_are_plain_floats() -> None:
    latency = summarize_ms(list(np.arange(1, 5, dtype=np.float32)))
    assert {type(value) for value in vars(latency).values()} == {float}

"""What a series of timings says, and whether to believe it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from portrait_tflite.vocabulary import LatencyMs

ENOUGH_RUNS = 50
# Two runs of one file on a quiet machine differ by about this share of their median.
STABLE_MAD = 0.05
# pyperf's rule for a series that is not to be trusted.
_NOISY_STDEV = 0.1
# A value of fewer ticks than this is mostly rounding.
_CLOCK_TICKS = 100
# Standard error of a median, from the median absolute deviation of normal values.
_MEDIAN_ERROR = 1.2533 * 1.4826
# Processes disagree where their medians scatter by so many of these, and by 2 % of their mean.
_DISAGREEING_ERRORS = 3.0
_AGREED = 0.02


class WarmUp(NamedTuple):
    """Runs before the timed ones, and whether timings had settled by then."""

    runs: int
    settled: bool


def summarize_ms(samples_ms: Sequence[float]) -> LatencyMs:
    """Reduce timings of single inferences, in milliseconds, to their distribution.

    Raises:
        ValueError: There are no samples.
    """
    if not samples_ms:
        raise ValueError("one or more timings are required. Received: none.")
    values = np.asarray(samples_ms, np.float64)
    median = float(np.median(values))
    p90, p95 = np.percentile(values, (90, 95))
    return LatencyMs(
        median=median,
        mean=float(values.mean()),
        p90=float(p90),
        p95=float(p95),
        min=float(values.min()),
        mad=float(np.median(np.abs(values - median))),
    )


def is_stable(latency: LatencyMs) -> bool:
    """Tell whether half of the timings lie within 5 % of the median."""
    return latency.mad <= STABLE_MAD * latency.median


def doubts(samples_ms: Sequence[Sequence[float]], clock_ms: float | None = None) -> tuple[str, ...]:
    """Say aloud what speaks against a series of timings, and what to do about it.

    Args:
        samples_ms: The timings of each process.
        clock_ms: Resolution of the clock; asked of the system where it is not given.
    """
    values = np.concatenate([np.asarray(one, np.float64) for one in samples_ms])
    if clock_ms is None:
        clock_ms = time.get_clock_info("perf_counter").resolution * 1e3
    found = []
    if values.size < ENOUGH_RUNS:
        found.append(f"only {values.size} runs; use {ENOUGH_RUNS} or more")
    spread = float(values.std() / values.mean()) if values.mean() > 0 else 0.0
    if spread >= _NOISY_STDEV:
        found.append(
            f"standard deviation is over {_NOISY_STDEV:.0%} of the mean; close other programs or "
            "run longer"
        )
    if np.median(values) < _CLOCK_TICKS * clock_ms:
        found.append(f"median is under {_CLOCK_TICKS} ticks of the clock ({clock_ms:g} ms)")
    return (*found, *_disagreement(samples_ms))


def _disagreement(samples_ms: Sequence[Sequence[float]]) -> tuple[str, ...]:
    """Say when the processes' medians differ by more than their own scatter explains."""
    series = [np.asarray(one, np.float64) for one in samples_ms if len(one) > 1]
    if len(series) < 2:
        return ()
    medians = np.array([np.median(one) for one in series])
    errors = [
        _MEDIAN_ERROR * np.median(np.abs(one - np.median(one))) / len(one) ** 0.5 for one in series
    ]
    between = float(medians.std(ddof=1))
    if between <= max(_DISAGREEING_ERRORS * float(np.mean(errors)), _AGREED * medians.mean()):
        return ()
    percent = (medians.max() / medians.min() - 1) * 100
    return (f"processes disagree by {percent:.0f} %; more of them would say more",)


def unsettled(warm_ups: Sequence[WarmUp]) -> tuple[str, ...]:
    """Say in how many processes timings still fell or rose when warm-up was given up."""
    restless = [one for one in warm_ups if not one.settled]
    if not restless:
        return ()
    return (
        f"timings had not settled after {restless[0].runs} runs of warm-up in {len(restless)} of "
        f"{len(warm_ups)} processes; measure again",
    )

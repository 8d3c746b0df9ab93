"""What a series of timings says, and whether to believe it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from portrait_tflite.vocabulary import LatencyMs

ENOUGH_RUNS = 50
# Two runs of one file on a quiet machine differ by about this share of their median.
STABLE_MAD = 0.05
# pyperf's rule for a series that is not to be trusted.
_NOISY_STDEV = 0.1
# A value of fewer ticks than this is mostly rounding.
_CLOCK_TICKS = 100


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


def doubts(samples_ms: Sequence[float], clock_ms: float | None = None) -> tuple[str, ...]:
    """Say aloud what speaks against a series of timings, and what to do about it.

    Args:
        clock_ms: Resolution of the clock; asked of the system where it is not given.
    """
    values = np.asarray(samples_ms, np.float64)
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
    return tuple(found)

"""Several starts of the app as one result: chance differs between processes, on a phone too."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from portrait_tflite.benchmarks.statistics import doubts, is_stable, summarize_ms
from portrait_tflite.vocabulary import BatteryC, BenchmarkResult, DeviceResult, Thermal

_NO_TICKS = 0.0  # Android's clock counts nanoseconds


def merge_starts(results: Sequence[DeviceResult]) -> DeviceResult:
    """Put the cells of several starts together, each start as a process; all self-tests stay.

    Args:
        results: One or more, of the same order.
    """
    rows = zip(*(result.benchmarks for result in results), strict=True)
    return replace(
        results[0],
        self_test=tuple(chain.from_iterable(result.self_test for result in results)),
        benchmarks=tuple(_merge(cell) for cell in rows),
    )


def _merge(rows: Sequence[BenchmarkResult]) -> BenchmarkResult:
    """Merge a cell's rows; one that was not measured stands for all."""
    missing = next((row for row in rows if row.latency_ms is None), None)
    if missing or len(rows) == 1:
        return missing or rows[0]
    samples_ms = tuple(chain.from_iterable(row.samples_ms for row in rows))
    latency = summarize_ms(list(chain.from_iterable(samples_ms)))
    said = chain(doubts(samples_ms, _NO_TICKS), *(row.warnings for row in rows))
    return replace(
        rows[0],
        runs=sum(row.runs for row in rows),
        processes=len(rows),
        warmup=max(row.warmup for row in rows),
        latency_ms=latency,
        init_ms=_middle([row.init_ms for row in rows]),
        first_ms=_middle([row.first_ms for row in rows]),
        peak_rss_mb=_middle([row.peak_rss_mb for row in rows]),
        stable=is_stable(latency),
        warnings=tuple(dict.fromkeys(said)),
        samples_ms=samples_ms,
        thermal=_from_to(rows),
        battery_c=_warmed(rows),
    )


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _from_to(rows: Sequence[BenchmarkResult]) -> Thermal | None:
    first, last = rows[0].thermal, rows[-1].thermal
    return Thermal(first.before, last.after) if first and last else None


def _warmed(rows: Sequence[BenchmarkResult]) -> BatteryC | None:
    first, last = rows[0].battery_c, rows[-1].battery_c
    return BatteryC(first.before, last.after) if first and last else None

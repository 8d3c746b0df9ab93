"""Latency of `.tflite` files on this machine, several of them interleaved."""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from portrait_tflite.benchmarks.machine import usable_cores
from portrait_tflite.benchmarks.memory import measure_peak_mb
from portrait_tflite.benchmarks.statistics import (
    ENOUGH_RUNS,
    doubts,
    is_stable,
    summarize_ms,
)
from portrait_tflite.runtime import Runner, random_input, timed_open
from portrait_tflite.vocabulary import ArmCost, BenchmarkResult, Delegate

HOST = "host"
GPU_REASON = "the GPU delegate is not measured by this version yet"
ARM_REASON = "not set up: ARM cost is not part of this version yet"

# Warm-up ends when the median of this many runs is within 5 % of that of the runs before them.
_WINDOW = 5
_SETTLED = 0.05
_BUSY_SHARE = 0.5


@dataclass(frozen=True)
class Cell:
    """A file on a delegate: one row of a benchmark.

    Attributes:
        precision: What `report.json` calls its element type; empty where nobody said.
    """

    variant: str
    path: Path
    delegate: Delegate
    threads: int = 1
    precision: str = ""


@dataclass
class _Series:
    """The timings of a cell while it is being measured."""

    cell: Cell
    runner: Runner
    init_ms: float
    first_ms: float
    warmup: int = 0
    samples_ms: list[float] = field(default_factory=list)


def measure_files(
    cells: Sequence[Cell],
    runs: int = ENOUGH_RUNS,
    seconds: float = 0.0,
    max_warmup: int = 40,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[BenchmarkResult]:
    """Time every cell, in turns: A B C A B C …, all in this process.

    Whatever disturbs the machine for a while then disturbs all cells alike, so that they can be
    compared. Timings are of inference alone, with the input set once. Peak memory is that of a
    process of the cell's own.

    Args:
        runs: Timed runs of each cell, at least.
        seconds: Time spent in timed runs of all cells together, at least.
        max_warmup: Where warm-up ends though the timings have not settled.
        on_progress: Called with `(rounds done, rounds expected)`.

    Returns:
        One result per cell, in their order; `unavailable` where a cell was not run.
    """
    warnings = _machine_warnings()
    series = {
        index: _open(cell) for index, cell in enumerate(cells) if cell.delegate is not Delegate.GPU
    }
    if series:
        with _no_collection():
            for one in series.values():
                one.warmup = _warm_up(one.runner, max_warmup)
            _time_in_turns(list(series.values()), runs, seconds, on_progress)
    return [
        _result(series[index], warnings) if index in series else _unavailable(cell)
        for index, cell in enumerate(cells)
    ]


def unavailable_arm_cost(variants: Sequence[str]) -> tuple[ArmCost, ...]:
    """Return the ARM cost of each variant as not measured, with the reason."""
    return tuple(ArmCost(variant=name, cpu="", unavailable=ARM_REASON) for name in variants)


def _open(cell: Cell) -> _Series:
    runner, init_ms = timed_open(cell.path, cell.delegate, cell.threads)
    rng = np.random.default_rng(0)
    # Noise rather than zeros: zeros leave some float kernels on a path that pictures never take.
    runner.set_inputs(*(random_input(info, rng) for info in runner.inputs))
    return _Series(cell, runner, init_ms, first_ms=runner.time_once())


def _warm_up(runner: Runner, limit: int) -> int:
    """Run until the timings have settled; return how often."""
    timings: list[float] = []
    while len(timings) < limit:
        timings.append(runner.time_once())
        if len(timings) >= 2 * _WINDOW:
            before = float(np.median(timings[-2 * _WINDOW : -_WINDOW]))
            if abs(float(np.median(timings[-_WINDOW:])) - before) <= _SETTLED * before:
                break
    return len(timings)


def _time_in_turns(
    series: Sequence[_Series],
    runs: int,
    seconds: float,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    spent_ms, done, expected = 0.0, 0, runs
    while done < expected:
        for one in series:
            one.samples_ms.append(one.runner.time_once())
            spent_ms += one.samples_ms[-1]
        done += 1
        expected = max(runs, math.ceil(seconds * 1e3 / max(spent_ms / done, 1e-6)))
        if on_progress:
            on_progress(done, max(done, expected))


def _result(series: _Series, machine_warnings: tuple[str, ...]) -> BenchmarkResult:
    cell, latency = series.cell, summarize_ms(series.samples_ms)
    return BenchmarkResult(
        variant=cell.variant,
        device=HOST,
        delegate=cell.delegate,
        precision=cell.precision,
        threads=cell.threads,
        accelerator="cpu",
        partitions=series.runner.partitions,
        runs=len(series.samples_ms),
        processes=1,
        warmup=series.warmup,
        latency_ms=latency,
        init_ms=series.init_ms,
        first_ms=series.first_ms,
        peak_rss_mb=measure_peak_mb(cell.path, cell.delegate, cell.threads),
        stable=is_stable(latency),
        warnings=(*doubts(series.samples_ms), *_thread_warnings(cell), *machine_warnings),
    )


def _unavailable(cell: Cell) -> BenchmarkResult:
    return BenchmarkResult(
        variant=cell.variant,
        device=HOST,
        delegate=cell.delegate,
        precision=cell.precision,
        threads=cell.threads,
        unavailable=GPU_REASON,
    )


def _thread_warnings(cell: Cell) -> tuple[str, ...]:
    cores = usable_cores()
    if cell.threads <= cores:
        return ()
    return (f"{cell.threads} threads on {cores} cores wait for each other",)


def _machine_warnings() -> tuple[str, ...]:
    """Say when the machine was at work already before the measurement began."""
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):  # not on Windows
        return ()
    cores = usable_cores()
    if load < _BUSY_SHARE * cores:
        return ()
    return (f"load average was {load:.1f} on {cores} cores when measuring began",)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector out of the timings."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

"""Latency of files on this machine's CPU: fresh processes, pinned, in turns.

What a process happens to get, its addresses and pages above all, moves a timing by some percent and
stays as long as it lives; so every cell is timed in several, and the spread between them is known.
Whatever disturbs the machine for a while disturbs all cells alike, since they take turns.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.host.load import StealWatch, busy_before
from portrait_tflite.benchmarks.host.series import Series
from portrait_tflite.benchmarks.machine import usable_cores
from portrait_tflite.benchmarks.statistics import ENOUGH_RUNS
from portrait_tflite.benchmarks.worker_process import PATIENCE_S, WorkerProcess
from portrait_tflite.vocabulary import BenchmarkResult

PROCESSES = 3

# Timed runs of one cell before the next has its turn: enough that the run which only brings the
# caches back is a small part, few enough that a disturbance of a second meets everybody.
_SLICE = 5


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        runs: Timed runs of each cell, at least, over all of its processes.
        seconds: Time that the timed runs of all cells take together, at least.
        processes: Fresh processes per cell.
        patience_s: Seconds after which a worker that does not answer is taken to hang.
    """

    runs: int = ENOUGH_RUNS
    seconds: float = 0.0
    processes: int = PROCESSES
    patience_s: float = PATIENCE_S


def measure_host(
    cells: Sequence[Cell],
    effort: Effort,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[BenchmarkResult]:
    """Time every cell, in turns: A B C A B C …

    A generation of processes, one per cell, is started, warmed up and timed in slices by turns, and
    then makes room for the next. Timings are of inference alone, with the input set once.

    Args:
        on_progress: Called with `(rounds done, rounds expected)`.

    Returns:
        One result per cell, in their order; `unavailable` where the runtime refused the file,
        crashed or hung, or where all of its processes were killed.
    """
    series = [Series(cell, pinned_cores(cell.threads)) for cell in cells]
    watch = StealWatch(sorted({core for one in series for core in one.cores}))
    warnings = busy_before()
    progress = _Progress(effort.runs, on_progress)
    for number in range(effort.processes):
        _measure_generation(series, effort, progress, left=effort.processes - number)
    warnings += watch.doubts()
    return [one.result(warnings) for one in series]


def pinned_cores(threads: int) -> tuple[int, ...]:
    """Choose as many cores as threads: the last ones, since the first serve most interrupts.

    Empty, for no pinning, where there are too few, or where the system cannot pin.
    """
    if not hasattr(os, "sched_getaffinity") or threads > usable_cores():
        return ()
    return tuple(sorted(os.sched_getaffinity(0))[-threads:])


class _Progress:
    """Counts the rounds of all generations."""

    def __init__(self, runs: int, report: Callable[[int, int], None] | None) -> None:
        self.done = 0
        self._expected = runs
        self._report = report

    def add(self, rounds: int, expected: int) -> None:
        self.done += rounds
        self._expected = max(self.done, self._expected, expected)
        if self._report:
            self._report(self.done, self._expected)


def _measure_generation(
    series: Sequence[Series], effort: Effort, progress: _Progress, left: int
) -> None:
    """Time a process per cell; `left` generations, this one too, share what is still to do."""
    fewest = math.ceil(max(effort.runs - progress.done, 1) / left)
    with ExitStack() as stack:
        turns = _start([one for one in series if not one.failure], effort.patience_s, stack)
        done, expected, spent_ms = 0, fewest, 0.0
        while done < expected and turns:
            rounds = min(_SLICE, expected - done)
            spent_ms += sum(one.time(worker, rounds) for one, worker in turns)
            turns = [turn for turn in turns if turn[0].running]
            done += rounds
            lasting = effort.seconds / effort.processes * 1e3 * done / max(spent_ms, 1e-6)
            expected = max(fewest, math.ceil(lasting))
            after = expected * (left - 1) if expected > fewest else 0
            progress.add(rounds, progress.done + rounds + expected - done + after)


def _start(
    series: Sequence[Series], patience_s: float, stack: ExitStack
) -> list[tuple[Series, WorkerProcess]]:
    """Start a process per cell, together, then open the files one by one, undisturbed."""
    turns = [(one, stack.enter_context(WorkerProcess(patience_s=patience_s))) for one in series]
    for one, worker in turns:
        one.wait(worker)
    for one, worker in turns:
        if one.running:
            one.open(worker)
    return [turn for turn in turns if turn[0].running]

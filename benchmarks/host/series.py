"""The timings of one cell while it is being measured, and what they come to."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from portrait_tflite.benchmarks.cell import Cell, received
from portrait_tflite.benchmarks.machine import usable_cores
from portrait_tflite.benchmarks.statistics import (
    WarmUp,
    doubts,
    is_stable,
    summarize_ms,
    unsettled,
)
from portrait_tflite.benchmarks.worker_process import (
    WorkerError,
    WorkerKilledError,
    WorkerProcess,
    left_out,
)
from portrait_tflite.vocabulary import HOST, BenchmarkResult, Fault

_MAX_WARM_UP = 40
_DIGITS = 6  # of a sample in ms: nanoseconds
_MANY_INTERRUPTED = 0.1  # of the runs
_SILENT = "the runtime refused the file and did not say why"


@dataclass
class _Process:
    """What one process gave; `interrupted` counts runs in which another program took the core."""

    opened: dict[str, Any]
    warm_up: WarmUp
    samples_ms: list[float] = field(default_factory=list)
    interrupted: int = 0


@dataclass
class Series:
    """One cell on the host.

    Attributes:
        cores: The cores that its processes are pinned to; empty for any.
        failure: Why nothing more is asked of it, or "".
        running: Whether its newest process can be asked for timings.
    """

    cell: Cell
    cores: tuple[int, ...]
    failure: str = ""
    running: bool = False
    _processes: list[_Process] = field(default_factory=list)
    _killed: list[str] = field(default_factory=list)

    def wait(self, worker: WorkerProcess) -> None:
        """Wait until a new process has imported the runtime."""
        with self._failing():
            worker.ask("ready")
            self.running = True

    def open(self, worker: WorkerProcess) -> None:
        """Open the file in the new process and warm up there."""
        cell = self.cell
        with self._failing():
            file, delegate = str(cell.path), cell.delegate.value
            opened = worker.ask("open", file, delegate, cell.threads, self.cores)
            warm_up = WarmUp(**worker.ask("warm_up", _MAX_WARM_UP))
            self._processes.append(_Process(opened, warm_up))

    def time(self, worker: WorkerProcess, runs: int) -> float:
        """Time some runs in the process that was opened last; return the ms they took."""
        process = self._processes[-1]
        answer: dict[str, Any] = {"ms": [], "interrupted": 0}
        with self._failing():
            answer = worker.ask("time", runs)
        process.samples_ms += [round(ms, _DIGITS) for ms in answer["ms"]]
        process.interrupted += answer["interrupted"]
        if not self.running:  # a part of a process is not what the others are
            self._processes.pop()
        return float(sum(answer["ms"]))

    def result(self, warnings: tuple[str, ...]) -> BenchmarkResult:
        """Reduce the timings; `warnings` are those that hold for all cells."""
        cell = self.cell
        row = BenchmarkResult(
            variant=cell.variant,
            device=HOST,
            delegate=cell.delegate,
            precision=cell.precision,
            threads=cell.threads,
            accelerator="cpu",
        )
        if self.failure:
            return replace(row, unavailable=self.failure, fault=Fault.FILE)
        if not self._processes:
            return replace(row, unavailable=self._killed[0], fault=Fault.MACHINE)
        return self._measured(row, warnings)

    def _measured(self, row: BenchmarkResult, warnings: tuple[str, ...]) -> BenchmarkResult:
        samples_ms = tuple(tuple(one.samples_ms) for one in self._processes)
        latency = summarize_ms(list(chain(*samples_ms)))
        return replace(
            row,
            partitions=self._processes[0].opened["partitions"],
            runs=sum(map(len, samples_ms)),
            processes=len(samples_ms),
            warmup=max(one.warm_up.runs for one in self._processes),
            latency_ms=latency,
            init_ms=self._middle("init_ms"),
            first_ms=self._middle("first_ms"),
            peak_rss_mb=self._middle("peak_mb"),
            stable=is_stable(latency),
            warnings=(*doubts(samples_ms), *self._own_warnings(), *warnings),
            samples_ms=samples_ms,
        )

    def _middle(self, name: str) -> float | None:
        """The median over processes; None where it is not known on this system."""
        values = [one.opened[name] for one in self._processes if one.opened[name] is not None]
        return statistics.median(values) if values else None

    def _own_warnings(self) -> Iterator[str]:
        runs = sum(len(one.samples_ms) for one in self._processes)
        interrupted, cores = sum(one.interrupted for one in self._processes), usable_cores()
        yield from unsettled([one.warm_up for one in self._processes])
        yield from left_out(self._killed, len(self._killed) + len(self._processes))
        if interrupted > _MANY_INTERRUPTED * runs:
            yield f"{interrupted} of {runs} runs were interrupted by other programs"
        if self.cell.threads > cores:
            yield f"{self.cell.threads} threads on {cores} cores wait for each other"

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Keep a worker's failure as the reason; one that was killed may have a successor."""
        try:
            yield
        except WorkerKilledError as error:
            self.running = False
            self._killed.append(str(error))
        except WorkerError as error:
            self.running = False
            self.failure = received(error, self.cell.path) or _SILENT

"""The timings of one cell while it is being measured, and what they come to."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from portrait_tflite.benchmarks.cell import HOST, Cell
from portrait_tflite.benchmarks.machine import usable_cores
from portrait_tflite.benchmarks.statistics import doubts, is_stable, summarize_ms
from portrait_tflite.benchmarks.worker_process import WorkerError, WorkerProcess
from portrait_tflite.vocabulary import BenchmarkResult

_MAX_WARM_UP = 40
_DIGITS = 6  # of a sample in ms: nanoseconds
_MANY_INTERRUPTED = 0.1  # of the runs


@dataclass
class Series:
    """One cell on the host; the lists hold a value per process.

    Attributes:
        cores: The cores that its processes are pinned to; empty for any.
        interrupted: Runs in which another program took the core.
        failure: Why nothing more is asked of it, or "".
    """

    cell: Cell
    cores: tuple[int, ...]
    samples_ms: list[list[float]] = field(default_factory=list)
    interrupted: int = 0
    failure: str = ""
    _opened: list[dict[str, Any]] = field(default_factory=list)
    _warm_up: list[int] = field(default_factory=list)

    def wait(self, worker: WorkerProcess) -> None:
        """Wait until a new process has imported the runtime."""
        with self._failing():
            worker.ask("ready")

    def open(self, worker: WorkerProcess) -> None:
        """Open the file in a new process and warm up there."""
        cell = self.cell
        with self._failing():
            file, delegate = str(cell.path), cell.delegate.value
            self._opened.append(worker.ask("open", file, delegate, cell.threads, self.cores))
            self._warm_up.append(worker.ask("warm_up", _MAX_WARM_UP)["runs"])
            self.samples_ms.append([])

    def time(self, worker: WorkerProcess, runs: int) -> float:
        """Time some runs in the process that was opened last; return the ms they took."""
        spent_ms = 0.0
        with self._failing():
            answer = worker.ask("time", runs)
            self.samples_ms[-1] += [round(ms, _DIGITS) for ms in answer["ms"]]
            self.interrupted += answer["interrupted"]
            spent_ms += float(sum(answer["ms"]))
        return spent_ms

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
            unavailable=self.failure,
        )
        return row if self.failure else self._measured(row, warnings)

    def _measured(self, row: BenchmarkResult, warnings: tuple[str, ...]) -> BenchmarkResult:
        latency = summarize_ms(list(chain(*self.samples_ms)))
        return replace(
            row,
            partitions=self._opened[0]["partitions"],
            runs=sum(map(len, self.samples_ms)),
            processes=len(self.samples_ms),
            warmup=max(self._warm_up),
            latency_ms=latency,
            init_ms=self._middle("init_ms"),
            first_ms=self._middle("first_ms"),
            peak_rss_mb=self._middle("peak_mb"),
            stable=is_stable(latency),
            warnings=(*doubts(self.samples_ms), *self._own_warnings(), *warnings),
            samples_ms=tuple(map(tuple, self.samples_ms)),
        )

    def _middle(self, name: str) -> float | None:
        """The median over processes; None where it is not known on this system."""
        values = [opened[name] for opened in self._opened if opened[name] is not None]
        return statistics.median(values) if values else None

    def _own_warnings(self) -> Iterator[str]:
        runs, cores = sum(map(len, self.samples_ms)), usable_cores()
        if self.interrupted > _MANY_INTERRUPTED * runs:
            yield f"{self.interrupted} of {runs} runs were interrupted by other programs"
        if self.cell.threads > cores:
            yield f"{self.cell.threads} threads on {cores} cores wait for each other"

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Keep a worker's failure as the reason."""
        try:
            yield
        except WorkerError as error:
            self.failure = self._reason(str(error))

    def _reason(self, error: str) -> str:
        """Shorten an error to what was received; a row says what was asked for."""
        received = error.rpartition("Received: ")[2].removeprefix(f"{self.cell.path}: ")
        return received.strip().rstrip(".") or "the runtime refused the file and did not say why"

"""A process that opens models and times them; started by `WorkerProcess`. Its commands:

    ["ready"]                                  nothing: the runtime is imported
    ["open", path, delegate, threads, cores]   partitions, init_ms, first_ms, peak_mb
    ["warm_up", limit]                         runs: how many it took; settled: whether timings did
    ["time", runs]                             ms: one per run; interrupted: runs that were

Imports the runtime and numpy, never TensorFlow: a benchmark starts dozens of these.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from portrait_tflite.benchmarks.statistics import WarmUp
from portrait_tflite.benchmarks.worker_side import pin, serve
from portrait_tflite.runtime import Runner, open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate

if sys.platform != "win32":
    import resource

# Warm-up ends when the median of this many runs is within 5 % of that of the runs before them.
_WINDOW = 5
_SETTLED = 0.05

_STATUS = Path("/proc/self/status")
_FORGET_PEAK = Path("/proc/self/clear_refs"), "5"


class HostWorker:
    """The model that is open, and what may be asked of it; each method answers one command."""

    def __init__(self) -> None:
        self._runner: Runner | None = None

    def ready(self) -> dict[str, Any]:
        """Say that the imports are done."""
        return {}

    def open(
        self, path: str, delegate: str, threads: int, cores: Sequence[int]
    ) -> dict[str, float | int | None]:
        """Open a file, run it once on noise, and keep it."""
        pin(cores)
        self._runner = None
        before = _forget_peak()
        runner = open_model(Path(path), Delegate(delegate), threads)
        rng = np.random.default_rng(0)
        # Noise, not zeros: zeros leave some float kernels on a path that pictures never take.
        runner.set_inputs(*(random_input(info, rng) for info in runner.inputs))
        first_ms = runner.time_once()
        self._runner = runner
        # Not getrusage: its peak is inherited from the parent process.
        peak = _status_mb("VmHWM")
        return {
            "partitions": runner.partitions,
            "init_ms": runner.init_ms,
            "first_ms": first_ms,
            "peak_mb": max(0.0, peak - before) if peak is not None and before is not None else None,
        }

    def warm_up(self, limit: int) -> dict[str, Any]:
        """Run until the timings have settled."""
        return settle(self._opened().time_once, limit)._asdict()

    def time(self, runs: int) -> dict[str, Any]:
        """Time single inferences, after one that brings the caches back from the others' turns."""
        runner, timings, interrupted = self._opened(), [], 0
        runner.time_once()
        for _ in range(runs):
            switches = _involuntary_switches()
            timings.append(runner.time_once())
            interrupted += _involuntary_switches() > switches
        return {"ms": timings, "interrupted": interrupted}

    def _opened(self) -> Runner:
        if self._runner is None:
            raise ValueError("an open model is required. Received: none.")
        return self._runner


def settle(time_once: Callable[[], float], limit: int) -> WarmUp:
    """Run until the timings have settled, or `limit` times."""
    timings: list[float] = []
    while len(timings) < limit:
        timings.append(time_once())
        if len(timings) >= 2 * _WINDOW:
            before = float(np.median(timings[-2 * _WINDOW : -_WINDOW]))
            if abs(float(np.median(timings[-_WINDOW:])) - before) <= _SETTLED * before:
                return WarmUp(len(timings), settled=True)
    return WarmUp(len(timings), settled=False)


def _involuntary_switches() -> int:
    """Count how often another program took the core from any thread of this process."""
    if sys.platform == "win32":
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _forget_peak() -> float | None:
    """Forget the peak of loading the runtime itself; return the memory in use, in MiB."""
    path, word = _FORGET_PEAK
    with contextlib.suppress(OSError):  # not every sandbox allows it
        path.write_text(word)
    return _status_mb("VmRSS")


def _status_mb(field: str) -> float | None:
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{field}:"):
                return float(line.split()[1]) / 1024
    return None


if __name__ == "__main__":
    serve(HostWorker())

"""How near a net comes to the most multiplications that this CPU does.

The most is measured, not read off a data sheet: 1×1 convolutions, which are matrix products, on
XNNPACK, whichever delegate the net itself ran on. The share says whether a net waits for arithmetic
or for something else.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.host.latency import pinned_cores
from portrait_tflite.benchmarks.host.peak_net import peak_net
from portrait_tflite.benchmarks.worker_process import WorkerError, WorkerProcess
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import count_macs
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, Precision

# The arithmetic that a precision's convolutions are done in. float16 files hold half-precision
# weights and compute in single precision; the others mix, and have no one peak.
_ARITHMETIC = {
    Precision.FLOAT32: Precision.FLOAT32,
    Precision.FLOAT16: Precision.FLOAT32,
    Precision.INT8: Precision.INT8,
}
# Side in pixels and channels: what fits the caches of small and of large cores.
_SIZES = ((8, 192), (16, 256), (16, 384))
_WARM_UP = 20
_RUNS = 15


@dataclass(frozen=True)
class PeakShare:
    """A net's MACs per second over the CPU's most, and that most, in 10⁹ MACs per second."""

    share: float
    peak_gmac_s: float


def peak_shares(measured: Mapping[Cell, BenchmarkResult]) -> dict[Cell, PeakShare]:
    """Give the share of the peak of each cell that was timed and whose arithmetic is known."""
    known = {
        cell: _ARITHMETIC[Precision(cell.precision)]
        for cell, row in measured.items()
        if row.latency_ms and cell.precision in _ARITHMETIC
    }
    threads = sorted({cell.threads for cell in known})
    peaks = {
        (kind, count): rate
        for count in threads
        for kind, rate in measure_peak(
            {known[c] for c in known if c.threads == count}, count
        ).items()
    }
    return {
        cell: PeakShare(rate / peaks[kind, cell.threads], peaks[kind, cell.threads] / 1e9)
        for cell, kind in known.items()
        if (kind, cell.threads) in peaks and (rate := _rate(cell, measured[cell]))
    }


def measure_peak(kinds: Iterable[Precision], threads: int = 1) -> dict[Precision, float]:
    """Measure the most multiply-accumulates per second, in one process of its own.

    Args:
        kinds: `FLOAT32`, `INT8` or both.

    Returns:
        A rate per kind; less where the runtime fails.
    """
    found: dict[Precision, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="portrait-tflite-") as folder,
        WorkerProcess() as worker,
    ):
        for kind in sorted(kinds):
            for side, channels in _SIZES:
                path = Path(folder) / f"{kind}-{side}-{channels}.tflite"
                path.write_bytes(peak_net(kind, side, channels))
                try:
                    rate = count_macs(read_model(path)) / _median_s(worker, path, threads)
                except WorkerError:
                    return found
                found[kind] = max(rate, found.get(kind, 0.0))
    return found


def _median_s(worker: WorkerProcess, path: Path, threads: int) -> float:
    worker.ask("open", str(path), Delegate.XNNPACK.value, threads, pinned_cores(threads))
    worker.ask("warm_up", _WARM_UP)
    return float(statistics.median(worker.ask("time", _RUNS)["ms"])) / 1e3


def _rate(cell: Cell, row: BenchmarkResult) -> float:
    """Multiply-accumulates per second of a timed net; 0 where it has none."""
    assert row.latency_ms
    return count_macs(read_model(cell.path)) / (row.latency_ms.median / 1e3)

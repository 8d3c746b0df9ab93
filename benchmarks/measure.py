"""Measure `.tflite` files: latency on the host and on the GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from portrait_tflite.benchmarks.cell import Cell, find_damage
from portrait_tflite.benchmarks.gpu.latency import measure_gpu
from portrait_tflite.benchmarks.gpu.one_process import MaskOf
from portrait_tflite.benchmarks.host.latency import PROCESSES, Effort, measure_host
from portrait_tflite.benchmarks.host.op_profile import profile_ops
from portrait_tflite.benchmarks.host.peak import peak_shares
from portrait_tflite.benchmarks.statistics import ENOUGH_RUNS
from portrait_tflite.errors import PortraitError
from portrait_tflite.tensor_values import Floats
from portrait_tflite.vocabulary import HOST, BenchmarkResult, Delegate, Fault

__all__ = ["PROCESSES", "Cell", "measure_files"]

# A profile whose ops sum up to something else is of another moment, or of another graph.
_ACCOUNTED = 0.75, 1.25


def measure_files(
    cells: Sequence[Cell],
    runs: int = ENOUGH_RUNS,
    seconds: float = 0.0,
    processes: int = PROCESSES,
    *,
    profile: bool = False,
    images: Mapping[str, Sequence[Floats]] | None = None,
    mask_of: MaskOf | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[BenchmarkResult]:
    """Time every cell: those of the CPU in turns and in several processes each, then the GPU's.

    Args:
        runs: Timed runs of each cell, at least, over all of its processes.
        seconds: Time that the timed runs of all cells of the CPU take together, at least.
        processes: Fresh processes per cell; one on a software GPU.
        profile: Also time the ops of each file, in one process more.
        images: By variant, its input for a few pictures, on which the GPU is held against the CPU.
        mask_of: Picks the mask from the network's outputs; see `measure_gpu`.
        on_progress: Called with `(rounds done, rounds expected)`.

    Returns:
        One result per cell, in their order; `unavailable` where a cell could not be run.
    """
    damage = {path: find_damage(path) for path in {cell.path for cell in cells}}
    known = {cell: _damaged(cell, damage[cell.path]) for cell in cells if damage[cell.path]}
    on_host = [c for c in cells if c.delegate is not Delegate.GPU and c not in known]
    rows = measure_host(on_host, Effort(runs, seconds, processes), on_progress) if on_host else []
    measured = dict(zip(on_host, rows, strict=True))
    for cell, peak in peak_shares(measured).items():
        measured[cell] = replace(
            measured[cell], peak_share=peak.share, peak_gmac_s=peak.peak_gmac_s
        )
    if profile:
        measured = {cell: _profiled(cell, row) for cell, row in measured.items()}
    known |= measured
    return [
        known.get(cell)
        or measure_gpu(cell, (images or {}).get(cell.variant, ()), runs, processes, mask_of=mask_of)
        for cell in cells
    ]


def _damaged(cell: Cell, damage: str) -> BenchmarkResult:
    return BenchmarkResult(
        variant=cell.variant,
        device=HOST,
        delegate=cell.delegate,
        precision=cell.precision,
        threads=cell.threads,
        unavailable=damage,
        fault=Fault.FILE,
    )


def _profiled(cell: Cell, row: BenchmarkResult) -> BenchmarkResult:
    """Add the per-op profile, or why there is none; and say when it is not that of the timings."""
    latency = row.latency_ms
    if not latency:
        return row
    try:
        row = replace(row, ops=profile_ops(cell))
    except PortraitError as error:
        return replace(row, warnings=(*row.warnings, f"no per-op profile: {error}"))
    total = sum(op.median_ms for op in row.ops)
    if _ACCOUNTED[0] <= total / latency.median <= _ACCOUNTED[1]:
        return row
    doubt = f"the profile's ops sum up to {total:.2f} of {latency.median:.2f} ms; measure again"
    return replace(row, warnings=(*row.warnings, doubt))

"""A file on the GPU in one process: how long, how exact, and proof that it was the GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from portrait_tflite.benchmarks.cell import Cell, received
from portrait_tflite.benchmarks.gpu.adapters import Adapter
from portrait_tflite.benchmarks.gpu.messages import explain, left_out, selected_adapter
from portrait_tflite.benchmarks.gpu.proof import find_broken, find_fallback, relative_difference
from portrait_tflite.benchmarks.gpu.session import GpuSession, Runs
from portrait_tflite.benchmarks.statistics import WarmUp
from portrait_tflite.benchmarks.worker_process import WorkerError, WorkerKilledError
from portrait_tflite.metrics import iou
from portrait_tflite.tensor_values import Floats
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, Fault, MaskDifference, Precision

STRICT = "GPU"  # the runtime's name for "the GPU, and nothing else"

# A software adapter takes seconds, and its latency says nothing.
_SOFTWARE_RUNS = 3
_MAX_WARM_UP = 40
# Between float32, whose runs may differ in the last bits, and float16, which has 11.
_ROUNDING = 2**-16

MaskOf = Callable[[Sequence[Floats]], Floats]
"""From a network's outputs to the person mask `[h, w]`."""


@dataclass(frozen=True)
class OneProcess:
    """What one process measured.

    Attributes:
        row: With one series of timings, neither reduced nor doubted; or `unavailable`.
        warm_up: None where there was none.
    """

    row: BenchmarkResult
    warm_up: WarmUp | None = None


def measure_once(
    row: BenchmarkResult,
    session: GpuSession,
    cell: Cell,
    images: Sequence[Floats],
    runs: int,
    mask_of: MaskOf,
) -> OneProcess:
    """Run a file in a session, hold it against the CPU, and time it.

    Args:
        row: The cell, with the adapter.
        runs: Timed runs; a software adapter gets three at most.

    Raises:
        WorkerKilledError: The process was killed.
        UsageError: `mask_of` finds no mask.
    """
    try:
        dtypes = session.load(cell.path, images)
        on_cpu = {name: session.run_on_cpu(name) for name in (Delegate.CPU, Delegate.XNNPACK)}
    except WorkerKilledError:
        raise
    except WorkerError as error:
        reason = received(error, cell.path) or str(error)
        return OneProcess(replace(row, unavailable=reason, fault=Fault.FILE))
    try:
        return _on_gpu(row, session, on_cpu, "float32" in dtypes, runs, mask_of)
    except WorkerKilledError:
        raise
    except WorkerError as error:
        return OneProcess(_failed(row, str(error), session.said()))


def _failed(row: BenchmarkResult, error: str, said: str) -> BenchmarkResult:
    left = left_out(said)
    if left:
        reason = f"not fully accelerated: {left}"
        return replace(row, fully_accelerated=False, unavailable=reason)
    return replace(row, unavailable=explain(error, said))


def _on_gpu(
    row: BenchmarkResult,
    session: GpuSession,
    on_cpu: dict[Delegate, Runs],
    floats: bool,
    runs: int,
    mask_of: MaskOf,
) -> OneProcess:
    opened = session.open(STRICT)
    outputs, first_ms = session.run()
    selected = selected_adapter(session.said())
    row = replace(_named(row, selected), fully_accelerated=opened["full"])
    fallback = find_fallback(opened["full"], selected, outputs, on_cpu, floats=floats)
    if fallback:
        return OneProcess(replace(row, fully_accelerated=False, unavailable=fallback))
    broken = find_broken(outputs, on_cpu[Delegate.CPU])
    if broken:
        return OneProcess(replace(row, unavailable=broken))
    # Timings of a software adapter say nothing, settled or not.
    warm_up = None if row.software else session.warm_up(_MAX_WARM_UP)
    samples_ms = session.time(min(runs, _SOFTWARE_RUNS) if row.software else runs)
    row = replace(
        row,
        init_ms=opened["init_ms"],
        first_ms=first_ms,
        warmup=warm_up.runs if warm_up else 0,
        samples_ms=(samples_ms,),
        computed_in=_computed_in(session, outputs),
        against_cpu=_difference(outputs, on_cpu[Delegate.CPU], mask_of),
    )
    return OneProcess(row, warm_up)


def _named(row: BenchmarkResult, selected: Adapter | None) -> BenchmarkResult:
    """Take the runtime's own word for the adapter: on a machine with several it chooses one."""
    if not selected:
        return row
    return replace(row, adapter=selected.name, software=selected.software)


def _computed_in(session: GpuSession, outputs: Runs) -> str:
    """Tell float16 from float32 by asking for float32: results change where it was float16.

    An adapter without 16-bit floats computes in float32, whatever the runtime would like. Empty
    where the runtime does not do as it is asked; what was measured before stays.
    """
    try:
        session.open(STRICT, enforce_f32=True)
        exact, _ = session.run()
    except WorkerError:
        return ""
    changed = relative_difference(outputs, exact) > _ROUNDING
    return str(Precision.FLOAT16 if changed else Precision.FLOAT32)


def _difference(outputs: Runs, reference: Runs, mask_of: MaskOf) -> MaskDifference:
    masks = [(mask_of(a), mask_of(b)) for a, b in zip(outputs, reference, strict=True)]
    return MaskDifference(
        max_abs=max(float(np.abs(a - b).max()) for a, b in masks),
        iou=float(np.mean([iou(a, b) for a, b in masks])),
    )

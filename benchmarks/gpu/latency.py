"""A file on the GPU, in as many processes as a GPU's timings need.

Through LiteRT's `CompiledModel`, which may use nothing but the GPU: it refuses a file that has ops
for the CPU. What it computes is held against the CPU's kernels on the same inputs, in each process.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from portrait_tflite.benchmarks.cell import Cell, received
from portrait_tflite.benchmarks.gpu.adapters import find_adapter
from portrait_tflite.benchmarks.gpu.doubts import gpu_doubts
from portrait_tflite.benchmarks.gpu.one_process import MaskOf, OneProcess, measure_once
from portrait_tflite.benchmarks.gpu.session import GpuSession
from portrait_tflite.benchmarks.statistics import (
    ENOUGH_RUNS,
    doubts,
    is_stable,
    summarize_ms,
    unsettled,
)
from portrait_tflite.benchmarks.worker_process import PATIENCE_S, WorkerKilledError, left_out
from portrait_tflite.convert.files.precision import precision_of
from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.tensor_values import Floats
from portrait_tflite.vocabulary import HOST, BenchmarkResult, Delegate, Fault

ACCELERATOR = "WebGPU over Vulkan"


def measure_gpu(
    cell: Cell,
    images: Sequence[Floats] = (),
    runs: int = ENOUGH_RUNS,
    processes: int = 1,
    *,
    mask_of: MaskOf | None = None,
    patience_s: float = PATIENCE_S,
) -> BenchmarkResult:
    """Run a file on the GPU in processes of its own, and compare its mask with the CPU's.

    Latency is what an app meets: from the input in memory to the output in memory.

    Args:
        images: The network's input `[1, h, w, c]` for each of a few pictures, in real values; noise
            where there are none.
        runs: Timed runs over all processes, at least; a software adapter gets three at most.
        processes: Fresh processes, one after the other; a software adapter gets one.
        mask_of: Picks the mask; the whole first output where it is None.
        patience_s: Seconds after which a step that does not end is taken to hang.

    Returns:
        A row whose `unavailable` says in one line why there is no figure: no adapter, ops left to
        the CPU, a crash, or outputs that the CPU must have made.

    Raises:
        UsageError: `mask_of` finds no mask.
    """
    row = BenchmarkResult(
        variant=cell.variant,
        device=HOST,
        delegate=Delegate.GPU,
        precision=cell.precision,
        threads=cell.threads,
    )
    try:
        adapter = find_adapter()
        row = replace(row, precision=cell.precision or precision_of(cell.path))
    except UnavailableError as error:
        return replace(row, unavailable=str(error), fault=Fault.MACHINE)
    except UsageError as error:
        return replace(row, unavailable=received(error, cell.path), fault=Fault.FILE)
    row = replace(row, accelerator=ACCELERATOR, adapter=adapter.name, software=adapter.software)
    measured: list[OneProcess] = []
    killed: list[str] = []
    for left in range(1 if row.software else processes, 0, -1):
        timed = sum(len(one.row.samples_ms[0]) for one in measured)
        share = math.ceil(max(runs - timed, 1) / left)
        try:
            with GpuSession(adapter.driver, patience_s) as session:
                one = measure_once(row, session, cell, images, share, mask_of or _first_output)
        except WorkerKilledError as error:
            killed.append(str(error))
            continue
        if one.row.unavailable:
            return one.row
        measured.append(one)
        if one.row.software:  # by the runtime's own choice
            break
    if not measured:
        return replace(row, unavailable=killed[0], fault=Fault.MACHINE)
    return _combined(measured, killed, on_pictures=bool(images))


def _first_output(outputs: Sequence[Floats]) -> Floats:
    """Return all channels of the first output side by side."""
    output = outputs[0]
    return output.reshape(-1, output.shape[-1] if output.ndim else 1)


def _combined(
    measured: Sequence[OneProcess], killed: Sequence[str], *, on_pictures: bool
) -> BenchmarkResult:
    """Reduce the processes to one row; the mask is that of the process that differs most."""
    rows = [one.row for one in measured]
    first = rows[0]
    samples_ms = tuple(chain.from_iterable(row.samples_ms for row in rows))
    latency = summarize_ms(list(chain.from_iterable(samples_ms)))
    differences = [row.against_cpu for row in rows if row.against_cpu]
    row = replace(
        first,
        runs=sum(map(len, samples_ms)),
        processes=len(samples_ms),
        warmup=max(row.warmup for row in rows),
        samples_ms=samples_ms,
        latency_ms=latency,
        init_ms=statistics.median(row.init_ms for row in rows if row.init_ms is not None),
        first_ms=statistics.median(row.first_ms for row in rows if row.first_ms is not None),
        against_cpu=min(differences, key=lambda one: (one.iou, -one.max_abs)),
        stable=is_stable(latency) and not first.software,
    )
    timing = () if row.software else doubts(samples_ms)
    warnings = (
        *gpu_doubts(row, on_pictures=on_pictures),
        *timing,
        *unsettled([one.warm_up for one in measured if one.warm_up]),
        *left_out(killed, len(killed) + len(measured)),
    )
    return replace(row, warnings=warnings)

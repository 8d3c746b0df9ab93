"""A file on the GPU: how long, how exact, and proof that it was the GPU.

Through LiteRT's `CompiledModel`, which may use nothing but the GPU: it refuses a file that has ops
for the CPU. What it computes is held against the CPU's kernels on the same inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from portrait_tflite.benchmarks.cell import HOST, Cell
from portrait_tflite.benchmarks.gpu.adapters import Adapter, find_adapter
from portrait_tflite.benchmarks.gpu.messages import explain, left_out, selected_adapter
from portrait_tflite.benchmarks.gpu.proof import find_fault, relative_difference
from portrait_tflite.benchmarks.gpu.session import GpuSession, Runs
from portrait_tflite.benchmarks.statistics import ENOUGH_RUNS, doubts, is_stable, summarize_ms
from portrait_tflite.benchmarks.worker_process import PATIENCE_S, WorkerError
from portrait_tflite.convert.precision import precision_of
from portrait_tflite.errors import PortraitError
from portrait_tflite.metrics import iou
from portrait_tflite.tensor_values import Floats
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, MaskDifference, Precision

ACCELERATOR = "WebGPU over Vulkan"
STRICT = "GPU"  # the runtime's name for "the GPU, and nothing else"

SOFTWARE = "a software adapter shows function and numerics; its latency is no speed"
ON_NOISE = "compared with the CPU on noise, not on pictures"
SIMULATED = "8-bit values are simulated in float on the GPU: the float16 variant is made for it"
NO_HALVES = (
    "computed in float32, as adapters without 16-bit floats do; a phone's GPU computes in float16 "
    "and differs more from the CPU"
)
FAR_OFF = "the mask differs from the CPU's by more than a GPU's should"

# A software adapter takes seconds, and its latency says nothing.
_SOFTWARE_RUNS = 3
_MAX_WARM_UP = 40
# Between float32, whose runs may differ in the last bits, and float16, which has 11.
_ROUNDING = 2**-16
# What model.json promises of float16 on a GPU.
_LEAST_IOU = 0.995
_EIGHT_BIT = {Precision.INT8, Precision.DYNAMIC, Precision.INT16X8}

MaskOf = Callable[[Sequence[Floats]], Floats]
"""From a network's outputs to the person mask `[h, w]`."""


def measure_gpu(
    cell: Cell,
    images: Sequence[Floats] = (),
    runs: int = ENOUGH_RUNS,
    *,
    mask_of: MaskOf | None = None,
    patience_s: float = PATIENCE_S,
) -> BenchmarkResult:
    """Run a file on the GPU in a process of its own, and compare its mask with the CPU's.

    Latency is what an app meets: from the input in memory to the output in memory.

    Args:
        images: The network's input `[1, h, w, c]` for each of a few pictures, in real values; noise
            where there are none.
        runs: Timed runs; a software adapter gets three at most.
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
    except PortraitError as error:
        return replace(row, unavailable=str(error))
    row = replace(row, accelerator=ACCELERATOR, adapter=adapter.name, software=adapter.software)
    with GpuSession(adapter.driver, patience_s) as session:
        try:
            return _measure(row, session, cell, images, runs, mask_of or _first_output)
        except WorkerError as error:
            return _failed(row, str(error), session.said())


def _failed(row: BenchmarkResult, error: str, said: str) -> BenchmarkResult:
    left = left_out(said)
    if left:
        reason = f"not fully accelerated: {left}"
        return replace(row, fully_accelerated=False, unavailable=reason)
    return replace(row, unavailable=explain(error, said))


def _measure(
    row: BenchmarkResult,
    session: GpuSession,
    cell: Cell,
    images: Sequence[Floats],
    runs: int,
    mask_of: MaskOf,
) -> BenchmarkResult:
    dtypes = session.load(cell.path, images)
    on_cpu = {name: session.run_on_cpu(name) for name in (Delegate.CPU, Delegate.XNNPACK)}
    opened = session.open(STRICT)
    outputs, first_ms = session.run()
    selected = selected_adapter(session.said())
    row = replace(_named(row, selected), fully_accelerated=opened["full"])
    fault = find_fault(opened["full"], selected, outputs, on_cpu, floats="float32" in dtypes)
    if fault:
        return replace(row, fully_accelerated=False, unavailable=fault)
    warm_up = 0 if row.software else session.warm_up(_MAX_WARM_UP)
    samples_ms = session.time(min(runs, _SOFTWARE_RUNS) if row.software else runs)
    row = replace(row, init_ms=opened["init_ms"], first_ms=first_ms, warmup=warm_up)
    row = replace(row, computed_in=_computed_in(session, outputs))
    row = replace(row, against_cpu=_difference(outputs, on_cpu[Delegate.CPU], mask_of))
    return _timed(row, samples_ms, on_pictures=bool(images))


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


def _first_output(outputs: Sequence[Floats]) -> Floats:
    """Return all channels of the first output side by side."""
    output = outputs[0]
    return output.reshape(-1, output.shape[-1] if output.ndim else 1)


def _timed(
    row: BenchmarkResult, samples_ms: tuple[float, ...], *, on_pictures: bool
) -> BenchmarkResult:
    latency = summarize_ms(samples_ms)
    return replace(
        row,
        runs=len(samples_ms),
        processes=1,
        samples_ms=(samples_ms,),
        latency_ms=latency,
        stable=is_stable(latency) and not row.software,
        warnings=_warnings(row, samples_ms, on_pictures=on_pictures),
    )


def _warnings(
    row: BenchmarkResult, samples_ms: tuple[float, ...], *, on_pictures: bool
) -> tuple[str, ...]:
    assert row.against_cpu
    eight_bit = row.precision in _EIGHT_BIT
    far_off = on_pictures and not eight_bit and row.against_cpu.iou < _LEAST_IOU
    checks = {
        SOFTWARE: row.software,
        SIMULATED: eight_bit,
        NO_HALVES: row.computed_in == Precision.FLOAT32 and not eight_bit,
        FAR_OFF: far_off,
        ON_NOISE: not on_pictures,
    }
    said = tuple(text for text, applies in checks.items() if applies)
    return said if row.software else (*said, *doubts([samples_ms]))

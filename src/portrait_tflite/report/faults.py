"""What measuring found that speaks against a file for an app, and not against the machine."""

from __future__ import annotations

from collections.abc import Iterator

from portrait_tflite.report import formats
from portrait_tflite.report.points import Mark, Point
from portrait_tflite.report.roles import DELEGATE_NAMES, delegate_for, shipped_variants
from portrait_tflite.vocabulary import (
    GPU_LEAST_IOU,
    BenchmarkResult,
    Delegate,
    Fault,
    Precision,
    Report,
)

_TOPIC = "Measured"


def faults(report: Report) -> Iterator[Point]:
    """Say which files did not run where they are meant to, and whose masks the GPU gets wrong."""
    shipped = shipped_variants(report)
    for row in report.benchmarks:
        if row.variant not in shipped:
            continue
        if row.unavailable:
            yield from _not_run(row)
        elif row.against_cpu and _is_far_off(row):
            yield _far_off(row, row.against_cpu.iou)


def is_missing_here(row: BenchmarkResult) -> bool:
    """Whether a row has no figure for a reason of this machine, which says nothing of the file.

    Where nobody said whose fault it is, a GPU's row names an adapter as soon as one is found.
    """
    if not row.unavailable:
        return False
    if row.fault:
        return row.fault is Fault.MACHINE
    return row.delegate is Delegate.GPU and not row.adapter


def _not_run(row: BenchmarkResult) -> Iterator[Point]:
    if row.delegate is delegate_for(row.variant) and not is_missing_here(row):
        where = DELEGATE_NAMES[row.delegate]
        yield Point(_gravity(row), _TOPIC, f"{row.variant} on {where}: {row.unavailable}")


def _gravity(row: BenchmarkResult) -> Mark:
    """A fallback is slow and works; a software adapter's fault may be its own; the rest is bad."""
    if row.delegate is Delegate.GPU and (row.software or row.fully_accelerated is False):
        return Mark.LOOK
    return Mark.BAD


def _is_far_off(row: BenchmarkResult) -> bool:
    # 8-bit values are simulated on a GPU, and differ from the CPU's by more than its rounding.
    floats = row.variant in (Precision.FLOAT32, Precision.FLOAT16)
    return floats and row.against_cpu is not None and row.against_cpu.iou < GPU_LEAST_IOU


def _far_off(row: BenchmarkResult, iou: float) -> Point:
    adapter = f"{row.adapter}, which is software" if row.software else row.adapter
    text = (
        f"{row.variant} on the GPU ({adapter}): the mask has IoU {formats.fixed(iou, 4)} with the "
        f"CPU's, at least {GPU_LEAST_IOU:g} is required"
    )
    return Point(Mark.LOOK if row.software else Mark.BAD, _TOPIC, text)

"""Variants × delegates: every latency with its partitions, every gap with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from portrait_tflite.report import formats
from portrait_tflite.report.roles import audit_of, delegate_for, is_shipped
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, Report, Variant


@dataclass(frozen=True)
class DelegateRow:
    """A variant on a delegate.

    Attributes:
        partitions: What runs inside the delegate, in words.
        where: Device, threads of the CPU and adapter, in words.
        timed: The measurement, or None where there is none.
        notes: What belongs to the figures: doubts, share of the peak, difference to the CPU; or
            why there are none.
    """

    delegate: Delegate
    meant: bool
    partitions: str
    where: str
    timed: BenchmarkResult | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class VariantRows:
    """All rows of one variant."""

    name: str
    shipped: bool
    rows: tuple[DelegateRow, ...]


def variant_rows(report: Report) -> tuple[VariantRows, ...]:
    """List every variant's rows: what was measured, else what the audit says."""
    return tuple(
        VariantRows(name, is_shipped(name), tuple(_rows(report, name, variant)))
        for name, variant in report.variants.items()
    )


def _rows(report: Report, name: str, variant: Variant) -> Iterator[DelegateRow]:
    for delegate in (Delegate.XNNPACK, Delegate.GPU, Delegate.CPU):
        measured = [
            row for row in report.benchmarks if (row.variant, row.delegate) == (name, delegate)
        ]
        yield from (_measured(result, name, variant) for result in measured)
        if not measured and (delegate is not Delegate.CPU or delegate_for(name) is delegate):
            partitions = _partitions(delegate, variant, None)
            meant = delegate is delegate_for(name)
            yield DelegateRow(delegate, meant, partitions, "", None, ())


def _measured(result: BenchmarkResult, name: str, variant: Variant) -> DelegateRow:
    timed = result.latency_ms is not None and not result.unavailable
    return DelegateRow(
        delegate=result.delegate,
        meant=result.delegate is delegate_for(name),
        partitions=_partitions(result.delegate, variant, result if timed else None),
        where=_where(result),
        timed=result if timed else None,
        notes=tuple(_notes(result)) if timed else (f"not measured: {result.unavailable}",),
    )


def _partitions(delegate: Delegate, variant: Variant, result: BenchmarkResult | None) -> str:
    """Say what runs inside; of a GPU that was not run, what its rules would take."""
    outside = len(audit_of(variant, delegate).outside)
    if delegate is Delegate.CPU:
        return "no delegate"
    if delegate is Delegate.GPU:
        return _gpu_partitions(outside, result)
    counted = result.partitions if result and result.partitions is not None else None
    count = variant.audit.xnnpack.partitions if counted is None else counted
    known = "?" if count is None else str(count)
    return f"{known}, {formats.count(outside, 'op')} outside" if outside else known


def ops_on_gpu(result: BenchmarkResult) -> str:
    """Say how much of a file ran on the GPU, which counts no partitions; "" where not known."""
    if result.fully_accelerated is None:
        return ""
    return "every op" if result.fully_accelerated else "some ops on the CPU"


def _gpu_partitions(outside: int, result: BenchmarkResult | None) -> str:
    if result and (ran := ops_on_gpu(result)):
        return ran
    return f"rules refuse {formats.count(outside, 'op')}" if outside else "rules take every op"


def _where(result: BenchmarkResult) -> str:
    on_gpu = result.delegate is Delegate.GPU
    threads = "" if on_gpu else formats.count(result.threads, "thread")
    return ", ".join(filter(None, (result.device, threads, result.adapter)))


def _notes(result: BenchmarkResult) -> Iterator[str]:
    if result.computed_in:
        yield f"computed in {result.computed_in}"
    if result.against_cpu:
        difference = result.against_cpu
        yield (
            f"IoU {formats.fixed(difference.iou, 4)} with the CPU's mask, "
            f"largest difference {formats.significant(difference.max_abs)}"
        )
    if result.peak_share is not None and not result.software:
        yield f"{formats.percent(result.peak_share, 0)} of this CPU's measured peak"
    if not result.stable and not result.software:
        yield "unstable"
    yield from result.warnings

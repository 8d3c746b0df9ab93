"""What a report does not prove: every figure that a reader may miss, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from portrait_tflite.report import formats
from portrait_tflite.report.arm_cost import arm_cost_gap
from portrait_tflite.report.faults import is_missing_here
from portrait_tflite.report.roles import (
    DELEGATE_NAMES,
    delegate_for,
    is_shipped,
    main_variant,
    reference_name,
)
from portrait_tflite.vocabulary import ARM_MODEL, HOST, Delegate, Report


def unproved(report: Report) -> Iterator[str]:
    """Say in sentences what was not measured."""
    yield from _good_enough(report)
    yield from _phone(report)
    yield from _cpu(report)
    yield from _gpu(report)
    gap = arm_cost_gap(report)
    if gap:
        yield f"ARM cost was not measured: {gap}"


def _good_enough(report: Report) -> Iterator[str]:
    name = main_variant(report.variants)
    accuracy = report.variants[name].accuracy if name else None
    if accuracy and accuracy.labelled and accuracy.passed:
        yield (
            f"Whether mIoU {formats.fixed(accuracy.miou, 3)} is enough is yours to say: "
            f"the gate is against the {reference_name(report)}."
        )


def _phone(report: Report) -> Iterator[str]:
    phones = [
        row
        for row in report.benchmarks
        if row.device not in (HOST, ARM_MODEL) and not row.unavailable
    ]
    if not phones:
        yield "No phone: latency, memory and heat on a device are not known."


def _cpu(report: Report) -> Iterator[str]:
    """Name the files that a CPU is meant for and that this machine did not get to run."""
    for row in report.benchmarks:
        meant = is_shipped(row.variant) and row.delegate is delegate_for(row.variant)
        if meant and row.delegate is not Delegate.GPU and is_missing_here(row):
            where = DELEGATE_NAMES[row.delegate]
            yield f"{row.variant} was not run on {where}: {row.unavailable}"


def _gpu(report: Report) -> Iterator[str]:
    """Say of each row what it does not prove; rows of one reason make one sentence."""
    rows = [row for row in report.benchmarks if row.delegate is Delegate.GPU]
    ran = [row for row in rows if not row.unavailable]
    if not rows:
        yield "The GPU delegate was not run; its rules were read."
    reasons = dict.fromkeys(row.unavailable for row in rows if row.unavailable)
    for reason in reasons:
        names = ", ".join(row.variant for row in rows if row.unavailable == reason)
        alone = len(reasons) == 1 and not ran
        what = "The GPU delegate was" if alone else f"On the GPU, {names} was"
        yield f"{what} not run: {reason}"
    for adapter in dict.fromkeys(row.adapter for row in ran if row.software):
        name = adapter or "a software adapter"
        yield f"The GPU was {name}, which is software: it proves function, never speed."

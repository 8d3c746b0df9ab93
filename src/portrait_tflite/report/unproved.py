"""What a report does not prove: every figure that a reader may miss, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from portrait_tflite.report import formats
from portrait_tflite.report.arm_cost import ARM_DEVICE, arm_cost_gap
from portrait_tflite.report.roles import main_variant, reference_name
from portrait_tflite.vocabulary import Delegate, Report

_HOST = "host"


def unproved(report: Report) -> Iterator[str]:
    """Say in sentences what was not measured."""
    yield from _good_enough(report)
    yield from _phone(report)
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
        if row.device not in (_HOST, ARM_DEVICE) and not row.unavailable
    ]
    if not phones:
        yield "No phone: latency, memory and heat on a device are not known."


def _gpu(report: Report) -> Iterator[str]:
    rows = [row for row in report.benchmarks if row.delegate is Delegate.GPU]
    ran = [row for row in rows if not row.unavailable]
    if not rows:
        yield "The GPU delegate was not run; its rules were read."
    elif not ran:
        yield f"The GPU delegate was not run: {rows[0].unavailable}"
    elif all(row.software for row in ran):
        adapter = ran[0].adapter or "a software adapter"
        yield f"The GPU was {adapter}, which is software: it proves function, never speed."

"""What measuring finds speaks against a file; what the machine lacks does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from portrait_tflite.report.faults import faults
from portrait_tflite.report.points import Mark
from portrait_tflite.report.unproved import unproved
from portrait_tflite.report.verdict import judge
from portrait_tflite.vocabulary import (
    BenchmarkResult,
    Delegate,
    Fault,
    MaskDifference,
    Report,
)

LEFT_OUT = "not fully accelerated: 57 of 74 ops would run on the CPU"


@pytest.fixture
def sound(full_report: Any) -> Report:
    """A report that is good to ship: int8 ran on XNNPACK and float16 on a software adapter."""
    checks = tuple(replace(check, passed=True) for check in full_report.calibration.checks)
    calibration = replace(full_report.calibration, checks=checks)
    ran = tuple(row for row in full_report.benchmarks if not row.unavailable)
    return replace(full_report, calibration=calibration, benchmarks=ran)  # type: ignore[no-any-return]


def failed(report: Report, name: str, delegate: Delegate, reason: str, **more: Any) -> Report:
    """Replace what was measured of a file on a delegate by the reason why it was not."""
    gone = BenchmarkResult(name, "host", delegate, name, 1, unavailable=reason, **more)
    others = (row for row in report.benchmarks if (row.variant, row.delegate) != (name, delegate))
    return replace(report, benchmarks=(*others, gone))


def on_gpu(report: Report, iou: float, *, software: bool, name: str = "float16") -> Report:
    row = next(row for row in report.benchmarks if row.delegate is Delegate.GPU)
    seen = replace(
        row, variant=name, adapter="Card", software=software, against_cpu=MaskDifference(0.9, iou)
    )
    return replace(report, benchmarks=(seen,))


def test_what_ran_as_it_should_has_no_fault(sound: Report) -> None:
    assert list(faults(sound)) == []
    assert judge(sound).mark is Mark.GOOD


def test_a_file_that_crashes_its_delegate_is_not_good_to_ship(sound: Report) -> None:
    crash = "the runtime crashed with SIGSEGV in opening the file"
    verdict = judge(failed(sound, "int8", Delegate.XNNPACK, crash, fault=Fault.FILE))
    assert (verdict.mark, verdict.headline) == (Mark.BAD, "Not good to ship")
    assert "A gate failed" not in verdict.summary
    bad = [point.text for point in verdict.points if point.mark is Mark.BAD]
    assert bad == [f"int8 on XNNPACK: {crash}"]


def test_a_fallback_is_to_be_looked_at_while_another_row_ran(sound: Report) -> None:
    both = replace(sound, benchmarks=(*sound.benchmarks, *on_gpu(
        sound, 1.0, software=False, name="float32").benchmarks))  # fmt: skip
    report = failed(
        both, "float16", Delegate.GPU, LEFT_OUT, adapter="Card", fully_accelerated=False,
        fault=Fault.FILE,
    )  # fmt: skip
    verdict = judge(report)
    assert verdict.mark is Mark.LOOK
    (point,) = (point for point in verdict.points if point.mark is Mark.LOOK)
    assert point.text == f"float16 on GPU: {LEFT_OUT}"
    assert f"On the GPU, float16 was not run: {LEFT_OUT}" in verdict.unproved


@pytest.mark.parametrize(("software", "mark"), [(False, Mark.BAD), (True, Mark.LOOK)])
def test_a_crash_on_the_gpu(sound: Report, software: bool, mark: Mark) -> None:
    gone = failed(
        sound, "float16", Delegate.GPU, "it crashed", adapter="Card", software=software
    )  # fmt: skip
    assert judge(gone).mark is mark


@pytest.mark.parametrize(("software", "mark"), [(False, Mark.BAD), (True, Mark.LOOK)])
def test_a_mask_that_is_far_off(sound: Report, software: bool, mark: Mark) -> None:
    verdict = judge(on_gpu(sound, 0.31, software=software))
    assert verdict.mark is mark
    (point,) = (point for point in verdict.points if point.mark is mark)
    assert "float16 on the GPU (Card" in point.text
    assert "IoU 0.3100 with the CPU's, at least 0.995 is required" in point.text


def test_a_mask_that_is_near_or_made_of_simulated_integers(sound: Report) -> None:
    assert list(faults(on_gpu(sound, 0.995, software=False))) == []
    assert list(faults(on_gpu(sound, 0.9, software=False, name="int8"))) == []
    assert list(faults(on_gpu(sound, 0.9, software=False, name="naive_batch1"))) == []


@pytest.mark.parametrize(
    ("name", "delegate"),
    [("int8", Delegate.GPU), ("float16", Delegate.XNNPACK), ("naive_batch1", Delegate.XNNPACK)],
)
def test_where_a_file_is_not_meant_to_run_it_may_fail(
    sound: Report, name: str, delegate: Delegate
) -> None:
    gone = failed(sound, name, delegate, "refused", adapter="Card", fault=Fault.FILE)
    assert list(faults(gone)) == []


def test_what_the_machine_lacks_is_not_proved_and_no_fault(sound: Report) -> None:
    none = failed(sound, "float16", Delegate.GPU, "no Vulkan adapter")
    refused = failed(
        sound, "float16", Delegate.GPU, "takes no adapter", adapter="llvmpipe",
        fault=Fault.MACHINE,
    )  # fmt: skip
    killed = failed(sound, "int8", Delegate.XNNPACK, "killed", fault=Fault.MACHINE)
    for report in (none, refused, killed):
        assert judge(report).mark is Mark.GOOD
    assert "The GPU delegate was not run: no Vulkan adapter" in unproved(none)
    assert "The GPU delegate was not run: takes no adapter" in unproved(refused)
    assert "int8 was not run on XNNPACK: killed" in unproved(killed)


def test_gaps_of_the_gpu_are_told_row_by_row(sound: Report) -> None:
    some = failed(sound, "int8", Delegate.GPU, "refused", adapter="Card")
    some = failed(some, "float32", Delegate.GPU, "refused", adapter="Card")
    assert list(unproved(some))[2:] == [
        "On the GPU, int8, float32 was not run: refused",
        "The GPU was SwiftShader, which is software: it proves function, never speed.",
    ]

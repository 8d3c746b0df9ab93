"""The verdict: which findings make it bad, which ask for a look, and what it leaves open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from portrait_tflite.report.unproved import unproved
from portrait_tflite.report.verdict import Mark, judge
from portrait_tflite.vocabulary import DRAWN, DelegateAudit, Report


@pytest.fixture
def sound(full_report: Any) -> Report:
    """A report with nothing to complain about."""
    checks = tuple(replace(check, passed=True) for check in full_report.calibration.checks)
    calibration = replace(full_report.calibration, checks=checks)
    return replace(full_report, calibration=calibration)  # type: ignore[no-any-return]


def open_points(report: Report) -> list[str]:
    verdict = judge(report)
    assert verdict.mark is Mark.LOOK
    return [f"{p.topic}: {p.text}" for p in verdict.points if p.mark is Mark.LOOK]


def with_audit(report: Report, name: str, **audits: DelegateAudit) -> Report:
    variant = report.variants[name]
    changed = replace(variant, audit=replace(variant.audit, **audits))
    return replace(report, variants={**report.variants, name: changed})


def test_good_to_ship(sound: Any) -> None:
    verdict = judge(sound)
    assert verdict.mark is Mark.GOOD
    assert verdict.headline == "Good to ship"
    assert {point.mark for point in verdict.points} == {Mark.GOOD}
    topics = ["Accuracy", "Remedies", "Delegates", "ARM cost"]
    assert [point.topic for point in verdict.points] == topics
    assert verdict.points[1].text.startswith("int8: the gate holds with equalization: ")
    assert "float32 0.07, float16 0.07, int8 0.07; up to 1 passes, 264 pictures" in (
        verdict.points[0].text
    )


def test_a_failed_gate_is_bad_whatever_else_is_good(sound: Any) -> None:
    verdict = judge(replace(sound, passed=False), ["int8: needs runtime 2.9"])
    assert verdict.headline == "Not good to ship"
    assert [p.text for p in verdict.points if p.mark is Mark.BAD] == ["int8: needs runtime 2.9"]


def test_without_the_failures_the_variants_tell(report: Any) -> None:
    bad = [point.text for point in judge(report).points if point.mark is Mark.BAD]
    assert bad == ["int8: mIoU drops by 3.00 points"]


def test_a_failure_that_nobody_names_is_one(sound: Any) -> None:
    bad = [p.text for p in judge(replace(sound, passed=False)).points if p.mark is Mark.BAD]
    assert bad == ["report.json says that a gate failed and not which"]


def test_ops_outside_the_delegate_that_a_file_is_meant_for(sound: Any, report: Any) -> None:
    outside = report.variants["int8"].audit.xnnpack
    shattered = with_audit(sound, "int8", xnnpack=outside)
    assert open_points(shattered) == ["Delegates: int8: 2 XNNPACK partitions, 1 op outside"]
    refused = with_audit(sound, "float16", gpu=outside)
    assert open_points(refused) == ["Delegates: float16: the GPU delegate's rules refuse 1 op"]


def test_ops_outside_a_delegate_that_a_file_is_not_meant_for(sound: Any, report: Any) -> None:
    outside = report.variants["int8"].audit.xnnpack
    assert judge(with_audit(sound, "int8", gpu=outside)).mark is Mark.GOOD
    assert judge(with_audit(sound, "naive_batch1", gpu=outside)).mark is Mark.GOOD


@pytest.mark.parametrize(("cycles", "mark"), [(45.3e6, Mark.GOOD), (46e6, Mark.LOOK)])
def test_dearer_than_a_plain_conversion(sound: Any, cycles: float, mark: Mark) -> None:
    costs = [replace(c, cycles=cycles) if c.variant == "int8" else c for c in sound.arm_cost]
    assert judge(replace(sound, arm_cost=tuple(costs))).mark is mark


def test_a_cost_that_is_compared_with_nothing_is_no_good_point(sound: Any) -> None:
    alone = [cost for cost in sound.arm_cost if cost.variant == "int8"]
    verdict = judge(replace(sound, arm_cost=tuple(alone)))
    (point,) = (point for point in verdict.points if point.topic == "ARM cost")
    assert point.mark is Mark.UNKNOWN
    assert "compared with nothing: --baseline adds" in point.text


def test_drawn_portraits_and_missing_labels_are_open_points(sound: Any) -> None:
    drawn = replace(sound, scored_on=DRAWN)
    assert "drawn portraits, which are no photographs" in open_points(drawn)[0]
    variants = {
        name: replace(one, accuracy=replace(one.accuracy, labelled=False))
        for name, one in sound.variants.items()
    }
    assert "no labels" in open_points(replace(sound, variants=variants))[0]
    bare = {name: replace(one, accuracy=None) for name, one in sound.variants.items()}
    assert open_points(replace(sound, variants=bare)) == ["Accuracy: nothing was scored"]


def test_an_approximate_form_is_an_open_point(sound: Any) -> None:
    fitted = replace(sound.rewrites[0], exact=False)
    points = open_points(replace(sound, rewrites=(fitted,)))
    (point,) = points
    assert point.startswith("Rewrites: up: another function than before, fitted to it")


def test_calibration_that_warns(full_report: Any) -> None:
    assert open_points(full_report) == ["Calibration: dark and bright: 12% of the range is used"]


def test_what_was_not_proved(sound: Any) -> None:
    assert list(unproved(sound)) == [
        "Whether mIoU 0.945 is enough is yours to say: the gate is against the float model.",
        "No phone: latency, memory and heat on a device are not known.",
        "On the GPU, int8 was not run: no Vulkan adapter",
        "The GPU was SwiftShader, which is software: it proves function, never speed.",
    ]
    hardware = [replace(row, software=False, device="emulator-5554") for row in sound.benchmarks]
    assert list(unproved(replace(sound, benchmarks=tuple(hardware))))[1:] == [
        "On the GPU, int8 was not run: no Vulkan adapter"
    ]


def test_what_was_not_run_has_its_reason(sound: Any) -> None:
    gone = tuple(
        replace(row, latency_ms=None, unavailable="no Vulkan adapter") for row in sound.benchmarks
    )
    costs = tuple(replace(c, cycles=None, unavailable="no qemu") for c in sound.arm_cost)
    gaps = list(unproved(replace(sound, benchmarks=gone, arm_cost=costs)))
    assert gaps[2:] == [
        "The GPU delegate was not run: no Vulkan adapter",
        "ARM cost was not measured: no qemu",
    ]
    assert list(unproved(replace(sound, benchmarks=())))[2] == (
        "The GPU delegate was not run; its rules were read."
    )

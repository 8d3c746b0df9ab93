"""The verdict of a report: is it good to ship, why, and what no figure of it proves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from portrait_tflite.report import formats
from portrait_tflite.report.arm_cost import compare_arm_cost
from portrait_tflite.report.faults import faults
from portrait_tflite.report.fine_tuning import approximation_point
from portrait_tflite.report.points import Mark, Point
from portrait_tflite.report.remedies import climb_result
from portrait_tflite.report.roles import (
    audit_of,
    delegate_for,
    main_variant,
    reference_name,
    shipped_variants,
)
from portrait_tflite.report.spec import OWN_ROWS
from portrait_tflite.report.unproved import unproved
from portrait_tflite.vocabulary import DRAWN, Accuracy, Delegate, Precision, Report, Variant

_BAD = "Not good to ship"


@dataclass(frozen=True)
class Verdict:
    """The answer, its reasons, and what was not proved."""

    mark: Mark
    headline: str
    summary: str
    points: tuple[Point, ...]
    unproved: tuple[str, ...]


def judge(report: Report, failures: Sequence[str] = ()) -> Verdict:
    """Say whether a report's files are good to ship.

    Args:
        failures: The gates that failed, where the pipeline knows; else the variants say.
    """
    points = tuple(_points(report, failures))
    open_points = sum(point.mark is Mark.LOOK for point in points)
    gaps = tuple(unproved(report))
    if not report.passed:
        summary = "A gate failed. The files are written so that they can be looked into."
        return Verdict(Mark.BAD, _BAD, summary, points, gaps)
    if any(point.mark is Mark.BAD for point in points):
        summary = "Every gate passed, and yet something that was measured speaks against it."
        return Verdict(Mark.BAD, _BAD, summary, points, gaps)
    if open_points:
        summary = f"Every gate passed; {formats.count(open_points, 'point')} to look at first."
        return Verdict(Mark.LOOK, "Passed, with open points", summary, points, gaps)
    summary = "Every gate passed, and nothing that was measured speaks against it."
    return Verdict(Mark.GOOD, "Good to ship", summary, points, gaps)


def _points(report: Report, failures: Sequence[str]) -> Iterator[Point]:
    yield from _failures(report, failures)
    yield from _accuracy(report)
    yield from _remedies(report)
    yield from _delegates(report)
    yield from faults(report)
    yield from _arm_cost(report)
    yield from _calibration(report)
    approximated = approximation_point(report)
    if approximated:
        yield Point(Mark.LOOK, "Rewrites", approximated)


def _failures(report: Report, failures: Sequence[str]) -> Iterator[Point]:
    if report.passed:
        return
    known = list(failures) or [
        f"{name}: {variant.accuracy.reason}"
        for name, variant in shipped_variants(report).items()
        if variant.accuracy and not variant.accuracy.passed
    ]
    for failure in known or ["report.json says that a gate failed and not which"]:
        yield Point(Mark.BAD, "Gate", failure)


def _accuracy(report: Report) -> Iterator[Point]:
    scored = {name: v.accuracy for name, v in shipped_variants(report).items() if v.accuracy}
    passed = {name: accuracy for name, accuracy in scored.items() if accuracy.passed}
    if not scored:
        yield Point(Mark.LOOK, "Accuracy", "nothing was scored")
        return
    first = next(iter(scored.values()))
    if passed:
        yield Point(Mark.GOOD, "Accuracy", _kept(report, passed))
    if not first.labelled:
        text = "no labels: what is known is how far the masks agree, not whether they are right"
        yield Point(Mark.LOOK, "Accuracy", text)
    if report.scored_with is Delegate.CPU:
        text = (
            "compared on the built-in kernels; the row of the released file shows what XNNPACK's "
            "rounding alone changes. Labels (--validation DIR) tell which masks are right"
        )
        yield Point(Mark.LOOK, "Accuracy", text)
    if report.scored_on == DRAWN:
        text = "scored on drawn portraits, which are no photographs; --validation DIR takes yours"
        if report.model.spec.others:
            text = f"scored on drawn portraits and noise; {OWN_ROWS}"
        yield Point(Mark.LOOK, "Accuracy", text)


def _remedies(report: Report) -> Iterator[Point]:
    for name, variant in shipped_variants(report).items():
        result = climb_result(variant)
        if variant.accuracy and result:
            mark = Mark.GOOD if variant.accuracy.passed else Mark.LOOK
            yield Point(mark, "Remedies", f"{name}: {result}")


def _kept(report: Report, passed: dict[str, Accuracy]) -> str:
    first = next(iter(passed.values()))
    images = formats.count(first.images, "picture")
    if not first.labelled:
        agreement = ", ".join(f"{n} {formats.fixed(a.agreement_iou, 4)}" for n, a in passed.items())
        return f"IoU with the {reference_name(report)} on {images}: {agreement}"
    lost = ", ".join(f"{name} {formats.fixed(a.drop.miou)}" for name, a in passed.items())
    return (
        f"mIoU points lost against the {reference_name(report)}: {lost}; "
        f"up to {report.max_drop:g} passes, {images}"
    )


def _delegates(report: Report) -> Iterator[Point]:
    whole = []
    for name, variant in shipped_variants(report).items():
        text, complete = _inside(name, variant)
        if complete:
            whole.append(text)
        else:
            yield Point(Mark.LOOK, "Delegates", text)
    if whole:
        yield Point(Mark.GOOD, "Delegates", "; ".join(whole))


def _inside(name: str, variant: Variant) -> tuple[str, bool]:
    """Say how much of a variant runs in the delegate that it is meant for, and whether all."""
    delegate = delegate_for(name)
    audit = audit_of(variant, delegate)
    outside = formats.count(len(audit.outside), "op")
    if delegate is Delegate.GPU:
        rules = "the GPU delegate's rules"
        if audit.complete:
            return f"{name}: {rules} take every op", True
        return f"{name}: {rules} refuse {outside}", False
    if delegate is Delegate.CPU:
        return f"{name}: built-in kernels; XNNPACK takes no {Precision.INT16X8}", audit.complete
    if audit.partitions is None:
        return f"{name}: {outside} outside XNNPACK", audit.complete
    partitions = formats.count(audit.partitions, "XNNPACK partition")
    whole = audit.complete and audit.partitions <= 1
    return f"{name}: {partitions}, {outside if audit.outside else 'no op'} outside", whole


def _arm_cost(report: Report) -> Iterator[Point]:
    name = main_variant(report.variants)
    if name is None:
        return
    compared = compare_arm_cost(report, name)
    if compared is None:
        return  # `unproved` gives the reason
    against = " and ".join(
        f"{formats.fixed(ratio)} × {other}" for other, ratio in compared.ratios.items()
    )
    bound = f"{name}: a bound of {formats.millions(compared.cycles)} million cycles"
    if not against:
        text = f"{bound}, compared with nothing: --baseline adds a plain conversion"
        yield Point(Mark.UNKNOWN, "ARM cost", text)
        return
    mark = Mark.LOOK if compared.dearer else Mark.GOOD
    yield Point(mark, "ARM cost", f"{bound}, {against} (for comparing, no milliseconds)")


def _calibration(report: Report) -> Iterator[Point]:
    checks = report.calibration.checks if report.calibration else ()
    for check in checks:
        if not check.passed:
            mark = Mark.BAD if check.level == "fail" else Mark.LOOK
            yield Point(mark, "Calibration", f"{check.name}: {check.detail}")

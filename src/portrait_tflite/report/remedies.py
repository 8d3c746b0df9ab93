"""The climb of the remedies: what each step gained and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from portrait_tflite.report import formats
from portrait_tflite.vocabulary import RemedyStep, Report, Variant


@dataclass(frozen=True)
class ClimbBar:
    """What a file loses with one more remedy, in the chart.

    Attributes:
        lost: Against float, in points.
        share: Of the most that any step loses, 0 to 1: the bar's length.
        kind: Style of the bar: one that was undone is pale.
        figure: What the step gained, in words; "" for plain int8.
        detail: What was done, and what it cost.
    """

    name: str
    lost: float
    share: float
    kind: str
    figure: str = ""
    detail: str = ""


def climb_bars(variant: Variant) -> tuple[ClimbBar, ...]:
    """Lay out the chart: plain int8, then every step."""
    steps = variant.remedies
    if not steps:
        return ()
    plain = steps[0].loss + steps[0].gain
    most = max(plain, *(step.loss for step in steps), 1e-9)
    first = ClimbBar("plain int8", plain, max(plain, 0.0) / most, "ours")
    return (first, *(_bar(step, most) for step in steps if step.ran))


def climb_result(variant: Variant) -> str:
    """Say with which step the gate held, or that none was enough; "" where none ran."""
    steps = [step for step in variant.remedies if step.ran]
    if not steps:
        return ""
    kept = [step for step in steps if step.kept]
    plain = f"{steps[0].loss + steps[0].gain:.2f} points lost as plain int8"
    if not kept:
        return f"no remedy helped: {plain}"
    *others, last = kept
    on_top = f", on top of {', '.join(step.name for step in others)}" if others else ""
    with_it = f"{plain}, {last.loss:.2f} with it; {_paid_in_all(steps, last)}"
    if last.passed:
        return f"the gate holds with {last.name}{on_top}: {with_it}"
    return f"no remedy was enough; the nearest is {last.name}{on_top}: {with_it}"


def climb_lines(report: Report) -> Iterator[str]:
    """Say what the remedies came to, and in a line per step what it did, for the terminal."""
    for name, variant in report.variants.items():
        if result := climb_result(variant):
            yield f"{name}: {result}"
        for step in variant.remedies:
            paid = f"; {_paid(step)}" if step.ran else ""
            yield f"{name}, {step.name}: {gained(step)}{paid}; {step.detail}"
        for layer in variant.float_layers:
            yield f"{name}: {layer.layer} stays in float: {layer.reason}"


def gained(step: RemedyStep) -> str:
    """Say what a step gained, and whether it stayed."""
    if not step.ran:
        return "did not run"
    words = f"{step.gain:+.2f} points, {step.loss:.2f} lost with it"
    return words if step.kept else f"{words}, undone"


def _bar(step: RemedyStep, most: float) -> ClimbBar:
    return ClimbBar(
        step.name,
        step.loss,
        max(step.loss, 0.0) / most,
        "ours" if step.kept else "baseline",
        f"{step.gain:+.2f}{'' if step.kept else ', undone'}",
        f"{step.detail}; {_paid(step)}",
    )


def _paid(step: RemedyStep) -> str:
    partitions = formats.count(step.partitions_after, "partition")
    return f"{step.cost:+.2f} Mcyc, {partitions}, {step.minutes:.1f} min"


def _paid_in_all(steps: Sequence[RemedyStep], last: RemedyStep) -> str:
    cost = last.mcycles_after - steps[0].mcycles_before
    more = last.partitions_after - steps[0].partitions_before
    minutes = sum(step.minutes for step in steps)
    partitions = f"{formats.count(more, 'partition')} more" if more > 0 else "no partition more"
    return f"{cost:+.2f} Mcyc, {partitions}, {minutes:.1f} min in all"

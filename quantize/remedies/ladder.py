"""The ladder: remedies, cheapest first, until the accuracy gate holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property

from portrait_tflite.convert.mending.mend_burden import Burden, weigh
from portrait_tflite.errors import ConversionError, UsageError
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.remedies.remedy import OnShare, Remedy, Treated
from portrait_tflite.vocabulary import Accuracy, FloatLayer, RemedyStep

Build = Callable[[RangedNetwork], Built]
Judge = Callable[[Built], Accuracy]

Show = Callable[[str], AbstractContextManager[OnShare]]
"""Shows the work on a remedy, by its name."""


@dataclass(frozen=True, eq=False)
class Rung:
    """Where on the ladder one stands.

    Attributes:
        network: What was quantized.
        built: The finished file.
        accuracy: Of the file, with the gate's verdict.
        float_layers: What it keeps in float.
    """

    network: RangedNetwork
    built: Built
    accuracy: Accuracy
    float_layers: tuple[FloatLayer, ...] = ()

    @cached_property
    def burden(self) -> Burden:
        """What the file asks of the phone."""
        return weigh(self.built.data)


def climb(
    start: Rung,
    remedies: Iterable[Remedy],
    frames: Sequence[Frames],
    build: Build,
    judge: Judge,
    show: Show,
    on_step: Callable[[RemedyStep], None] | None = None,
) -> tuple[Rung, tuple[RemedyStep, ...]]:
    """Apply one remedy after the other, and keep those that lower the loss.

    Args:
        start: Plain int8, judged. Where it passes, nothing is done.
        remedies: Cheapest first.
        frames: The calibration pictures.
        build: Quantizes and mends.
        judge: Scores a file against float.
        show: Shows the work.
        on_step: Called with every step made.

    Returns:
        The first file that passes, or the one with the least loss; and the steps in their order. A
        remedy that makes the file afresh is one step with those of the remedies before that help
        again behind it.
    """
    best, steps, kept = start, list[RemedyStep](), list[Remedy]()
    for remedy in remedies:
        if best.accuracy.passed:
            break
        began = time.monotonic()
        with show(remedy.name) as on_share:
            tried, detail, afresh = _try(remedy, best, frames, build, judge, on_share)
        if tried is not None and afresh:
            tried, again = climb(tried, kept, frames, build, judge, show)
            detail += _repeated(again)
        minutes = (time.monotonic() - began) / 60
        step = _step(remedy.name, best, tried, detail, minutes)
        steps.append(step)
        if on_step:
            on_step(step)
        if tried is not None and step.kept:
            best = tried
            kept.append(remedy)
    return best, tuple(steps)


def loss(accuracy: Accuracy) -> float:
    """What a file loses against float, in points: of mIoU, without labels of agreement."""
    return accuracy.drop.miou if accuracy.labelled else 100 * (1 - accuracy.agreement_iou)


def step_not_needed(name: str, rung: Rung, why: str) -> RemedyStep:
    """Record a remedy that could have run where the gate holds without."""
    return replace(_step(name, rung, None, why, 0.0), passed=True, ran=False)


def _try(
    remedy: Remedy,
    best: Rung,
    frames: Sequence[Frames],
    build: Build,
    judge: Judge,
    on_share: OnShare,
) -> tuple[Rung | None, str, bool]:
    """Return what a remedy comes to, what it did or why it did nothing, and whether afresh."""
    try:
        treated = remedy.apply(best.network, frames, on_share)
        if not isinstance(treated, Treated):
            return None, treated or "nothing for it to do", False
        return _judged(treated, best, build, judge), treated.detail, treated.afresh
    except (ConversionError, UsageError) as error:  # no file, or none that the runtime loads
        return None, str(error), False


def _judged(treated: Treated, best: Rung, build: Build, judge: Judge) -> Rung:
    built = build(treated.network)
    layers = best.float_layers if treated.float_layers is None else treated.float_layers
    return Rung(treated.network, built, judge(built), layers)


def _repeated(steps: Sequence[RemedyStep]) -> str:
    """Name the remedies that helped a second time."""
    names = [step.name for step in steps if step.kept]
    return f"; again behind it: {', '.join(names)}" if names else ""


def _step(name: str, before: Rung, after: Rung | None, detail: str, minutes: float) -> RemedyStep:
    old = before.burden
    new = old if after is None else after.burden
    gain = 0.0 if after is None else loss(before.accuracy) - loss(after.accuracy)
    passed = after is not None and after.accuracy.passed
    return RemedyStep(
        name=name,
        gain=gain,
        cost=(new.cycles - old.cycles) / 1e6,
        kept=after is not None and (passed or gain > 0),
        passed=passed,
        loss=loss(before.accuracy) - gain,
        mcycles_before=old.cycles / 1e6,
        mcycles_after=new.cycles / 1e6,
        partitions_before=old.partitions,
        partitions_after=new.partitions,
        minutes=minutes,
        detail=detail,
    )

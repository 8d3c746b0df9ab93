"""What a report says of approximate forms, fine-tuned or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from portrait_tflite.report.fine_tuning import approximation_notes, approximation_point
from portrait_tflite.report.html import render_html
from portrait_tflite.report.verdict import Mark, judge
from portrait_tflite.vocabulary import CalibrationRecord, Delegate, FineTuning, Level, WholeNetError

TUNED = FineTuning(
    source="photos",
    delegates=(Delegate.XNNPACK, Delegate.GPU),
    images=450,
    held_out=50,
    rounds=8,
    agreement_before=0.8123,
    agreement_after=0.98765,
    rewritten_before=WholeNetError(0.5, 0.75, 4),
)


@pytest.fixture
def approximate(report: Any) -> Any:
    """A report with two layers of another function, one of them in both plans."""
    record = replace(report.rewrites[0], exact=False, chosen="resize_conv", max_rel_error=0.25)
    records = (record, replace(record, reason="for gpu"), replace(record, layer="last"))
    calibration = CalibrationRecord("photos", 200, "beef", ())
    return replace(report, rewrites=records, calibration=calibration)


def test_an_exact_report_has_nothing_to_say(report: Any) -> None:
    assert approximation_notes(report) == ()
    assert approximation_point(report) == ""


def test_another_rounding_in_a_file_is_no_other_function(report: Any) -> None:
    record = replace(report.rewrites[0], level=Level.FLATBUFFER, exact=False)
    assert approximation_notes(replace(report, rewrites=(record,))) == ()


def test_without_fine_tuning_it_is_asked_for(approximate: Any) -> None:
    (note,) = approximation_notes(approximate)
    assert note.startswith("2 layers became another function: fine-tune with --finetune DIR")
    assert approximation_point(approximate) == (
        "up, last: another function than before, fitted to it; --finetune DIR recovers what that "
        "loses"
    )


def test_a_fit_to_what_is_scored_on_is_told(approximate: Any) -> None:
    _, note = approximation_notes(replace(approximate, calibration=None))
    assert note.startswith("it was fitted to pictures that it is scored on, which flatters it")


def test_fine_tuning_says_before_and_after(approximate: Any) -> None:
    tuned = replace(approximate, fine_tuning=(TUNED,))
    trained, before = approximation_notes(tuned)
    assert trained == (
        "fine-tuned for xnnpack and gpu on 450 unlabelled pictures of photos: IoU with the "
        "network's own masks 0.8123 → 0.9877, 50 pictures held out, 8 rounds"
    )
    assert before == "before fine-tuning the whole net differed by 7.5e-01 of the largest value"
    assert approximation_point(tuned).endswith("fine-tuned to an IoU of 0.9877 with its masks")


@pytest.mark.parametrize(
    ("early", "after", "end"),
    [
        (True, 0.9, "8 rounds, the last ones no better"),
        (
            True,
            0.8123,
            "8 rounds, the last ones no better; what was fitted agreed best, and stayed",
        ),
        (False, 0.8123, "8 rounds; what was fitted agreed best, and stayed"),
    ],
)
def test_how_it_ended_is_said(approximate: Any, early: bool, after: float, end: str) -> None:
    ended = replace(TUNED, stopped_early=early, agreement_after=after)
    trained, *_ = approximation_notes(replace(approximate, fine_tuning=(ended,)))
    assert trained.endswith(end)


def test_few_pictures_are_warned_of(approximate: Any) -> None:
    few = replace(TUNED, images=40, held_out=4)
    notes = approximation_notes(replace(approximate, fine_tuning=(few,)))
    assert "fewer than 50 pictures" in notes[-1]


def test_the_verdict_and_the_page_say_it_too(approximate: Any) -> None:
    tuned = replace(approximate, fine_tuning=(TUNED,))
    looks = [p.text for p in judge(tuned).points if p.mark is Mark.LOOK and p.topic == "Rewrites"]
    assert looks == [approximation_point(tuned)]
    assert "Fine-tuned for xnnpack and gpu on 450 unlabelled pictures" in render_html(tuned)

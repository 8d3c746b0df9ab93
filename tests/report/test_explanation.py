"""One layer explained, in text and in JSON; and what a report says of names and of tuning."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

from rich.console import Console, RenderableType

from portrait_tflite.report.changes import selection_notes, skip_groups
from portrait_tflite.report.explanation import (
    Explanation,
    Trail,
    explanation_json,
    explanation_text,
)
from portrait_tflite.report.files import report_json
from portrait_tflite.report.html import render_html
from portrait_tflite.report.summary import summarize
from portrait_tflite.vocabulary import (
    Approximation,
    Candidate,
    Delegate,
    Level,
    Report,
    RewriteMode,
    RewriteRecord,
    RewriteSelection,
    SkippedRewrite,
)

Change = Callable[..., Any]

_FORMS = (
    Candidate("subpixel", 0, 1.29),
    Candidate("transpose_conv", 1, 0.96, 0.125),
    Candidate("rows", 0, 0.5, barred="for xnnpack alone"),
)
_TAKEN = RewriteRecord(
    "transposed_convolution", Level.KERAS, "up", True, 1e-7, 2e-7, "subpixel", _FORMS,
    "2×2; cheapest for gpu",
)  # fmt: skip
_KEPT = SkippedRewrite(
    "transposed_convolution", "up", "transpose_conv: cheapest for xnnpack", _FORMS
)
_UNCOUNTED = (Candidate("PAD + CONV_2D", 0, None), Candidate("CONV_2D", 0, 2e-4))
_UNDONE = SkippedRewrite("merge_pad", "up", "PAD + CONV_2D: nothing gained", _UNCOUNTED)


def _explanation() -> Explanation:
    return Explanation(
        "up",
        "Conv2DTranspose",
        {
            Delegate.XNNPACK: Trail((), (_KEPT,), ("select_channel",)),
            Delegate.GPU: Trail((_TAKEN,), (), ("select_channel",)),
        },
        {"int8": Trail((), (_UNDONE,), ("cancel",)), "float16": Trail((), (), ())},
    )


def _printed(renderable: RenderableType) -> str:
    console = Console(file=StringIO(), width=140)
    console.print(renderable)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_text_marks_what_was_taken() -> None:
    lines = [line.strip() for line in _printed(explanation_text(_explanation())).splitlines()]
    assert lines[0] == "up (Conv2DTranspose)"
    assert "→ transpose_conv: 1 op outside, 0.960 Mcyc, 125 µs on this host" in lines
    assert "→ subpixel: 0 ops outside, 1.29 Mcyc" in lines
    assert lines.count("subpixel: 0 ops outside, 1.29 Mcyc") == 1
    assert lines.count("rows: 0 ops outside, 0.500 Mcyc; for xnnpack alone") == 2
    assert any(
        line.startswith("transposed_convolution at up → subpixel: 2×2; cheapest for gpu; exact")
        for line in lines
    )
    assert "merge_pad at up: not taken: PAD + CONV_2D: nothing gained" in lines
    assert "→ PAD + CONV_2D: 0 ops outside, not in the cost table" in lines
    assert "CONV_2D: 0 ops outside, < 0.001 Mcyc" in lines
    assert lines.count("1 more found nothing of their own; --json names them") == 3
    assert "no rewrite found anything of its own" in lines


def test_json_has_the_same() -> None:
    data = json.loads(json.dumps(explanation_json(_explanation())))
    assert data["schema"] == 1
    assert data["keras"]["gpu"]["applied"][0]["chosen"] == "subpixel"
    assert data["keras"]["xnnpack"]["kept"][0]["candidates"][1] == {
        "form": "transpose_conv", "outside": 1, "cost": 0.96, "host_ms": 0.125, "barred": "",
    }  # fmt: skip
    assert data["files"]["int8"]["unmatched"] == ["cancel"]


def test_a_kept_places_forms_stand_in_the_report(report: Report) -> None:
    (group,) = skip_groups(replace(report, skipped=(_KEPT, _KEPT)))
    assert [kept.layer for kept in group.choices] == ["up", "up"]
    page = render_html(replace(report, skipped=(_KEPT,)), (), (), "")
    assert "subpixel 1.29; transpose_conv 0.960, 1 op outside, 125 µs here; rows 0.500" in page
    assert "rows 0.500 (for xnnpack alone)" in page
    assert report_json(replace(report, skipped=(_KEPT,)))["skipped"][0]["candidates"]


def test_names_and_tuning_are_stated(report: Report) -> None:
    assert selection_notes(report) == ()
    selection = RewriteSelection(dropped=("cancel",), own=("mine",), tuned=True)
    stated = replace(report, selection=selection)
    notes = selection_notes(stated)
    assert notes[:2] == ("rewrites left out by name: cancel", "rewrites of your own: mine")
    assert "this host (some CPU), which is no phone" in notes[2]
    text = " ".join(_printed(summarize(stated, "out", ())).split())
    assert "rewrites left out by name: cancel" in text
    assert "Rewrites left out by name: cancel." in render_html(stated, (), (), "")
    assert report_json(stated)["selection"]["dropped"] == ["cancel"]


def test_what_ran_alone_is_stated(report: Report) -> None:
    none = RewriteSelection(RewriteMode.NONE)
    assert selection_notes(replace(report, selection=none)) == ("no rewrite was asked for",)
    strided = RewriteSelection(approximations=(Approximation.STRIDED,))
    exact = tuple(record for record in report.rewrites if record.exact)
    assert selection_notes(replace(report, selection=strided, rewrites=exact)) == (
        "no layer has a form of what was asked for by name: strided",
    )
    fitted = (replace(report.rewrites[0], level=Level.KERAS, exact=False),)
    assert selection_notes(replace(report, selection=strided, rewrites=fitted)) == ()
    alone = replace(none, only=("cancel",))
    assert selection_notes(replace(report, selection=alone)) == ("rewrites run alone: cancel",)
    besides = RewriteSelection(only=("exact_multiplier",))
    assert selection_notes(replace(report, selection=besides)) == (
        "rewrites asked for by name: exact_multiplier",
    )

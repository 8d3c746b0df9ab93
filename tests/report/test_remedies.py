"""The climb of the remedies, on the page and on the terminal."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest

from portrait_tflite.report.files import report_json
from portrait_tflite.report.html import render_html
from portrait_tflite.report.remedies import climb_bars, climb_lines, climb_result
from portrait_tflite.vocabulary import RemedyStep, Report, Variant


def test_the_chart_begins_with_plain_int8(full_report: Report) -> None:
    plain, undone, kept = climb_bars(full_report.variants["int8"])
    assert (plain.name, plain.lost) == ("plain int8", pytest.approx(1.6))
    assert (undone.name, undone.kind, undone.share) == ("ranges", "baseline", 1.0)
    assert undone.figure == "-0.10, undone"
    assert (kept.kind, kept.figure) == ("ours", "+0.90")
    assert kept.share == pytest.approx(0.7 / 1.7)
    assert "11 pairs; +0.10 Mcyc, 1 partition, 0.2 min" in kept.detail


def test_without_remedies_there_is_no_chart(report: Report) -> None:
    assert climb_bars(report.variants["int8"]) == ()
    assert list(climb_lines(report)) == []
    assert "what was done for the accuracy" not in render_html(report)


def test_a_line_for_every_step_and_every_float_layer(full_report: Report) -> None:
    result, undone, kept, layer = climb_lines(full_report)
    assert result.startswith(
        "int8: the gate holds with equalization: 1.60 points lost as plain int8"
    )
    assert undone.startswith("int8, ranges: -0.10 points, 1.70 lost with it, undone; +0.00 Mcyc")
    assert kept.startswith("int8, equalization: +0.90 points, 0.70 lost with it; +0.10 Mcyc")
    assert layer == "int8: head stays in float: it loses 0.3 points in int8"


def _after(variant: Variant, *steps: tuple[str, bool, bool]) -> Variant:
    first = variant.remedies[0]
    climbed = [
        replace(first, name=name, gain=0.5, loss=1.2 - number / 2, kept=kept, passed=passed)
        for number, (name, kept, passed) in enumerate(steps)
    ]
    return replace(variant, remedies=tuple(climbed))


def test_the_result_names_the_step_and_what_all_of_it_cost(full_report: Report) -> None:
    variant = full_report.variants["int8"]
    assert climb_result(variant) == (
        "the gate holds with equalization: 1.60 points lost as plain int8, 0.70 with it; "
        "+0.10 Mcyc, no partition more, 0.8 min in all"
    )
    both = _after(variant, ("ranges", True, False), ("rounding", True, True))
    assert climb_result(both).startswith("the gate holds with rounding, on top of ranges: 1.70")
    page = render_html(replace(full_report, variants={**full_report.variants, "int8": both}))
    assert "<p>The gate holds with rounding, on top of ranges: 1.70" in page


def test_the_result_says_that_nothing_was_enough(full_report: Report) -> None:
    variant = full_report.variants["int8"]
    missed = _after(variant, ("ranges", True, False), ("rounding", False, False))
    assert climb_result(missed).startswith("no remedy was enough; the nearest is ranges: 1.70")
    idle = _after(variant, ("ranges", False, False))
    assert climb_result(idle) == "no remedy helped: 1.70 points lost as plain int8"
    assert climb_result(replace(variant, remedies=())) == ""


def test_the_page_shows_every_step(full_report: Report) -> None:
    page = render_html(full_report)
    assert "what was done for the accuracy" in page
    assert "plain int8" in page
    assert "percentile 99.99" in page
    assert "undone" in page


def test_what_was_not_needed_is_said_and_not_drawn(full_report: Report) -> None:
    variant = full_report.variants["int8"]
    idle = replace(variant.remedies[-1], name="finetuning", kept=False, ran=False, detail="why")
    changed = replace(variant, remedies=(*variant.remedies, idle))
    report = replace(full_report, variants={**full_report.variants, "int8": changed})
    assert len(climb_bars(changed)) == len(climb_bars(variant))
    assert "int8, finetuning: did not run; why" in list(climb_lines(report))
    assert "did not run: why" in render_html(report)


def test_the_table_has_what_every_step_cost(full_report: Report) -> None:
    page = render_html(full_report)
    table = page.split("what was done for the accuracy")[1].split("</table>")[0]
    heads = re.findall(r"<th scope=\"col\"[^>]*>([^<]*)</th>", table)
    rows = {
        row.split("<")[0]: re.findall(r"<td[^>]*>([^<]*)</td>", row)
        for row in table.split('<th scope="row">')[1:]
    }
    assert heads[-5:] == ["Mcyc before", "after", "partitions before", "after", "minutes"]
    assert rows["ranges"] == ["undone", "−0.10", "1.70", "34.00", "34.00", "1", "1", "0.5"]
    assert rows["equalization"] == ["yes", "0.90", "0.70", "34.00", "34.10", "1", "1", "0.2"]


def test_report_json_has_every_field_of_a_step(full_report: Report) -> None:
    _, kept = report_json(full_report)["variants"]["int8"]["remedies"]
    assert kept == {
        "name": "equalization",
        "gain": 0.9,
        "cost": 0.1,
        "kept": True,
        "passed": True,
        "loss": 0.7,
        "mcycles_before": 34.0,
        "mcycles_after": 34.1,
        "partitions_before": 1,
        "partitions_after": 1,
        "minutes": 0.25,
        "detail": "11 pairs",
        "ran": True,
    }
    assert kept.keys() == {field.name for field in fields(RemedyStep)}

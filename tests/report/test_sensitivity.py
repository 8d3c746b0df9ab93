"""The layers that int8 suffers from, on the page and in `sensitivity.csv`."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

from portrait_tflite.report.files import report_json, write_outputs
from portrait_tflite.report.html import render_html
from portrait_tflite.report.sensitivity import COLUMNS, harm_bars, sensitivity_csv
from portrait_tflite.vocabulary import Harm, LayerError, Report

_ERRORS = (
    LayerError(1, "gate <b>", "MUL", "net/gate", 7, 3.5, 0.02, Harm(), Harm(12.25, 0.05)),
    LayerError(2, "up", "CONV_2D", "net/up", 8, 1.25, 0.01, Harm(2.0, 0.01), Harm(0.5, 0.001)),
    LayerError(3, "down", "CONV_2D", "net/down", 1, 0.3, 0.001, Harm(), Harm(0.0, 0.0001)),
)


def _with_errors(report: Report) -> Report:
    variants = dict(report.variants)
    variants["int8"] = replace(variants["int8"], sensitivity=_ERRORS)
    return replace(report, variants=variants)


def test_bars_are_relative_to_the_worst_and_end_where_nothing_is_lost() -> None:
    bars = harm_bars(_ERRORS)
    assert [bar.error.rank for bar in bars] == [1, 2]
    assert [bar.share for bar in bars] == [1.0, 2.5 / 12.25]
    assert bars[1].what.startswith("CONV_2D: 2.00 by its weights, 0.50 by its output")
    assert harm_bars(()) == ()


def test_every_op_is_a_row(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(sensitivity_csv(_with_errors(report).variants))))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["variant"], row["layer"]) for row in rows] == [
        ("int8", "gate <b>"),
        ("int8", "up"),
        ("int8", "down"),
    ]
    assert float(rows[1]["points"]) == 2.5
    assert float(rows[0]["error_steps"]) == 3.5


def test_the_page_shows_them_where_they_were_measured(report: Report) -> None:
    page = render_html(_with_errors(report))
    assert "1. gate &lt;b&gt;" in page
    assert "the layers that suffer most" in page
    assert "the layers that suffer most" not in render_html(report)


def test_the_file_is_written_where_they_were_measured(report: Report, tmp_path: Path) -> None:
    for name, one in (("with", _with_errors(report)), ("without", report)):
        (tmp_path / name).mkdir()
        write_outputs(tmp_path / name, one, {}, {}, None)
        assert (tmp_path / name / "sensitivity.csv").exists() == (name == "with")
    assert "sensitivity" not in report_json(_with_errors(report))["variants"]["int8"]

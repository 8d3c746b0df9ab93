"""Lint findings as rows for people."""

from __future__ import annotations

from dataclasses import replace

from portrait_tflite.report.findings import group_outside
from portrait_tflite.report.formats import saving
from portrait_tflite.report.html import render_html
from portrait_tflite.report.lint import lint_rows
from portrait_tflite.vocabulary import LintChange, LintFinding, OutsideOp, Report

_CHANGE = LintChange("one strided convolution", 1.5)
_POOL = LintFinding(
    "convolution_and_pool", ("conv", "pool"), "CONV_2D and then MAX_POOL_2D", "stride", "a paper",
    2.0, 0.2, (_CHANGE,),
)  # fmt: skip


def test_alike_findings_are_one_row() -> None:
    other = replace(_POOL, places=("conv_1", "pool_1"), mcycles=1.0, share=0.1)
    (row,) = lint_rows([_POOL, other], names=3)
    assert row.finding == "2 × CONV_2D and then MAX_POOL_2D"
    assert row.where == "conv, pool, conv_1 and 1 more"
    assert abs(row.share - 0.3) < 1e-9
    assert row.changes == ("one strided convolution: saves 3.00 Mcyc",)


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    unknown = replace(_POOL, changes=(replace(_CHANGE, saves_mcycles=None),))
    (row,) = lint_rows([_POOL, unknown])
    assert row.changes == ("one strided convolution: not in the cost table",)


def test_ops_that_split_are_in_the_table_of_ops_outside() -> None:
    assert lint_rows([replace(_POOL, rule="splitting_ops")]) == ()


def test_savings_are_said_in_words() -> None:
    assert saving(3.1) == "saves 3.10 Mcyc"
    assert saving(-0.25) == "costs 0.250 Mcyc more"
    assert saving(1e-5) == "costs the same"
    assert saving(None) == "not in the cost table"


def test_worth_is_added_up_over_alike_ops() -> None:
    op = OutsideOp("RELU", "r", "r", "why", "fix", worth_mcycles=1.5, partitions_saved=1)
    (found,) = group_outside([op, replace(op, layer="s", partitions_saved=2)])
    assert found.worth == ("saves 3.00 Mcyc", "3 partitions less")
    unknown = replace(op, worth_mcycles=None, partitions_saved=-2)
    assert group_outside([unknown])[0].worth == ("2 partitions more",)
    both = ("not in the cost table", "1 partition more")
    assert group_outside([op, unknown], tried=True)[0].worth == both
    (found,) = group_outside([replace(op, partitions_saved=None)])
    assert found.worth == ()


def test_ops_outside_are_alike_whatever_tensor_their_reason_names() -> None:
    op = OutsideOp("ADD", "a", "a", "the size of 'x' is open", "fix")
    others = [replace(op, tensor=name, reason=f"the size of '{name}' is open") for name in "yz"]
    found = group_outside([op, *others, replace(op, reason="another of 'x'")])
    assert [(one.count, one.reason) for one in found] == [
        (3, "the size of 'x' and 2 more is open"),
        (1, "another of 'x'"),
    ]


def test_the_report_lists_what_lint_found_in_the_main_variant(full_report: Report) -> None:
    assert "mobile lint" not in render_html(full_report)
    linted = replace(full_report.variants["int8"], lint=(_POOL,))
    page = render_html(replace(full_report, variants={**full_report.variants, "int8": linted}))
    for text in ("1 finding", "of the mobile lint in int8", "saves 1.50 Mcyc", "a paper", "20 %"):
        assert text in page

"""What was measured, on narrow and wide terminals: no figure is broken, none is mislabelled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from portrait_tflite.report.measurements import measured_parts
from portrait_tflite.report.summary import summarize
from portrait_tflite.report.tables import FittingTable, new_table
from portrait_tflite.vocabulary import ArmOpCost, Delegate, OpTime, Report

LONG = "hodzic_unet-float32-of-another-folder"


def printed(*parts: RenderableType, width: int) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    return capture.get()


def measured(report: Report, width: int, *, per_op: bool = False) -> str:
    parts = measured_parts(report.machine, report.benchmarks, report.arm_cost, per_op=per_op)
    return printed(*parts, width=width)


def header(text: str) -> str:
    return next(line for line in text.splitlines() if "median" in line)


@pytest.fixture
def timed(full_report: Any) -> Report:
    """Two files on two delegates of the CPU, one of a long name, and one on a software GPU."""
    row, software, *_ = full_report.benchmarks
    slow = replace(row.latency_ms, median=1234.567, mad=12.345, p90=1300.5, min=1200.25)
    long = replace(row, variant=LONG, latency_ms=slow)
    rows = (row, replace(row, delegate=Delegate.CPU, partitions=0), long, software)
    return replace(full_report, benchmarks=rows)  # type: ignore[no-any-return]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_every_figure_stays_whole_beside_its_partitions(timed: Report, width: int) -> None:
    text = measured(timed, width)
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    assert "1,234.567" in text
    assert "12.345" in text
    for word in ("delegate", "partitions", "median", "MAD"):
        assert word in header(text)
    name = "".join(line[2:22].split()[0] for line in text.splitlines() if line[2:4] in ("ho",))
    assert LONG.startswith(name)
    # A name is wrapped into a few lines, not into letters.
    assert len(text.splitlines()) < 60


def test_a_narrow_terminal_loses_the_spare_columns_and_a_wide_one_none(timed: Report) -> None:
    spare = {"precision", "p90", "min", "init", "first", "MiB", "of"}
    assert not spare & set(header(measured(timed, 80)).replace("first's", "").split())
    assert spare <= set(header(measured(timed, 140)).split())
    assert "1,300.500" in measured(timed, 140)


@pytest.mark.parametrize(("width", "whole"), [(80, False), (140, True)])
def test_arm_costs_and_the_summary_fit_too(timed: Report, width: int, whole: bool) -> None:
    costs, summary = measured(timed, width), printed(summarize(timed, "out", ()), width=width)
    assert "naive_batch1" in costs
    assert "283.20" in costs
    assert ("load/store" in costs) is whole
    assert "6, 2 outside" in summary
    assert "0.9450" in summary
    assert ("≥ 2.3" in summary) is whole


def test_a_name_in_brackets_is_no_markup(timed: Report) -> None:
    row = replace(timed.benchmarks[0], variant="[bold]")
    assert "[bold]" in measured(replace(timed, benchmarks=(row,)), 140)


def test_words_wrap_and_figures_do_not() -> None:
    table = new_table("", "name", "figure", "words", text=("words",))
    table.add_row("n" * 30, "123456.789", "one two three four")
    text = printed(table, width=40)
    assert "123456.789" in text
    assert "four" in text
    fitting = FittingTable("", [{"name": "n", "figure": "1.25", "more": "9.75"}], spare=("more",))
    assert "9.75" in printed(fitting, width=40)
    assert "9.75" not in printed(fitting, width=20)
    assert "1.25" in printed(fitting, width=20)


def test_the_gpu_has_a_table_of_its_own(timed: Report) -> None:
    text = measured(timed, 140)
    on_cpu, on_gpu = text.split("On the GPU, ")
    assert "50 runs in 5 processes, interleaved, 1 thread; ms" in on_cpu
    assert "software" not in on_cpu
    title, *_ = on_gpu.splitlines()
    assert title.rstrip() == "SwiftShader: 50 runs in 5 processes; ms (software adapter: no speed)"
    assert "interleaved" not in on_gpu
    (row,) = (line for line in on_gpu.splitlines() if line.startswith("  float16 "))
    assert "every op" in row
    assert "× first's time" not in header(on_gpu)


def test_a_real_gpu_says_its_own_effort(timed: Report) -> None:
    card = replace(
        timed.benchmarks[3], adapter="Card", software=False, fully_accelerated=False, runs=1,
        processes=1,
    )  # fmt: skip
    text = measured(replace(timed, benchmarks=(card, replace(card, variant="b"))), 140)
    assert "On the GPU, Card: 1 run in 1 process; ms" in text
    assert "no speed" not in text
    assert "some ops on the CPU" in text
    assert "× first's time" in text


def test_the_ratio_is_time_over_the_first_files_time(timed: Report) -> None:
    row = timed.benchmarks[0]
    assert row.latency_ms
    faster = replace(row, variant="b", latency_ms=replace(row.latency_ms, median=1.02))
    text = measured(replace(timed, benchmarks=(row, faster)), 140)
    assert "× first's time" in header(text)
    rows = [line.split() for line in text.splitlines() if line.startswith(("  int8 ", "  b "))]
    assert [row[-1] for row in rows[:2]] == ["1.00", "0.68"]
    assert "× first" not in measured(replace(timed, benchmarks=(row,)), 140)


def test_profiles_sum_up_what_they_do_not_list(timed: Report) -> None:
    ops = tuple(OpTime("ADD", f"add_{n}", Delegate.XNNPACK, 1.0, 0.05) for n in range(20))
    counted = tuple(ArmOpCost("ADD", f"add_{n}", 10, 1e6) for n in range(20))
    report = replace(
        timed,
        benchmarks=(replace(timed.benchmarks[0], ops=ops),),
        arm_cost=(replace(timed.arm_cost[0], ops=counted),),
    )
    text = measured(report, 140, per_op=True)
    time, cost = text.split("float32 on xnnpack, cortex-a76: the dearest ops")
    for part, remark in ((time, False), (cost, True)):
        (others,) = (line.split() for line in part.splitlines() if "8 others" in line)
        assert others[2:] == ["8.00", "40.0%"]
        assert part.count("add_") == 12
        assert ("Every op was run alone" in part) is remark


def test_on_a_tiny_terminal_nothing_gets_lost() -> None:
    table = new_table("", "name", "first", "second")
    table.add_row("abc", "123456789", "987654321")
    text = printed(table, width=18)
    shown = "".join(text.split())
    for digit in "123456789":
        assert shown.count(digit) == 2

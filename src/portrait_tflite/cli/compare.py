"""`portrait-tflite compare`: what changed between two result files by more than chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portrait_tflite.cli.number_option import FiniteRange
from portrait_tflite.cli.output import print_json, results
from portrait_tflite.errors import GateError
from portrait_tflite.report.tables import new_table
from portrait_tflite.vocabulary import HOST, SCHEMA

if TYPE_CHECKING:
    from rich.table import Table

    from portrait_tflite.benchmarks.comparison.compare import (
        Change,
        Comparison,
        SpeedChange,
        ValueChange,
    )
    from portrait_tflite.benchmarks.comparison.result_file import ResultFile
    from portrait_tflite.vocabulary import Json

_WHAT = {
    "arm_cycles": "ARM cost, Mcycles (a bound, no milliseconds)",
    "bytes": "size, KiB",
    "drop_miou": "accuracy drop, points of mIoU",
    "passed": "accuracy gate",
}
_LOST = "measured in OLD, unavailable in NEW"


@click.command("compare")
@click.argument("old", metavar="OLD", type=click.Path(path_type=Path))
@click.argument("new", metavar="NEW", type=click.Path(path_type=Path))
@click.option(
    "--max-slowdown",
    type=FiniteRange(min=0),
    default=10.0,
    show_default=True,
    metavar="PERCENT",
    help="How much slower a cell may be, or its ARM cost (a bound) higher; a latency beyond that, "
    "and significantly so, is a regression.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Compare unlike instruction sets, machines or numbers of threads too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def command(old: Path, new: Path, max_slowdown: float, force: bool, as_json: bool) -> None:
    """Compare OLD and NEW, each a benchmark.json, a report.json or a folder with one.

    Cells of the same variant, delegate, device, precision and threads are compared. A difference
    counts when the 95 % confidence interval of the ratio of levels, resampled by process, leaves
    out 1; only those are printed. A level is the mean of the processes' medians. ARM costs, a bound
    on cycles, are counted, not timed: any difference is real. Exit 3 where something became slower,
    or its ARM cost higher, by more than --max-slowdown, and where a cell was measured in OLD and is
    unavailable in NEW, unless NEW's machine lacks the GPU or the emulator.

    \b
    Example:
      portrait-tflite benchmark *.tflite --out before
      portrait-tflite compare before after
      portrait-tflite compare v1-tflite/report.json v2-tflite/report.json --max-slowdown 5
    """
    from portrait_tflite.benchmarks.comparison.compare import compare_results
    from portrait_tflite.benchmarks.comparison.result_file import read_results

    sides = read_results(old), read_results(new)
    comparison = compare_results(*sides, max_slowdown, force=force)
    if as_json:
        print_json(_as_json(sides, comparison, max_slowdown))
    else:
        _print(sides, comparison)
    if comparison.regressions:
        raise GateError(_verdict(comparison, max_slowdown))


def _as_json(
    sides: tuple[ResultFile, ResultFile], comparison: Comparison, max_slowdown: float
) -> Json:
    from portrait_tflite.benchmarks.comparison.resampling import CONFIDENCE

    return {
        "schema": SCHEMA,
        "old": str(sides[0].path),
        "new": str(sides[1].path),
        "confidence": CONFIDENCE,
        "max_slowdown": max_slowdown,
        "passed": not comparison.regressions,
        **asdict(comparison),
    }


def _print(sides: tuple[ResultFile, ResultFile], comparison: Comparison) -> None:
    from rich.text import Text

    console = results()
    significant = [change for change in comparison.speed if change.significant]
    if significant:
        console.print(_speed_table(significant))
    known = [change for change in comparison.values if change.new is not None]
    if known:
        console.print(_value_table(known))
    for line in _warnings(comparison):
        console.print(Text(line, style="bold red"))
    for line in _remarks(sides, comparison):
        console.print(Text(line))


def _speed_table(changes: Sequence[SpeedChange]) -> Table:
    """Lay out latencies in 80 columns: what is narrower is wrapped in the names."""
    from rich.text import Text

    table = new_table(
        "Significant differences of latency; the interval holds the truth in 95 of 100 cases",
        "file", "on", "old ms", "new ms", "change (interval)", "",
        text=("on",),
    )  # fmt: skip
    for change in changes:
        table.add_row(
            Text(change.variant),
            _place(change),
            f"{change.old_ms:.3f}",
            f"{change.new_ms:.3f}",
            f"{_percent(change.ratio)} ({_percent(change.low)} … {_percent(change.high)})",
            "regression" if change.regression else "",
        )
    return table


def _place(change: SpeedChange) -> str:
    """Name the delegate, and what is not as usual."""
    threads = f"{change.threads} threads" if change.threads > 1 else ""
    device = change.device if change.device != HOST else ""
    return ", ".join(filter(None, (change.delegate, device, threads)))


def _value_table(changes: Sequence[ValueChange]) -> Table:
    from rich.text import Text

    table = new_table(
        "Differences that no chance is in", "file", "what", "old", "new", "change", "",
        text=("what",),
    )  # fmt: skip
    for change in changes:
        table.add_row(
            Text(change.variant),
            _WHAT[change.what] + (f", {change.delegate}" if change.delegate else ""),
            *_figures(change),
            "regression" if change.regression else "",
        )
    return table


def _figures(change: ValueChange) -> tuple[str, str, str]:
    old, new = change.old, change.new
    assert new is not None
    if change.what == "passed":
        words = [("passed" if value else "failed") for value in (old, new)]
        return words[0], words[1], ""
    if change.what == "drop_miou":
        return f"{old:+.2f}", f"{new:+.2f}", f"{new - old:+.2f}"
    unit = 1024 if change.what == "bytes" else 1e6
    return f"{old / unit:,.2f}", f"{new / unit:,.2f}", _percent(new / old if old else None)


def _warnings(comparison: Comparison) -> Iterator[str]:
    """Say what cannot be compared although OLD has it."""
    for note, names in _by_note(comparison.lost).items():
        yield f"{_LOST}: {', '.join(names)} ({note})"
    if comparison.only_old:
        yield f"Only in OLD, and so not compared: {', '.join(comparison.only_old)}"


def _remarks(sides: tuple[ResultFile, ResultFile], comparison: Comparison) -> Iterator[str]:
    even = [c for c in comparison.speed if not c.significant and not c.note]
    if even:
        yield f"Not significant: {len(even)} of {len(comparison.speed)} latencies."
    for note, names in _by_note(one for one in comparison.changes if not one.lost).items():
        yield f"Not compared: {', '.join(names)} ({note})"
    if comparison.only_new:
        yield f"Only in NEW: {', '.join(comparison.only_new)}"
    for difference in comparison.unlike:
        yield f"Unlike, by --force: {difference}"
    old, new = (side.versions.get("ai-edge-litert", "?") for side in sides)
    if old != new:
        yield f"The runtimes differ: ai-edge-litert {old} and {new}"


def _by_note(changes: Iterable[Change]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for change in changes:
        if change.note:
            found.setdefault(change.note, []).append(change.name)
    return found


def _verdict(comparison: Comparison, max_slowdown: float) -> str:
    """Say what failed, each kind by its own name: an ARM cost is no latency."""
    limit = f"by more than {max_slowdown:g} %"
    kinds: dict[str, Sequence[Change]] = {
        f"slower {limit}": comparison.slower,
        f"ARM cost (a bound) higher {limit}": comparison.dearer,
        _LOST: comparison.lost,
    }
    said = [f"{kind}: {', '.join(c.name for c in found)}" for kind, found in kinds.items() if found]
    judged = comparison.slower or comparison.dearer
    return f"{'; '.join(said)}." + (" Raise --max-slowdown where that is meant." if judged else "")


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{(ratio - 1) * 100:+.1f} %"

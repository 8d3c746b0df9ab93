"""`portrait-tflite compare`: what changed between two result files by more than chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portrait_tflite.cli.output import print_json, results
from portrait_tflite.errors import GateError
from portrait_tflite.report.tables import new_table
from portrait_tflite.vocabulary import SCHEMA

if TYPE_CHECKING:
    from rich.table import Table

    from portrait_tflite.benchmarks.comparison.compare import Comparison, SpeedChange, ValueChange
    from portrait_tflite.benchmarks.comparison.result_file import ResultFile
    from portrait_tflite.vocabulary import Json

_WHAT = {
    "arm_cycles": "ARM cost, Mcycles (a bound, no milliseconds)",
    "bytes": "size, KiB",
    "drop_miou": "accuracy drop, points of mIoU",
    "passed": "accuracy gate",
}


@click.command("compare")
@click.argument("old", metavar="OLD", type=click.Path(path_type=Path))
@click.argument("new", metavar="NEW", type=click.Path(path_type=Path))
@click.option(
    "--max-slowdown",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="PERCENT",
    help="How much slower a cell may be; beyond that, and significantly so, is a regression.",
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
    counts when the 95 % confidence interval of the ratio of medians, resampled by process, leaves
    out 1; only those are printed. ARM costs are counted, not timed: any difference is real. Exit 3
    where something became slower by more than --max-slowdown.

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
    console = results()
    significant = [change for change in comparison.speed if change.significant]
    if significant:
        console.print(_speed_table(significant))
    if comparison.values:
        console.print(_value_table(comparison.values))
    for line in _remarks(sides, comparison):
        console.print(line)


def _speed_table(changes: Sequence[SpeedChange]) -> Table:
    table = new_table(
        "Significant differences of latency; the interval holds the truth in 95 of 100 cases",
        "file", "delegate", "device", "threads", "old ms", "new ms", "change", "interval", "",
    )  # fmt: skip
    for change in changes:
        table.add_row(
            change.variant,
            change.delegate,
            change.device,
            str(change.threads),
            f"{change.old_ms:.3f}",
            f"{change.new_ms:.3f}",
            _percent(change.ratio),
            f"{_percent(change.low)} … {_percent(change.high)}",
            "regression" if change.regression else "",
        )
    return table


def _value_table(changes: Sequence[ValueChange]) -> Table:
    table = new_table(
        "Differences that no chance is in", "file", "what", "old", "new", "change", ""
    )
    for change in changes:
        table.add_row(
            change.variant,
            _WHAT[change.what] + (f", {change.delegate}" if change.delegate else ""),
            *_figures(change),
            "regression" if change.regression else "",
        )
    return table


def _figures(change: ValueChange) -> tuple[str, str, str]:
    old, new = change.old, change.new
    if change.what == "passed":
        words = [("passed" if value else "failed") for value in (old, new)]
        return words[0], words[1], ""
    if change.what == "drop_miou":
        return f"{old:+.2f}", f"{new:+.2f}", f"{new - old:+.2f}"
    unit = 1024 if change.what == "bytes" else 1e6
    return f"{old / unit:,.2f}", f"{new / unit:,.2f}", _percent(new / old if old else None)


def _remarks(sides: tuple[ResultFile, ResultFile], comparison: Comparison) -> Iterator[str]:
    even = [c for c in comparison.speed if not c.significant and not c.note]
    if even:
        yield f"Not significant: {len(even)} of {len(comparison.speed)} latencies."
    for note, names in _by_note(comparison.speed).items():
        yield f"Not compared: {', '.join(names)} ({note})"
    for name, lone in (("OLD", comparison.only_old), ("NEW", comparison.only_new)):
        if lone:
            yield f"Only in {name}: {', '.join(lone)}"
    for difference in comparison.unlike:
        yield f"Unlike, by --force: {difference}"
    old, new = (side.versions.get("ai-edge-litert", "?") for side in sides)
    if old != new:
        yield f"The runtimes differ: ai-edge-litert {old} and {new}"


def _by_note(changes: Iterable[SpeedChange]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for change in changes:
        if change.note:
            found.setdefault(change.note, []).append(f"{change.variant} on {change.delegate}")
    return found


def _verdict(comparison: Comparison, max_slowdown: float) -> str:
    worst = [f"{change.variant} on {change.delegate}" for change in comparison.regressions]
    return (
        f"slower by more than {max_slowdown:g} %: {', '.join(worst)}. "
        "Raise --max-slowdown where that is meant."
    )


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{(ratio - 1) * 100:+.1f} %"

"""`portrait-tflite benchmark`: latency of .tflite files on this machine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portrait_tflite.cli.output import (
    command_line,
    messages,
    new_table,
    print_json,
    progress,
    results,
)
from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.vocabulary import Delegate, Json

if TYPE_CHECKING:
    from portrait_tflite.output_folder import OutputFolder
    from portrait_tflite.vocabulary import BenchmarkResult, Machine

RESULT_FILE = "benchmark.json"
_SCHEMA = 1
_HOST = "host"
_NAMED_ROWS = 3


def parse_delegates(text: str) -> tuple[Delegate, ...]:
    """Parse a list such as `cpu,xnnpack`.

    Raises:
        UsageError: One of them is no delegate.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [name for name in names if name not in list(Delegate)]
    if unknown:
        raise UsageError(
            f"--delegate must be a list of {', '.join(Delegate)}. Received: {unknown[0]!r}."
        )
    return tuple(map(Delegate, names))


@click.command("benchmark")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE.tflite…", type=click.Path(path_type=Path)
)
@click.option(
    "--delegate",
    "delegates",
    metavar="LIST",
    type=parse_delegates,
    default="cpu,xnnpack",
    show_default=True,
    help="cpu (built-in kernels), xnnpack, or both.",
)
@click.option(
    "--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Per inference."
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Timed runs of each file on each delegate, at least.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="S",
    help="Time all timed runs together take, at least.",
)
@click.option(
    "--device", default=_HOST, show_default=True, metavar="DEVICE", help="host: this machine."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=f"Write {RESULT_FILE} there.",
)
@click.option("--force", is_flag=True, help="Let --out hold other things.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def command(
    files: tuple[Path, ...],
    delegates: tuple[Delegate, ...],
    threads: int,
    runs: int,
    seconds: float,
    device: str,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Time each FILE.tflite on each delegate, interleaved: A B C A B C …

    Timings hold for this machine and its instruction set; a phone's differ, by other ratios too.

    \b
    Example:
      portrait-tflite benchmark portrait-tflite/*.tflite
      portrait-tflite benchmark old.tflite new.tflite --delegate xnnpack --seconds 20 --out speed
    """
    _require_available(device, delegates)
    from portrait_tflite.benchmarks.machine import read_machine, read_versions
    from portrait_tflite.benchmarks.measure import Cell, measure_files
    from portrait_tflite.convert.precision import precision_of
    from portrait_tflite.output_folder import OutputFolder

    folder = OutputFolder(out, lambda name: name == RESULT_FILE, force=force) if out else None
    names = _variant_names(files)
    cells = [
        Cell(name, file, delegate, threads, precision_of(file))
        for name, file in zip(names, files, strict=True)
        for delegate in delegates
    ]
    with progress(runs, "measuring") as update:
        measured = measure_files(cells, runs, seconds, on_progress=update)
    machine = read_machine()
    result = _as_json(machine, read_versions(), measured)
    if folder:
        _write(folder, result)
    if as_json:
        print_json(result)
    else:
        _print_table(machine, measured)
        if folder:
            messages().print(f"written: {folder.path / RESULT_FILE}")


def _require_available(device: str, delegates: Sequence[Delegate]) -> None:
    if device != _HOST:
        raise UnavailableError(
            f"--device {_HOST} is required: this version measures on this machine only. "
            f"Received: {device}."
        )
    if Delegate.GPU in delegates:
        raise UnavailableError(
            "--delegate cpu or xnnpack is required: this version does not measure the GPU delegate "
            "yet. Received: gpu."
        )


def _variant_names(files: Sequence[Path]) -> list[str]:
    """Name files by their stems, or by their paths where stems are alike."""
    if len(set(files)) < len(files):
        twice = Counter(files).most_common(1)[0][0]
        raise UsageError(f"different files are required. Received: {twice} more than once.")
    stems = Counter(file.stem for file in files)
    return [file.stem if stems[file.stem] == 1 else str(file) for file in files]


def _as_json(machine: Machine, versions: dict[str, str], measured: list[BenchmarkResult]) -> Json:
    return {
        "schema": _SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_line(),
        "versions": versions,
        "machine": asdict(machine),
        "benchmarks": [asdict(result) for result in measured],
    }


def _write(folder: OutputFolder, result: Json) -> None:
    with folder.staged() as staging:
        text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
        (staging / RESULT_FILE).write_text(text + "\n", encoding="utf-8")


def _print_table(machine: Machine, measured: Sequence[BenchmarkResult]) -> None:
    console = results()
    console.print(f"{machine.cpu}, {machine.cores} cores, {' '.join(machine.isa) or 'isa unknown'}")
    threads = measured[0].threads
    table = new_table(
        f"{measured[0].runs} interleaved runs, {threads} thread{'s' if threads > 1 else ''}; ms",
        "file", "delegate", "precision", "partitions",
        "median", "MAD", "p90", "p95", "min", "init", "first", "MiB",
    )  # fmt: skip
    for row in measured:
        table.add_row(row.variant, str(row.delegate), row.precision, *_figures(row))
    console.print(table)
    for doubt, rows in _doubts(measured).items():
        few = rows if len(rows) <= _NAMED_ROWS else [f"{len(rows)} of {len(measured)} rows"]
        whose = "" if len(rows) == len(measured) else f" ({', '.join(few)})"
        console.print(f"{doubt}{whose}")


def _figures(row: BenchmarkResult) -> list[str]:
    latency = row.latency_ms
    times = [latency.median, latency.mad, latency.p90, latency.p95, latency.min] if latency else []
    figures = [f"{ms:.3f}" for ms in times] + [
        "" if ms is None else f"{ms:.1f}" for ms in (row.init_ms, row.first_ms, row.peak_rss_mb)
    ]
    # Partitions stand beside every latency: a number without them says little.
    return ["" if row.partitions is None else str(row.partitions), *figures]


def _doubts(measured: Sequence[BenchmarkResult]) -> dict[str, list[str]]:
    """Group the warnings by text, with the rows that they are about."""
    found: dict[str, list[str]] = {}
    for row in measured:
        unsettled = () if row.stable else ("not stable: half of the runs differ by over 5 %",)
        for doubt in (*row.warnings, *unsettled):
            found.setdefault(doubt, []).append(f"{row.variant} on {row.delegate}")
    return found

"""`portrait-tflite benchmark`: latency of .tflite files on this machine, and their ARM cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portrait_tflite.cli.delegate_option import parse_delegates
from portrait_tflite.cli.number_option import FiniteRange
from portrait_tflite.cli.output import command_line, messages, print_json, progress, results
from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.vocabulary import (
    ARM_MODEL,
    HOST,
    RESULT_FILE,
    SCHEMA,
    ArmCost,
    BenchmarkResult,
    Delegate,
    Fault,
    Json,
)

if TYPE_CHECKING:
    from portrait_tflite.benchmarks.cell import Cell
    from portrait_tflite.output_folder import OutputFolder
    from portrait_tflite.vocabulary import Machine

_ALL = "all"
# More than `convert` starts: what `compare` can tell apart depends on it.
_PROCESSES = 5


@dataclass(frozen=True)
class _Measured:
    """What came out, cell by cell."""

    timed: Sequence[BenchmarkResult]
    counted: Sequence[ArmCost]

    @property
    def anything(self) -> bool:
        """Whether any cell has a figure."""
        return any(row.latency_ms for row in self.timed) or any(
            cost.cycles is not None for cost in self.counted
        )


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
    help="Of cpu (built-in kernels), xnnpack and gpu.",
)
@click.option(
    "--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Per inference."
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Timed runs of each file on each delegate, at least, over all processes.",
)
@click.option(
    "--seconds",
    type=FiniteRange(min=0),
    default=0.0,
    metavar="S",
    help="Time all timed runs together take, at least.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 100),
    default=_PROCESSES,
    show_default=True,
    help="Fresh processes per file and delegate; chance differs between them. A software GPU has "
    "one.",
)
@click.option(
    "--device",
    default=HOST,
    show_default=True,
    metavar="DEVICE",
    help=f"{HOST}: this machine; {ARM_MODEL}: cost on arm64, counted under qemu; {_ALL}: both.",
)
@click.option("--profile", is_flag=True, help="Also say which ops the time goes to.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=f"Write {RESULT_FILE} there, which `compare` reads.",
)
@click.option("--force", is_flag=True, help="Let --out hold other things.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def command(
    files: tuple[Path, ...],
    delegates: tuple[Delegate, ...],
    threads: int,
    runs: int,
    seconds: float,
    processes: int,
    device: str,
    profile: bool,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Time each FILE.tflite on each delegate, interleaved, in several fresh processes.

    Timings hold for this machine and its instruction set; a phone's differ, by other ratios too.
    --device arm64-model counts what a phone's core would execute. A file or device that fails keeps
    the others' results.

    \b
    Example:
      portrait-tflite benchmark portrait-tflite/*.tflite
      portrait-tflite benchmark old.tflite new.tflite --delegate xnnpack --seconds 20 --out speed
      portrait-tflite benchmark net.tflite --device arm64-model --profile
    """
    _require_known(device)
    from portrait_tflite.benchmarks.machine import read_machine, read_versions
    from portrait_tflite.benchmarks.measure import Cell, measure_files
    from portrait_tflite.output_folder import OutputFolder
    from portrait_tflite.report.measurements import measured_parts

    folder = OutputFolder(out, {RESULT_FILE}, force=force) if out else None
    names = _variant_names(files)
    cells = [
        Cell(name, file, delegate, threads, precision)
        for name, file, precision in zip(names, files, map(_precision, files), strict=True)
        for delegate in delegates
    ]
    timed: list[BenchmarkResult] = []
    if device != ARM_MODEL:
        with progress(runs, "measuring") as update:
            timed = measure_files(
                cells, runs, seconds, processes, profile=profile, on_progress=update
            )
    counted = _count(cells, per_op=profile) if device != HOST else []
    measured = _Measured(timed, counted)
    machine = read_machine()
    result = _as_json(machine, read_versions(), measured)
    if folder and measured.anything:
        _write(folder, result)
    if as_json:
        print_json(result)
    else:
        for part in measured_parts(machine, timed, counted, per_op=profile):
            results().print(part)
        if folder and measured.anything:
            messages().print(f"written: {folder.path / RESULT_FILE}")
    failure = next(_failures(measured, device), None)
    if failure:
        raise failure


def _require_known(device: str) -> None:
    if device not in (HOST, ARM_MODEL, _ALL):
        raise UnavailableError(
            f"--device {HOST}, {ARM_MODEL} or {_ALL} is required: phones over adb are not "
            f"measured by this version. Received: {device}."
        )


def _variant_names(files: Sequence[Path]) -> list[str]:
    """Name files by their stems, or by their paths where stems are alike."""
    if len(set(files)) < len(files):
        twice = Counter(files).most_common(1)[0][0]
        raise UsageError(f"different files are required. Received: {twice} more than once.")
    stems = Counter(file.stem for file in files)
    return [file.stem if stems[file.stem] == 1 else str(file) for file in files]


def _precision(file: Path) -> str:
    """Name the precision of a file; "" for one that cannot be read, as its cells will say."""
    from portrait_tflite.convert.files.precision import precision_of

    with suppress(UsageError):
        return precision_of(file)
    return ""


def _count(cells: Sequence[Cell], *, per_op: bool) -> list[ArmCost]:
    """Count the ARM cost of the cells that a CPU runs."""
    from portrait_tflite.benchmarks.arm.count import ArmCell, count_files

    on_cpu = [
        ArmCell(cell.variant, cell.path, cell.delegate)
        for cell in cells
        if cell.delegate is not Delegate.GPU
    ]
    with progress(len(on_cpu), "counting under qemu") as update:
        return count_files(on_cpu, per_op=per_op, on_progress=update)


def _as_json(machine: Machine, versions: dict[str, str], measured: _Measured) -> Json:
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_line(),
        "versions": versions,
        "machine": asdict(machine),
        "benchmarks": [asdict(row) for row in measured.timed],
        "arm_cost": [asdict(cost) for cost in measured.counted],
    }


def _write(folder: OutputFolder, result: Json) -> None:
    with folder.staged() as staging:
        text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
        (staging / RESULT_FILE).write_text(text + "\n", encoding="utf-8")


def _failures(measured: _Measured, device: str) -> Iterator[UsageError | UnavailableError]:
    """Say what the user named and did not get; a file that the runtime does not run comes first."""
    timed = [row for row in measured.timed if row.unavailable]
    counted = [cost for cost in measured.counted if cost.unavailable]
    gaps: list[BenchmarkResult | ArmCost] = [*timed, *counted]
    for gap in gaps:
        if gap.fault is Fault.FILE:
            runner = gap.delegate if isinstance(gap, BenchmarkResult) else ARM_MODEL
            needed = f"a .tflite that {runner} runs is required"
            yield UsageError(f"{needed}. Received: {_gap(gap)}")
    for row in timed:
        yield UnavailableError(f"--delegate {row.delegate} is not available. Received: {_gap(row)}")
    for cost in counted if device == ARM_MODEL else ():
        yield UnavailableError(f"--device {device} is not available. Received: {_gap(cost)}")


def _gap(row: BenchmarkResult | ArmCost) -> str:
    return f"{row.variant}: {row.unavailable.rstrip('.')}."

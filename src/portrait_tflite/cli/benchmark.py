"""`portrait-tflite benchmark`: latency of .tflite files on this machine, and their ARM cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portrait_tflite.cli.benchmark_phone import (
    PhoneRequest,
    benchmark_phone,
    phone_options,
    refuse_phone_options,
)
from portrait_tflite.cli.benchmark_result import RESULT_FILES, result_json, write_result
from portrait_tflite.cli.delegate_option import parse_delegates
from portrait_tflite.cli.number_option import FiniteRange, one_count, parse_threads
from portrait_tflite.cli.output import messages, print_json, progress, results
from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.vocabulary import (
    ARM_MODEL,
    HOST,
    PAGE_FILE,
    RESULT_FILE,
    ArmCost,
    BenchmarkResult,
    Delegate,
    Fault,
)

if TYPE_CHECKING:
    from portrait_tflite.benchmarks.cell import Cell

_ALL = "all"
_DELEGATES = (Delegate.CPU, Delegate.XNNPACK)
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
    "files", nargs=-1, required=True, metavar="FILE.tflite…|ASSETS", type=click.Path(path_type=Path)
)
@click.option(
    "--delegate",
    "delegates",
    metavar="LIST",
    type=parse_delegates,
    show_default="cpu,xnnpack; on a phone gpu too",
    help="Of cpu (built-in kernels), xnnpack and gpu.",
)
@click.option(
    "--threads",
    metavar="N",
    type=parse_threads,
    show_default="1; on a phone 1,2,4",
    help="Per inference; on a phone a list.",
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
    metavar="S",
    show_default="0; on a phone 10",
    help="Time all timed runs together take, at least; on a phone those of each cell.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 100),
    show_default=f"{_PROCESSES}; on a phone 1",
    help="Fresh processes per file and delegate; chance differs between them. A software GPU has "
    "one; on a phone, starts of the app.",
)
@click.option(
    "--device",
    default=HOST,
    show_default=True,
    metavar="DEVICE",
    help=f"{HOST}: this machine; {ARM_MODEL}: cost on arm64, counted under qemu; {_ALL}: both; "
    "else the serial of a phone that `adb devices` lists.",
)
@phone_options
@click.option("--profile", is_flag=True, help="Also say which ops the time goes to.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=f"Write {RESULT_FILE}, which `compare` reads, and {PAGE_FILE} there.",
)
@click.option("--force", is_flag=True, help="Let --out hold other things.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def command(
    files: tuple[Path, ...],
    delegates: tuple[Delegate, ...] | None,
    threads: tuple[int, ...] | None,
    runs: int,
    seconds: float | None,
    processes: int | None,
    device: str,
    apk: Path | None,
    cooldown: int,
    timeout: float | None,
    profile: bool,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Time each FILE.tflite on each delegate, interleaved, in several fresh processes.

    Timings hold for this machine and its instruction set; a phone's differ, by other ratios too.
    --device arm64-model counts what a phone's core would execute; --device SERIAL measures on a
    phone, by the app. A file or device that fails keeps the others' results.

    \b
    Example:
      portrait-tflite benchmark portrait-tflite/*.tflite
      portrait-tflite benchmark old.tflite new.tflite --delegate xnnpack --seconds 20 --out speed
      portrait-tflite benchmark net.tflite --device arm64-model --profile
      portrait-tflite benchmark assets --device emulator-5554 --threads 4
    """
    if device not in (HOST, ARM_MODEL, _ALL):
        asked = PhoneRequest(
            device, delegates, threads, runs, seconds, processes, apk, cooldown, timeout
        )
        benchmark_phone(files, asked, out, force=force, as_json=as_json)
        return
    refuse_phone_options(device)
    from portrait_tflite.benchmarks.machine import read_machine, read_versions
    from portrait_tflite.benchmarks.measure import Cell, measure_files
    from portrait_tflite.output_folder import OutputFolder
    from portrait_tflite.report.measured_page import render_measured
    from portrait_tflite.report.measurements import measured_parts

    folder = OutputFolder(out, RESULT_FILES, force=force) if out else None
    names = _variant_names(files)
    cells = [
        Cell(name, file, delegate, one_count(threads), precision)
        for name, file, precision in zip(names, files, map(_precision, files), strict=True)
        for delegate in delegates or _DELEGATES
    ]
    timed: list[BenchmarkResult] = []
    if device != ARM_MODEL:
        with progress(runs, "measuring") as update:
            timed = measure_files(
                cells,
                runs,
                seconds or 0.0,
                processes or _PROCESSES,
                profile=profile,
                on_progress=update,
            )
    counted = _count(cells, per_op=profile) if device != HOST else []
    measured = _Measured(timed, counted)
    machine = read_machine()
    result = result_json(machine, read_versions(), timed, counted)
    if folder and measured.anything:
        write_result(folder, result, render_measured(machine, timed, counted))
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

"""`benchmark --device SERIAL`: on a phone, by the app and adb."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from portrait_tflite.cli.benchmark_result import RESULT_FILES, phone_json, write_result
from portrait_tflite.cli.number_option import FiniteRange
from portrait_tflite.cli.output import messages, print_json, progress, results
from portrait_tflite.errors import GateError, PortraitError, UnavailableError, UsageError
from portrait_tflite.vocabulary import (
    RESULT_FILE,
    Delegate,
    DeviceResult,
    Fault,
    Machine,
    SelfTest,
)

_THREADS = (1, 2, 4)
_SECONDS = 10.0  # a phone's clock rates settle within seconds
_NAMED_TESTS = 3
_PHONES_ONLY = ("apk", "cooldown", "timeout")
_HOST_ONLY = ("profile",)


@dataclass(frozen=True)
class PhoneRequest:
    """What `benchmark` was asked for; None leaves it to this module."""

    serial: str
    delegates: tuple[Delegate, ...] | None
    threads: tuple[int, ...] | None
    runs: int
    seconds: float | None
    processes: int | None
    apk: Path | None
    cooldown_s: int
    timeout_s: float | None


def phone_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that only a phone has."""
    options = (
        click.option(
            "--apk",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The app to install on the phone first. Without it the one that is there is "
            "taken, or the one that was built in android_demo.",
        ),
        click.option(
            "--cooldown",
            type=click.IntRange(0, 3600),
            default=30,
            show_default=True,
            metavar="S",
            help="A phone's rest between two cells.",
        ),
        click.option(
            "--timeout",
            type=FiniteRange(min=1),
            metavar="S",
            show_default="by the number of cells",
            help="The longest that the app on a phone may take, per process.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def refuse_phone_options(device: str) -> None:
    """Refuse what only a phone has."""
    _refuse(_PHONES_ONLY, f"for a phone. Received: --device {device}")


def _refuse(names: Sequence[str], where: str) -> None:
    context = click.get_current_context()
    given = [
        f"--{name}"
        for name in names
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(f"{', '.join(given)} is only {where}. Leave it out.")


def benchmark_phone(
    files: Sequence[Path], asked: PhoneRequest, out: Path | None, *, force: bool, as_json: bool
) -> None:
    """Measure a model on a phone, write and print the result.

    Raises:
        UsageError: The model is not what it should be, or the app does not run it.
        GateError: A golden mask did not come out; everything is written.
        UnavailableError: The phone did not do it, or has not a delegate that was named.
    """
    _refuse(_HOST_ONLY, f"for this machine. Received: --device {asked.serial}")
    if len(files) > 1:
        raise UsageError(
            "one folder of `convert --assets`, or one .tflite in it, is required for a phone. "
            f"Received: {len(files)}. Measure them in turn."
        )
    from portrait_tflite.benchmarks.device.order import DeviceOrder
    from portrait_tflite.benchmarks.device.run import measure_on_phone
    from portrait_tflite.benchmarks.machine import read_versions
    from portrait_tflite.output_folder import OutputFolder
    from portrait_tflite.report.measured_page import render_phone
    from portrait_tflite.report.phone_measurements import phone_parts

    folder = OutputFolder(out, RESULT_FILES, force=force) if out else None
    order = DeviceOrder(
        asked.delegates or tuple(Delegate),
        asked.threads or _THREADS,
        asked.runs,
        _SECONDS if asked.seconds is None else asked.seconds,
        asked.cooldown_s,
    )
    with progress(1, f"measuring on {asked.serial}, seconds") as update:
        measured = measure_on_phone(
            files[0],
            asked.serial,
            order,
            starts=asked.processes or 1,
            apk=asked.apk,
            timeout_s=asked.timeout_s,
            on_progress=update,
            tell=update.say,
        )
    machine = _machine(measured)
    result = phone_json(measured, machine, read_versions())
    if folder:
        write_result(folder, result, render_phone(machine, measured))
    if as_json:
        print_json(result)
    else:
        for part in phone_parts(measured):
            results().print(part)
        if folder:
            messages().print(f"written: {folder.path / RESULT_FILE}")
    for failure in _failures(measured, asked.delegates or ()):
        raise failure


def _machine(result: DeviceResult) -> Machine:
    """Describe the phone as the machine that the figures come from."""
    phone = result.device
    return Machine(f"{phone.soc} ({phone.name})", (), phone.cores, f"Android {phone.android}")


def _failures(result: DeviceResult, named: Sequence[Delegate]) -> Iterator[PortraitError]:
    """Say what did not go well, the worst first: a file that does not run, then wrong masks."""
    broken = next((row for row in result.benchmarks if row.fault is Fault.FILE), None)
    if broken:
        yield UsageError(
            f"a .tflite that {broken.delegate} runs is required. Received: {broken.variant} on "
            f"{result.device.name}: {broken.unavailable.rstrip('.')}."
        )
    wrong = [row for row in result.self_test if row.passed is False]
    if wrong:
        shown = "; ".join(map(_spoken, wrong[:_NAMED_TESTS]))
        yield GateError(
            f"golden masks within model.json's tolerance are required. Received: {len(wrong)} of "
            f"{len(result.self_test)} outside of it on {result.device.name} ({shown})."
        )
    for delegate in named:
        rows = [row for row in result.benchmarks if row.delegate is delegate]
        if not any(row.latency_ms for row in rows):
            said = next((row.unavailable for row in rows), "not measured").rstrip(".")
            yield UnavailableError(
                f"--delegate {delegate} is not available. Received: {result.device.name}: {said}."
            )


def _spoken(row: SelfTest) -> str:
    which = row.error.rstrip(".") if row.golden is None else f"golden {row.golden}"
    return f"{row.variant} on {row.delegate}, {which}"

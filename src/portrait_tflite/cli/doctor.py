"""`portrait-tflite doctor`: what this machine has, what it lacks, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from portrait_tflite.cli.output import messages, print_json, results
from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.report.tables import new_table
from portrait_tflite.vocabulary import ARM_MODEL, SCHEMA

if TYPE_CHECKING:
    from portrait_tflite.benchmarks.inventory import Part
    from portrait_tflite.vocabulary import Machine

_INSTALLABLE = (ARM_MODEL,)
_COLOURS = {"ok": "green", "software only": "yellow", "missing": "red"}


@click.command("doctor")
@click.option(
    "--install",
    "wanted",
    metavar="NAME",
    help=f"Set a part up first: {', '.join(_INSTALLABLE)} (ARM cost without a phone).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def command(wanted: str | None, as_json: bool) -> None:
    """Say which delegates, runtimes and tools this machine has, and what to do for the others.

    Delegates are tried out, the GPU in a process of its own. What is missing is no error: every
    command says what it needs.

    \b
    Examples:
      portrait-tflite doctor
      portrait-tflite doctor --install arm64-model
      portrait-tflite doctor --json
    """
    if wanted is not None:
        _install(wanted)
    from portrait_tflite.benchmarks.inventory import take_inventory
    from portrait_tflite.benchmarks.machine import read_machine

    machine, parts = read_machine(), take_inventory()
    if as_json:
        print_json(
            {
                "schema": SCHEMA,
                "machine": asdict(machine),
                "parts": [asdict(part) for part in parts],
            }
        )
    else:
        _print_table(machine, parts)


def _install(name: str) -> None:
    if name not in _INSTALLABLE:
        raise UsageError(f"--install must be {', '.join(_INSTALLABLE)}. Received: {name!r}.")
    from portrait_tflite.benchmarks.arm.setup import install

    console = messages()
    status = install(lambda text: console.print(text, markup=False))
    if not status.ready:
        raise UnavailableError(f"{name} could not be set up: {status.reason}")
    console.print(f"{name} is set up in {status.folder}", markup=False)


def _print_table(machine: Machine, parts: Sequence[Part]) -> None:
    from rich.text import Text

    console = results()
    console.print(f"{machine.cpu}, {machine.cores} cores, {' '.join(machine.isa) or 'isa unknown'}")
    console.print(machine.os)
    table = new_table("", "part", "verdict", "version", "for", text=("version", "for"))
    table.columns[1].justify = "left"
    for part in parts:
        verdict = Text(part.verdict, style=_COLOURS[part.verdict])
        table.add_row(part.name, verdict, Text(part.version), part.purpose)
    console.print(table)
    advised = [part for part in parts if part.advice]
    if advised:
        console.print("What to do", style="bold")
    for part in advised:
        console.print(Text(f"  {part.name}: {part.advice}"))

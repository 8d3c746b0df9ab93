"""`portrait-tflite audit`: ops and delegates of any .tflite."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portrait_tflite.cli.output import print_json, results

if TYPE_CHECKING:
    from rich.table import Table

    from portrait_tflite.convert.file_facts import FileFacts
    from portrait_tflite.vocabulary import Audit, DelegateAudit, OutsideOp

_SHOWN_NAMES = 3


@click.command("audit")
@click.argument("file", metavar="FILE.tflite", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the audit as JSON and nothing else.")
def command(file: Path, as_json: bool) -> None:
    """Show which ops of FILE.tflite each delegate takes, and why not.

    XNNPACK is asked on the real runtime; the GPU delegate is predicted from its own rules. Says
    besides what the file weighs, and which runtimes load it. Works on any .tflite, ours or not.

    \b
    Example:
      portrait-tflite audit selfie.tflite
      portrait-tflite audit selfie.tflite --json | jq .audit.xnnpack.partitions
    """
    from portrait_tflite.convert.audit import audit_model
    from portrait_tflite.convert.file_facts import count_inside, weigh_file
    from portrait_tflite.convert.flatbuffer import read_model
    from portrait_tflite.errors import UsageError
    from portrait_tflite.report.audit_shape import shape_audit
    from portrait_tflite.vocabulary import SCHEMA

    if not file.is_file():
        raise UsageError(f"a .tflite file is required. Received: {file} (no such file).")
    read_model(file)  # what is wrong with it is said by its name
    data = file.read_bytes()
    audit, facts = audit_model(data), weigh_file(data)
    delegates = {"xnnpack": audit.xnnpack, "gpu": audit.gpu, "cpu": audit.cpu}
    inside = {name: count_inside(data, each.outside) for name, each in delegates.items()}
    if as_json:
        record = {"schema": SCHEMA, "file": str(file), "audit": asdict(audit)}
        print_json({**shape_audit(record), "facts": asdict(facts), "inside": inside})
        return
    _print_facts(file, audit, facts)
    for name, delegate in delegates.items():
        _print_delegate(name.upper(), delegate, inside[name])


def _print_facts(file: Path, audit: Audit, facts: FileFacts) -> None:
    console = results()
    ops = ", ".join(f"{count} {op}" for op, count in audit.ops.items())
    console.print(f"{file}: {sum(audit.ops.values())} ops: {ops}", markup=False)
    console.print(
        f"{facts.bytes:,} bytes, {facts.parameters:,} parameters, {facts.macs / 1e6:.1f} M MACs, "
        f"{facts.peak_activation_bytes:,} bytes of activations at most"
    )
    console.print(
        f"Oldest runtime: TensorFlow Lite {audit.min_runtime}, for {audit.min_runtime_op}"
    )
    verdict = f"does not load it: {facts.android_aar}" if facts.android_aar else "loads it"
    console.print(f"TensorFlow Lite of Android AAR 2.16.1: {verdict}", markup=False)


def _print_delegate(name: str, delegate: DelegateAudit, inside: dict[str, int]) -> None:
    console = results()
    console.print()
    console.print(f"{name}: {_verdict(delegate)}", style="bold")
    if delegate.outside and inside:
        taken = ", ".join(f"{count} {op}" for op, count in inside.items())
        console.print(f"inside: {taken}", markup=False)
    if delegate.finding:
        console.print(f"finding: {delegate.finding}", markup=False)
    if delegate.outside:
        console.print(_table(delegate))


def _verdict(audit: DelegateAudit) -> str:
    outside = len(audit.outside)
    taken = "every op inside" if audit.complete else f"{outside} op{'s'[: outside != 1]} outside"
    if audit.partitions is None and audit.finding:
        return f"{taken} (not run)"
    if audit.partitions is None:
        return f"{taken} (by its rules; not run)"
    if audit.partitions == 0:
        return f"{taken}, on the built-in kernels"
    return f"{audit.partitions} partition{'s'[: audit.partitions != 1]}, {taken}"


def _table(audit: DelegateAudit) -> Table:
    """Group the ops outside by what is wrong with them."""
    from rich.table import Table

    table = Table(show_lines=True)
    for column in ("ops", "where", "reason", "what to do"):
        table.add_column(column, overflow="fold")
    groups = Counter((op.op, op.reason, op.fix) for op in audit.outside)
    for (name, reason, fix), count in groups.items():
        places = [
            _place(op) for op in audit.outside if (op.op, op.reason, op.fix) == (name, reason, fix)
        ]
        table.add_row(f"{count} × {name}", _shortened(places), reason, fix)
    return table


def _place(op: OutsideOp) -> str:
    return op.layer or op.tensor


def _shortened(places: list[str]) -> str:
    shown = ", ".join(places[:_SHOWN_NAMES])
    rest = len(places) - _SHOWN_NAMES
    return f"{shown} and {rest} more" if rest > 0 else shown

"""`portrait-tflite audit`: ops and delegates of any .tflite."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from portrait_tflite.cli.output import print_json, results


@click.command("audit")
@click.argument("file", metavar="FILE.tflite", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the audit as JSON and nothing else.")
@click.option(
    "--quick", is_flag=True, help="Do not try what mending would gain, which takes the longest."
)
def command(file: Path, as_json: bool, quick: bool) -> None:
    """Show which ops of FILE.tflite each delegate takes, and why not.

    XNNPACK is asked on the real runtime; the GPU delegate is predicted from its own rules. Says
    what each fix is worth on arm64 by the cost table, what the file weighs, which runtimes load
    it, and what the guides for mobile nets would have otherwise. Works on any .tflite, ours or
    not.

    \b
    Example:
      portrait-tflite audit selfie.tflite
      portrait-tflite audit selfie.tflite --json | jq .audit.xnnpack.partitions
    """
    from portrait_tflite.convert.audit import audit_model
    from portrait_tflite.convert.files.file_facts import ANDROID_AAR, count_inside, weigh_file
    from portrait_tflite.convert.lint.rules import lint_model
    from portrait_tflite.convert.rewrites.flatbuffer.order import REWRITES
    from portrait_tflite.convert.worth import value_fixes
    from portrait_tflite.errors import UsageError
    from portrait_tflite.quiet import quiet
    from portrait_tflite.report.audit_shape import shape_audit
    from portrait_tflite.report.audit_view import AuditView, audit_parts
    from portrait_tflite.vocabulary import SCHEMA

    if not file.is_file():
        what = "a folder" if file.is_dir() else "no such file"
        raise UsageError(f"a .tflite file is required. Received: {file} ({what}).")
    data = file.read_bytes()
    with quiet():
        audit = value_fixes(data, audit_model(file), () if quick else REWRITES)
        facts, lint = weigh_file(data), lint_model(data, audit.xnnpack)
    delegates = {"xnnpack": audit.xnnpack, "gpu": audit.gpu, "cpu": audit.cpu}
    inside = {name: count_inside(data, each.outside) for name, each in delegates.items()}
    if as_json:
        record = {"schema": SCHEMA, "file": str(file), "audit": asdict(audit)}
        found = {"facts": asdict(facts), "inside": inside, "lint": [asdict(one) for one in lint]}
        print_json({**shape_audit(record), **found})
        return
    view = AuditView(str(file), audit, facts, inside, lint, ANDROID_AAR, tried=not quick)
    console = results()
    for part in audit_parts(view):
        console.print(part)

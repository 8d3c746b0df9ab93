"""An audit on a terminal: what the file is, what each delegate makes of it, what would help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from portrait_tflite.convert.files.file_facts import FileFacts
from portrait_tflite.report.findings import Finding, group_outside
from portrait_tflite.report.formats import count, percent, significant, size
from portrait_tflite.report.lint import LintRow, lint_rows
from portrait_tflite.vocabulary import Audit, DelegateAudit, LintFinding

_UNKNOWN = "unknown"  # what an op has for its first runtime that no runtime has
_NAMES_SHOWN = 3  # of the layers of a finding; the JSON has them all
_NAMES = {"xnnpack": "XNNPACK", "gpu": "GPU delegate", "cpu": "built-in kernels"}


@dataclass(frozen=True)
class AuditView:
    """All that `audit` says of a file.

    Attributes:
        inside: The ops that each delegate takes, by its name.
        aar: Version of Android's runtime that `facts` speaks of.
        tried: Whether it was tried what mending would gain.
    """

    file: str
    audit: Audit
    facts: FileFacts
    inside: Mapping[str, Mapping[str, int]]
    lint: tuple[LintFinding, ...]
    aar: str
    tried: bool


def audit_parts(view: AuditView) -> Iterator[RenderableType]:
    """Lay out an audit for people, part by part."""
    yield Text(view.file, style="bold")
    yield _facts(view)
    for name, audit in _delegates(view.audit).items():
        yield from _delegate(name, audit, view.inside[name], tried=view.tried)
    if rows := lint_rows(view.lint, _NAMES_SHOWN):
        yield Text()
        yield Text("Mobile lint: what guides for mobile nets would have otherwise", style="bold")
        yield _table(map(_lint_cells, rows), "rule", "worth on arm64")
        yield _note("Each change makes another net, which must be trained.")


def _delegates(audit: Audit) -> dict[str, DelegateAudit]:
    return {"xnnpack": audit.xnnpack, "gpu": audit.gpu, "cpu": audit.cpu}


def _facts(view: AuditView) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, text in _fact_rows(view):
        grid.add_row(Text(name), Text(text))
    return Padding(grid, (0, 0, 0, 2))


def _fact_rows(view: AuditView) -> Iterator[tuple[str, str]]:
    facts, audit = view.facts, view.audit
    yield "ops", f"{sum(audit.ops.values())}: {_counted(audit.ops)}"
    if facts.graphs > 1:
        signatures = f" (signatures: {', '.join(facts.signatures)})" if facts.signatures else ""
        yield "graphs", f"{facts.graphs}{signatures}; all below is of the first"
    yield "size", f"{size(facts.bytes)}, {count(facts.parameters, 'parameter')}"
    yield "work", f"{significant(facts.macs / 1e6)} M MACs"
    yield "memory", f"{size(facts.peak_activation_bytes)} of activations at most"
    lacking = f", without {', '.join(facts.arm_unknown)}" if facts.arm_unknown else ""
    yield "ARM cost", f"{significant(facts.arm_mcycles)} Mcyc by the arm64 cost table{lacking}"
    yield "oldest runtime", _oldest(audit)
    verdict = f"does not load it: {facts.android_aar}" if facts.android_aar else "loads it"
    yield f"Android AAR {view.aar}", f"TensorFlow Lite {view.aar} {verdict}"


def _oldest(audit: Audit) -> str:
    if audit.min_runtime == _UNKNOWN:
        return f"none as released: {audit.min_runtime_op} is no built-in op"
    return f"TensorFlow Lite {audit.min_runtime}, for {audit.min_runtime_op}"


def _delegate(
    name: str, audit: DelegateAudit, inside: Mapping[str, int], *, tried: bool
) -> Iterator[RenderableType]:
    yield Text()
    colour = "green" if audit.complete and not audit.finding else "yellow"
    yield Text.assemble((_NAMES[name], "bold"), ": ", (_verdict(name, audit), colour))
    if audit.outside and inside:
        yield Padding(Text(f"inside: {_counted(inside)}", style="dim"), (0, 0, 0, 2))
    if audit.finding:
        yield Padding(Text(f"finding: {audit.finding}"), (0, 0, 0, 2))
    if audit.outside:
        found = group_outside(audit.outside, _NAMES_SHOWN, tried=tried)
        valued = any(finding.worth for finding in found)
        last = ("worth on arm64",) if valued else ()
        yield _table((_finding_cells(one)[: 2 + valued] for one in found), "outside", *last)
        if valued and name == "xnnpack":
            yield _note(
                "By the cost table, which leaves out what handing over between partitions costs."
            )


def _verdict(name: str, audit: DelegateAudit) -> str:
    taken = "every op inside" if audit.complete else f"{count(len(audit.outside), 'op')} outside"
    if name == "cpu":
        return taken
    pieces = "" if audit.predicted is None else f", {count(audit.predicted, 'partition')}"
    if audit.partitions is None:
        return f"{taken}{pieces}, by its rules alone (not run)"
    how = "counted" if audit.finding else "predicted, and confirmed"
    return f"{count(audit.partitions, 'partition')}, {taken} ({how} by the runtime)"


def _table(rows: Iterable[tuple[RenderableType, ...]], first: str, *last: str) -> RenderableType:
    """Put what is concerned, why and what helps, and its worth side by side."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column(first, overflow="fold", ratio=5)
    table.add_column("why → what helps", overflow="fold", ratio=8)
    for title in last:
        table.add_column(title, overflow="fold", ratio=5)
    for number, row in enumerate(rows):
        if number:
            table.add_row()
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 2))


def _note(text: str) -> RenderableType:
    return Padding(Text(text, style="italic"), (0, 0, 0, 2))


def _finding_cells(finding: Finding) -> tuple[RenderableType, ...]:
    return (
        Text.assemble((f"{finding.count} × {finding.op}\n", "bold"), (finding.where, "dim")),
        Text(f"{finding.reason}\n→ {finding.fix}"),
        Text("\n".join(finding.worth)),
    )


def _lint_cells(row: LintRow) -> tuple[RenderableType, ...]:
    return (
        Text.assemble((f"{row.rule}\n", "bold"), (row.where, "dim")),
        Text(f"{row.finding}\n→ {row.advice}"),
        Text("\n".join((f"{percent(row.share, 0)} of the cost", *row.changes))),
    )


def _counted(ops: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {op}" for op, number in ops.items())

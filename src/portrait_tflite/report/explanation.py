"""One layer explained: what each rewrite made of it, and what its forms would have cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from portrait_tflite.report import formats
from portrait_tflite.report.changes import how_near
from portrait_tflite.report.roles import DELEGATE_NAMES
from portrait_tflite.vocabulary import (
    SCHEMA,
    Candidate,
    Delegate,
    Json,
    RewriteRecord,
    SkippedRewrite,
)


@dataclass(frozen=True)
class Trail:
    """What one pass over a graph or a file made of a layer.

    Attributes:
        applied: The rewrites that changed it.
        kept: The rewrites that knew it and left it as it was, with the reason.
        unmatched: Names of the rewrites that found nothing of theirs in it.
    """

    applied: tuple[RewriteRecord, ...]
    kept: tuple[SkippedRewrite, ...]
    unmatched: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """What rewrites made of one layer.

    Attributes:
        op: What the layer is: its class, or the op of a finished file.
        keras: By delegate that the graph was rewritten for; empty for a finished file.
        files: By variant: what mending the finished file did at the layer.
    """

    layer: str
    op: str
    keras: Mapping[Delegate, Trail]
    files: Mapping[str, Trail]


def explanation_json(explanation: Explanation) -> Json:
    """Return the machine-readable form."""
    data: Json = {"schema": SCHEMA, **asdict(explanation)}
    return data


def explanation_text(explanation: Explanation) -> RenderableType:
    """Lay an explanation out for people."""
    return Group(*_parts(explanation))


def _parts(explanation: Explanation) -> Iterator[RenderableType]:
    yield Text(f"{explanation.layer} ({explanation.op})", style="bold")
    for delegate, trail in explanation.keras.items():
        yield from _section(f"In the Keras graph, for {DELEGATE_NAMES[delegate]}", trail)
    for variant, trail in explanation.files.items():
        yield from _section(f"In the finished file, {variant}", trail)


def _section(title: str, trail: Trail) -> Iterator[RenderableType]:
    yield Text(title, style="bold")
    for record in trail.applied:
        yield from _indented(_applied(record), record.candidates, record.chosen)
    for kept in trail.kept:
        where = f"{kept.rewrite} at {kept.layer}: not taken: {kept.reason}"
        yield from _indented(where, kept.candidates, kept.reason.partition(":")[0])
    if not trail.applied and not trail.kept:
        yield Text("  no rewrite found anything of its own")
    elif trail.unmatched:
        count = len(trail.unmatched)
        yield Text(f"  {count} more found nothing of their own; --json names them", style="dim")


def _applied(record: RewriteRecord) -> str:
    form = "" if record.chosen == record.rewrite else f" → {record.chosen}"
    kind = "exact" if record.exact else how_near(record.level)
    return (
        f"{record.rewrite} at {record.layer}{form}: {record.reason}; {kind}, "
        f"{record.max_rel_error:.1e} of the largest value"
    )


def _indented(text: str, candidates: tuple[Candidate, ...], taken: str) -> Iterator[RenderableType]:
    yield Text(f"  {text}")
    for candidate in candidates:
        mark = "→" if candidate.form == taken else " "
        barred = f"; {candidate.barred}" if candidate.barred and mark == " " else ""
        yield Text(f"    {mark} {candidate.form}: {_cost(candidate)}{barred}")


def _cost(candidate: Candidate) -> str:
    ops = "op" if candidate.outside == 1 else "ops"
    ms = candidate.host_ms
    timed = "" if ms is None else f", {formats.duration(ms)} on this host"
    cost = formats.estimate(candidate.cost) + ("" if candidate.cost is None else " Mcyc")
    return f"{candidate.outside} {ops} outside, {cost}{timed}"

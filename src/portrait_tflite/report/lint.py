"""Lint findings as words and figures, for the terminal and for `report.html`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from portrait_tflite.report.changes import listed
from portrait_tflite.report.formats import saving
from portrait_tflite.vocabulary import LintFinding

_SHOWN_ELSEWHERE = "splitting_ops"


@dataclass(frozen=True)
class LintRow:
    """Findings that differ in their place alone; `changes` says what each way to mend them saves.

    `share` is of the file's predicted ARM cost, 0 to 1.
    """

    rule: str
    where: str
    finding: str
    advice: str
    source: str
    share: float
    changes: tuple[str, ...]


def lint_rows(findings: Iterable[LintFinding], names: int = 6) -> tuple[LintRow, ...]:
    """Lay out findings, one row for all places of a rule with the same finding.

    Ops that split partitions are left away: the tables of ops outside hold them.

    Args:
        findings: What was found.
        names: How many places of a row are named.
    """
    groups: dict[tuple[str, str], list[LintFinding]] = {}
    for finding in findings:
        if finding.rule != _SHOWN_ELSEWHERE:
            groups.setdefault((finding.rule, finding.finding), []).append(finding)
    return tuple(_row(group, names) for group in groups.values())


def _row(group: list[LintFinding], names: int) -> LintRow:
    first = group[0]
    times = f"{len(group)} × " if len(group) > 1 else ""
    return LintRow(
        rule=first.rule,
        where=listed((place for finding in group for place in finding.places), names),
        finding=f"{times}{first.finding}",
        advice=first.advice,
        source=first.source,
        share=sum(finding.share for finding in group),
        changes=tuple(_changes(group)),
    )


def _changes(group: list[LintFinding]) -> Iterable[str]:
    """Add up what the same change saves in all places."""
    for number, change in enumerate(group[0].changes):
        each = [finding.changes[number].saves_mcycles for finding in group]
        known = [saved for saved in each if saved is not None]
        yield f"{change.change}: {saving(sum(known) if len(known) == len(each) else None)}"

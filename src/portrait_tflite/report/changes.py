"""Rewrites in a report, grouped: forms taken, forms that lost, and what was skipped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from portrait_tflite.report import formats
from portrait_tflite.vocabulary import (
    Candidate,
    Level,
    Report,
    RewriteMode,
    RewriteRecord,
    SkippedRewrite,
)

_SHOWN = 60  # layers of one group; report.json has them all


@dataclass(frozen=True)
class Change:
    """One layer's rewrite; `lost` are the forms that were not taken."""

    layer: str
    taken: Candidate | None
    lost: tuple[Candidate, ...]
    max_rel_error: float
    reason: str


@dataclass(frozen=True)
class ChangeGroup:
    """Layers that went through one rewrite to one form.

    Attributes:
        where: The Keras graph or the finished file.
        near: How near to what was there, in words.
        notable: Whether there is more to see than that it was done.
        more: How many layers are not shown.
    """

    rewrite: str
    chosen: str
    where: str
    near: str
    count: int
    max_rel_error: float
    notable: bool
    changes: tuple[Change, ...]
    more: int


@dataclass(frozen=True)
class SkipGroup:
    """Layers that one rewrite left as they were, for one reason.

    `choices` are those of them that had several forms, with what each would have cost.
    """

    rewrite: str
    reason: str
    count: int
    layers: str
    choices: tuple[SkippedRewrite, ...] = ()


def fitted_rewrites(report: Report) -> list[RewriteRecord]:
    """Return the rewrites that put another function, fitted to it, in a layer's place.

    In a finished file what is not exact is another rounding, of one step at most.
    """
    return [record for record in report.rewrites if _is_fitted(record)]


def how_near(level: Level) -> str:
    """Say in words what a rewrite that is not exact comes to."""
    return "within one step" if level is Level.FLATBUFFER else "approximate"


def change_groups(report: Report) -> tuple[ChangeGroup, ...]:
    """Group the rewrites, those that had a choice or are approximate first."""
    groups = [_group(list(records)) for _, records in _grouped(report.rewrites)]
    return tuple(sorted(groups, key=lambda group: not group.notable))


def skip_groups(report: Report) -> tuple[SkipGroup, ...]:
    """Group what was skipped by rewrite and reason."""
    groups: dict[tuple[str, str], list[SkippedRewrite]] = {}
    for skipped in report.skipped:
        groups.setdefault((skipped.rewrite, skipped.reason), []).append(skipped)
    return tuple(
        SkipGroup(
            rewrite,
            reason,
            len(group),
            listed(one.layer for one in group),
            tuple(one for one in group if one.candidates)[:_SHOWN],
        )
        for (rewrite, reason), group in groups.items()
    )


def selection_notes(report: Report) -> tuple[str, ...]:
    """Say which rewrites might not be applied, and whether timing chose."""
    selection = report.selection
    notes = []
    if selection.mode is RewriteMode.NONE:
        alone = listed(selection.only, _SHOWN)
        notes.append(f"rewrites run alone: {alone}" if alone else "no rewrite was asked for")
    elif selection.only:
        notes.append(f"rewrites asked for by name: {listed(selection.only, _SHOWN)}")
    if selection.approximations and not fitted_rewrites(report):
        asked = listed(selection.approximations, _SHOWN)
        notes.append(f"no layer has a form of what was asked for by name: {asked}")
    if selection.dropped:
        notes.append(f"rewrites left out by name: {listed(selection.dropped, _SHOWN)}")
    if selection.own:
        notes.append(f"rewrites of your own: {listed(selection.own, _SHOWN)}")
    if selection.tuned:
        notes.append(
            f"forms were chosen by timing on this host ({report.machine.cpu}), which is no phone: "
            "what is faster here may be slower there"
        )
    return tuple(notes)


def listed(names: Iterable[str], most: int = 6) -> str:
    """List names in a line, each once; the last ones as a number where there are many."""
    once = [formats.short(name) for name in dict.fromkeys(names) if name]
    more = f" and {len(once) - most:,} more" if len(once) > most else ""
    return ", ".join(once[:most]) + more


def _grouped(
    records: Iterable[RewriteRecord],
) -> Iterable[tuple[tuple[str, ...], Iterable[RewriteRecord]]]:
    def key(record: RewriteRecord) -> tuple[str, ...]:
        return record.rewrite, record.chosen, record.level.value, str(record.exact)

    return groupby(sorted(records, key=key), key)


def _group(records: list[RewriteRecord]) -> ChangeGroup:
    first = records[0]
    return ChangeGroup(
        rewrite=first.rewrite,
        chosen="" if first.chosen == first.rewrite else first.chosen,
        where="finished file" if first.level is Level.FLATBUFFER else "Keras graph",
        near="exact" if first.exact else how_near(first.level),
        # The CPU's and the GPU's plan may both rewrite a layer: it counts once.
        count=len({record.layer for record in records}),
        max_rel_error=max(record.max_rel_error for record in records),
        notable=_is_fitted(first) or any(record.candidates for record in records),
        changes=tuple(map(_change, records[:_SHOWN])),
        more=max(0, len(records) - _SHOWN),
    )


def _change(record: RewriteRecord) -> Change:
    taken = next((form for form in record.candidates if form.form == record.chosen), None)
    lost = tuple(form for form in record.candidates if form.form != record.chosen)
    return Change(record.layer, taken, lost, record.max_rel_error, record.reason)


def _is_fitted(record: RewriteRecord) -> bool:
    return not record.exact and record.level is Level.KERAS

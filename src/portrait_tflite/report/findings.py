"""Audit findings in a report: the ops that stay outside a delegate, and what to change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portrait_tflite.report.changes import listed
from portrait_tflite.report.formats import count, saving
from portrait_tflite.report.roles import audit_of, delegate_for, is_shipped
from portrait_tflite.vocabulary import Delegate, OutsideOp, Report

_SHOWN = 25  # findings of one table; report.json has them all
_QUOTED = re.compile("'[^']*'")


@dataclass(frozen=True)
class Finding:
    """Ops that stay outside for one reason; `where` names their layers or tensors.

    `worth` says what the fix saves: lines of words, none where that was not asked.
    """

    op: str
    count: int
    where: str
    reason: str
    fix: str
    worth: tuple[str, ...] = ()


@dataclass(frozen=True)
class Findings:
    """What one delegate leaves of one variant.

    Attributes:
        urgent: Whether the variant is shipped and meant for this delegate.
        ops: How many ops stay outside.
        more: How many findings are not shown.
    """

    variant: str
    delegate: Delegate
    urgent: bool
    ops: int
    found: tuple[Finding, ...]
    more: int


def findings(report: Report) -> tuple[Findings, ...]:
    """List the findings of every variant; those that concern what is shipped first."""
    listing = [
        _findings(name, delegate, audit_of(variant, delegate).outside)
        for name, variant in report.variants.items()
        for delegate in (Delegate.XNNPACK, Delegate.GPU)
        if audit_of(variant, delegate).outside
    ]
    return tuple(sorted(listing, key=lambda one: (not one.urgent, not is_shipped(one.variant))))


def group_outside(
    outside: Sequence[OutsideOp], names: int = 6, *, tried: bool = False
) -> list[Finding]:
    """Make one finding of the ops that stay outside for the same reason; the most first.

    Args:
        outside: The ops.
        names: How many places of a finding are named.
        tried: Whether mending was tried: only then no figure means that the table has none.
    """
    groups: dict[tuple[str, str, str], list[OutsideOp]] = {}
    for op in outside:
        # Each reason names its own tensor.
        groups.setdefault((op.op, _QUOTED.sub("''", op.reason), op.fix), []).append(op)
    found = [
        Finding(
            op, len(group), listed(map(_place, group), names), _reason(group), fix,
            _worth(group, tried),
        )
        for (op, _, fix), group in groups.items()
    ]  # fmt: skip
    return sorted(found, key=lambda finding: -finding.count)


def _reason(group: Sequence[OutsideOp]) -> str:
    """Say the reason of the first op, and how many others name another tensor."""
    others = len({op.reason for op in group}) - 1
    reason = group[0].reason
    return _QUOTED.sub(rf"\g<0> and {others} more", reason, count=1) if others else reason


def _place(op: OutsideOp) -> str:
    return op.layer or op.tensor


def _worth(group: Sequence[OutsideOp], tried: bool) -> tuple[str, ...]:
    """Say what the fix of alike ops saves, by the cost table and in partitions."""
    partitions = [op.partitions_saved for op in group if op.partitions_saved is not None]
    if not partitions:
        return ()
    cycles = [op.worth_mcycles for op in group if op.worth_mcycles is not None]
    lines = []
    if tried or len(cycles) == len(group):
        lines.append(saving(sum(cycles) if len(cycles) == len(group) else None))
    if total := sum(partitions):
        less = "less" if total > 0 else "more"
        lines.append(f"{count(abs(total), 'partition')} {less}")
    return tuple(lines)


def _findings(name: str, delegate: Delegate, outside: tuple[OutsideOp, ...]) -> Findings:
    found = group_outside(outside)
    return Findings(
        variant=name,
        delegate=delegate,
        urgent=is_shipped(name) and delegate is delegate_for(name),
        ops=len(outside),
        found=tuple(found[:_SHOWN]),
        more=max(0, len(found) - _SHOWN),
    )

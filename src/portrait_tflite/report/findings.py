"""Audit findings in a report: the ops that stay outside a delegate, and what to change."""

from __future__ import annotations

from dataclasses import dataclass

from portrait_tflite.report.changes import listed
from portrait_tflite.report.roles import audit_of, delegate_for, is_shipped
from portrait_tflite.vocabulary import Delegate, OutsideOp, Report

_SHOWN = 25  # findings of one table; report.json has them all


@dataclass(frozen=True)
class Finding:
    """Ops that stay outside for one reason; `where` names their layers or tensors."""

    op: str
    count: int
    where: str
    reason: str
    fix: str


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


def _findings(name: str, delegate: Delegate, outside: tuple[OutsideOp, ...]) -> Findings:
    groups: dict[tuple[str, str, str], list[OutsideOp]] = {}
    for op in outside:
        groups.setdefault((op.op, op.reason, op.fix), []).append(op)
    found = [
        Finding(op, len(group), listed(one.layer or one.tensor for one in group), reason, fix)
        for (op, reason, fix), group in groups.items()
    ]
    found.sort(key=lambda finding: -finding.count)
    return Findings(
        variant=name,
        delegate=delegate,
        urgent=is_shipped(name) and delegate is delegate_for(name),
        ops=len(outside),
        found=tuple(found[:_SHOWN]),
        more=max(0, len(found) - _SHOWN),
    )

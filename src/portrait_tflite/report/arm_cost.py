"""ARM cost in a report: what a variant costs beside float and beside a plain conversion."""

from __future__ import annotations

from dataclasses import dataclass

from portrait_tflite.report import formats
from portrait_tflite.report.roles import baseline, is_shipped, main_variant
from portrait_tflite.vocabulary import ArmCost, Delegate, Precision, Report

# Costs this near are the same: the bound leaves more out than that.
_SAME = 1.01


@dataclass(frozen=True)
class ComparedCost:
    """A variant's cost in cycles, and what it is of others' costs, by their names."""

    cycles: float
    ratios: dict[str, float]

    @property
    def dearer(self) -> bool:
        """Whether it costs more than one of the others."""
        return any(ratio > _SAME for ratio in self.ratios.values())


@dataclass(frozen=True)
class CostBar:
    """One bar of the chart.

    Attributes:
        kind: `ours`, `float` or `baseline`; says its colour.
        share: Its length, 0–1.
        detail: Instructions and partitions, in words.
    """

    variant: str
    kind: str
    cycles: float
    share: float
    ratio: float | None
    detail: str


@dataclass(frozen=True)
class CostChart:
    """Bars of one delegate, and what is not among them and why.

    Attributes:
        against: The baseline that ratios are to, or "".
    """

    delegate: Delegate
    cpu: str
    against: str
    bars: tuple[CostBar, ...]
    gaps: tuple[tuple[str, str], ...]


def compare_arm_cost(report: Report, name: str) -> ComparedCost | None:
    """Compare a variant with float32 and the baseline; None where it was not measured."""
    costs = _cycles(report, Delegate.XNNPACK)
    if name not in costs:
        return None
    others = (Precision.FLOAT32.value, baseline(costs))
    ratios = {
        other: costs[name] / costs[other]
        for other in others
        if other in costs and other != name and costs[other]
    }
    return ComparedCost(costs[name], {other: ratio for other, ratio in ratios.items() if other})


def arm_cost_gap(report: Report) -> str:
    """Say why the main variant's cost is not there, or "" where it is."""
    name = main_variant(report.variants)
    if name is None or name in _cycles(report, Delegate.XNNPACK):
        return ""
    reasons = [row.unavailable for row in report.arm_cost if row.variant == name]
    return next(filter(None, reasons), "nothing asked for it.")


def cost_charts(report: Report) -> tuple[CostChart, ...]:
    """Return one chart per delegate that something was counted on, XNNPACK first."""
    charts = (_chart(report, delegate) for delegate in (Delegate.XNNPACK, Delegate.CPU))
    return tuple(chart for chart in charts if chart.bars)


def _chart(report: Report, delegate: Delegate) -> CostChart:
    rows = [row for row in report.arm_cost if row.delegate is delegate]
    costs = _cycles(report, delegate)
    longest = max(costs.values(), default=0.0) or 1.0
    against = baseline(costs) or ""
    bars = [
        CostBar(
            variant=row.variant,
            kind=_kind(row.variant),
            cycles=costs[row.variant],
            share=costs[row.variant] / longest,
            ratio=_ratio(costs, row.variant, against),
            detail=_detail(row),
        )
        for row in rows
        if row.variant in costs
    ]
    gaps = tuple((row.variant, row.unavailable) for row in rows if row.variant not in costs)
    return CostChart(delegate, next((r.cpu for r in rows if r.cpu), ""), against, tuple(bars), gaps)


def _cycles(report: Report, delegate: Delegate) -> dict[str, float]:
    return {
        row.variant: row.cycles
        for row in report.arm_cost
        if row.delegate is delegate and row.cycles is not None and not row.unavailable
    }


def _kind(name: str) -> str:
    if not is_shipped(name):
        return "baseline"
    return "float" if name in (Precision.FLOAT32, Precision.FLOAT16) else "ours"


def _ratio(costs: dict[str, float], name: str, against: str) -> float | None:
    if not against or name == against or not costs[against]:
        return None
    return costs[name] / costs[against]


def _detail(row: ArmCost) -> str:
    parts = [] if row.partitions is None else [formats.count(row.partitions, "partition")]
    counts = (
        (row.instructions, "M instructions"),
        (row.vector, "M vector"),
        (row.dot, "M dot-product"),
        (row.load_store, "M loads and stores"),
    )
    parts += [f"{formats.millions(count)} {what}" for count, what in counts if count is not None]
    return ", ".join(parts)

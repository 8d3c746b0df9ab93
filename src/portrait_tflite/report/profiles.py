"""Per-op profiles in a report: where a network's time, or its ARM cost, goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from portrait_tflite.report import formats
from portrait_tflite.report.roles import main_variant
from portrait_tflite.vocabulary import ARM_MODEL, ArmCost, BenchmarkResult, Report

_SHOWN = 12  # ops of one profile, the dearest; report.json has them all
_ALONE = "Every op was run alone: their sum is a little more than the whole."


@dataclass(frozen=True)
class OpBar:
    """One op: its figure in the profile's unit, its share of the whole, 0–1."""

    op: str
    layer: str
    delegate: str
    amount: float
    share: float

    @property
    def value(self) -> str:
        """The figure for people."""
        return formats.significant(self.amount)


@dataclass(frozen=True)
class Profile:
    """Where one variant's time or cost goes in one place.

    Attributes:
        where: Device and delegate, in words.
        remark: What must be known about the figures, or "".
        bars: The dearest ops, the dearest first.
        others: All others, as one.
        rest: How many the others are.
    """

    variant: str
    where: str
    unit: str
    software: bool
    remark: str
    bars: tuple[OpBar, ...]
    others: OpBar
    rest: int

    @property
    def longest(self) -> float:
        """The largest share, which fills its bar."""
        return max((bar.share for bar in self.bars), default=0.0) or 1.0


def profiles(report: Report) -> tuple[Profile, ...]:
    """List the profiles that were taken, the main variant's first."""
    main = main_variant(report.variants)
    rows: tuple[ArmCost | BenchmarkResult, ...] = (*report.arm_cost, *report.benchmarks)
    taken = (profile_of(row) for row in rows if row.ops)
    return tuple(sorted(taken, key=lambda profile: profile.variant != main))


def profile_of(row: ArmCost | BenchmarkResult) -> Profile:
    """Return where a row's cycles or milliseconds go."""
    if isinstance(row, BenchmarkResult):
        bars = [OpBar(op.op, op.layer, op.delegate, op.median_ms, op.share) for op in row.ops]
        return _profile(row, row.device, "ms, median", bars, software=row.software)
    total = sum(op.cycles for op in row.ops) or 1.0
    bars = [OpBar(op.op, op.layer, "", op.cycles / 1e6, op.cycles / total) for op in row.ops]
    return _profile(row, ARM_MODEL, "million cycles, a bound", bars, remark=_ALONE)


def _profile(
    row: ArmCost | BenchmarkResult,
    device: str,
    unit: str,
    bars: Iterable[OpBar],
    *,
    software: bool = False,
    remark: str = "",
) -> Profile:
    dearest = sorted(bars, key=lambda bar: -bar.share)
    shown, rest = dearest[:_SHOWN], dearest[_SHOWN:]
    amount, share = sum(bar.amount for bar in rest), sum(bar.share for bar in rest)
    return Profile(
        variant=row.variant,
        where=f"{device}, {row.delegate}",
        unit=unit,
        software=software,
        remark=remark,
        bars=tuple(shown),
        others=OpBar(formats.count(len(rest), "other"), "", "", amount, share),
        rest=len(rest),
    )

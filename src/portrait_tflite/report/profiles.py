"""Per-op profiles in a report: where a network's time, or its ARM cost, goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from portrait_tflite.report import formats
from portrait_tflite.report.arm_cost import ARM_DEVICE
from portrait_tflite.report.roles import main_variant
from portrait_tflite.vocabulary import ArmCost, BenchmarkResult, Report

_SHOWN = 12  # ops of one profile, the dearest; report.json has them all


@dataclass(frozen=True)
class OpBar:
    """One op: its figure in the profile's unit, its share of the whole."""

    op: str
    layer: str
    delegate: str
    value: str
    share: float


@dataclass(frozen=True)
class Profile:
    """The dearest ops of one variant in one place.

    Attributes:
        alone: Whether every op was run by itself, so that the sum is not the whole.
        rest: How many ops are not shown.
        rest_share: Their share of the whole, 0–1.
    """

    variant: str
    where: str
    unit: str
    software: bool
    alone: bool
    bars: tuple[OpBar, ...]
    rest: int
    rest_share: float

    @property
    def longest(self) -> float:
        """The largest share, which fills its bar."""
        return max((bar.share for bar in self.bars), default=0.0) or 1.0


def profiles(report: Report) -> tuple[Profile, ...]:
    """List the profiles that were taken, the main variant's first."""
    main = main_variant(report.variants)
    return tuple(sorted(_all(report), key=lambda profile: profile.variant != main))


def _all(report: Report) -> Iterator[Profile]:
    yield from (_of_arm_cost(row) for row in report.arm_cost if row.ops)
    yield from (_of_latency(row) for row in report.benchmarks if row.ops)


def _of_arm_cost(row: ArmCost) -> Profile:
    total = sum(op.cycles for op in row.ops) or 1.0
    bars = [
        OpBar(op.op, op.layer, "", formats.millions(op.cycles), op.cycles / total) for op in row.ops
    ]
    where = f"{ARM_DEVICE}, {row.delegate}"
    return _profile(row.variant, where, "million cycles, a bound", bars, alone=True)


def _of_latency(row: BenchmarkResult) -> Profile:
    bars = [
        OpBar(op.op, op.layer, op.delegate, formats.significant(op.median_ms), op.share)
        for op in row.ops
    ]
    where = f"{row.device}, {row.delegate}"
    return _profile(row.variant, where, "ms, median", bars, software=row.software)


def _profile(
    variant: str,
    where: str,
    unit: str,
    bars: list[OpBar],
    *,
    software: bool = False,
    alone: bool = False,
) -> Profile:
    bars.sort(key=lambda bar: -bar.share)
    shown, rest = bars[:_SHOWN], bars[_SHOWN:]
    return Profile(
        variant=variant,
        where=where,
        unit=unit,
        software=software,
        alone=alone,
        bars=tuple(shown),
        rest=len(rest),
        rest_share=sum(bar.share for bar in rest),
    )

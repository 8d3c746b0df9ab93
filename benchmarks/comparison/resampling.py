"""Whether one series of timings is slower than another, or only looks so.

The runs of one process share its luck, so they count for little more than one observation: whole
processes are drawn with replacement, and runs inside of them (Davison and Hinkley, Bootstrap
Methods and their Application, 1997, section 3.8, on why not both at once). The spread is then
widened for there being few processes, by P / (P − 1) and Student's t with Welch's degrees of
freedom (Hesterberg, What Teachers Should Know about the Bootstrap, 2015, section 5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95

_RESAMPLES = 2000
_SEED = 0  # the same two files always give the same answer


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians with its confidence interval.

    Attributes:
        low: Lower end; None, as `high`, where a single process leaves the spread unknown.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 1; never where an end of it is no number."""
        return self.low is not None and self.high is not None and (self.low > 1 or self.high < 1)


def ratio_of_medians(old_ms: Sequence[Sequence[float]], new_ms: Sequence[Sequence[float]]) -> Ratio:
    """Compare the mean over processes of their medians, new over old.

    Args:
        old_ms: One or more series of positive timings, one per process; none is empty.
        new_ms: The same of the other side.
    """
    rng = np.random.default_rng(_SEED)
    value = level_ms(new_ms) / level_ms(old_ms)
    if min(len(old_ms), len(new_ms)) < 2:
        return Ratio(value)
    old, new = (_log_variance(series, rng) for series in (old_ms, new_ms))
    freedom = _freedom(old, len(old_ms), new, len(new_ms))
    width = _student(CONFIDENCE, freedom) * math.sqrt(old + new)
    return Ratio(value, value * math.exp(-width), value * math.exp(width))


def level_ms(series: Sequence[Sequence[float]]) -> float:
    """Return what the ratio is made of: the mean over processes of their medians."""
    return float(np.mean([np.median(one) for one in series]))


def _log_variance(series: Sequence[Sequence[float]], rng: np.random.Generator) -> float:
    """Variance of the logarithm of a side's level, by resampling processes, and runs inside."""
    count = len(series)
    medians = np.array([np.median(one) for one in series])
    between = medians[rng.integers(0, count, (_RESAMPLES, count))].mean(axis=1)
    within = np.mean([_resampled_medians(np.asarray(one), rng) for one in series], axis=0)
    # The medians of processes scatter by their runs too, so the two spreads are not added; but
    # where few processes happen to agree, the runs still say how far they can be trusted.
    return max(_log_spread(between) * count / (count - 1), _log_spread(within))


def _log_spread(levels: NDArray[np.float64]) -> float:
    return float(np.log(levels).var(ddof=1))


def _resampled_medians(runs: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Medians `[resamples]` of runs drawn with replacement."""
    drawn: NDArray[np.float64] = runs[rng.integers(0, runs.size, (_RESAMPLES, runs.size))]
    medians: NDArray[np.float64] = np.median(drawn, axis=1)
    return medians


def _freedom(old: float, olds: int, new: float, news: int) -> float:
    """Degrees of freedom by Welch and Satterthwaite; of the smaller side where nothing varies."""
    spread = old**2 / (olds - 1) + new**2 / (news - 1)
    return (old + new) ** 2 / spread if spread else min(olds, news) - 1.0


def _student(confidence: float, freedom: float) -> float:
    """Two-sided quantile of Student's t, by integrating its density."""
    # Up to 100: for one degree of freedom 95 % are reached at 12.7.
    t = np.linspace(0, 100, 20_001)
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    density = np.exp(log_scale - (freedom + 1) / 2 * np.log1p(t**2 / freedom))
    density /= math.sqrt(freedom * math.pi)
    inside = 2 * np.cumsum((density[1:] + density[:-1]) / 2 * (t[1] - t[0]))
    return float(np.interp(confidence, inside, t[1:]))

"""How the numbers of a tensor are distributed, gathered picture by picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.tensor_ranges import Range

_BINS = 4096
_STEPS = 255  # of int8
_SHRINKS = np.linspace(0.2, 1.0, 41)
# Drawn of each tensor of each picture: all of them would take longer than running the network.
_DRAWN = 1 << 14


@dataclass
class Histogram:
    """Counts of numbers in equal bins over `[-limit, limit)`, which grows with what comes.

    Attributes:
        limit: A power of two.
        zeros: Zeros, which int8 holds exactly; they are in no bin.
    """

    limit: float = 2.0**-20
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    zeros: int = 0

    def add(self, values: Floats, seed: int) -> None:
        """Count some numbers of a tensor: its ends, and what the seed draws between."""
        flat = values.ravel()
        if flat.size > _DRAWN:
            drawn = np.random.default_rng(seed).integers(0, flat.size, _DRAWN)
            flat = np.concatenate([flat[drawn], [flat.min(), flat.max()]])
        nonzero = flat[flat != 0]
        self.zeros += flat.size - nonzero.size
        if nonzero.size:
            self._grow(float(np.abs(nonzero).max()))
            bins = np.floor((nonzero / self.limit + 1) * (_BINS / 2)).astype(np.int64)
            self.counts += np.bincount(np.clip(bins, 0, _BINS - 1), minlength=_BINS)

    def percentile(self, share: float) -> Range:
        """Return what holds all but `1 - share` of the numbers at either end, and zero."""
        total = int(self.counts.sum()) + self.zeros
        out = int((1 - share) * total)
        below, above = np.cumsum(self.counts), np.cumsum(self.counts[::-1])
        low = self._edge(int(np.searchsorted(below, out, "right")))
        high = -self._edge(int(np.searchsorted(above, out, "right")))
        return Range(min(low, 0.0), max(high, 0.0))

    def least_error(self, whole: Range) -> Range:
        """Return the part of a range that int8 holds the numbers in with the least squared error.

        What is inside errs by a twelfth of a squared step, zero not at all; what is outside by its
        squared distance.
        """
        lows = np.unique(min(whole.low, 0.0) * _SHRINKS)[:, None]
        highs = np.unique(max(whole.high, 0.0) * _SHRINKS)[None, :]
        inside = self._below(highs) - self._below(lows)
        step = (highs - lows) / _STEPS
        error = inside * step**2 / 12 + self._beyond(lows, highs)
        row, column = np.unravel_index(int(np.argmin(error)), error.shape)
        return Range(float(lows[row, 0]), float(highs[0, column]))

    def _grow(self, largest: float) -> None:
        """Widen the bins until a magnitude lies in one."""
        while self.limit <= largest:
            pairs = self.counts.reshape(-1, 2).sum(1)
            self.counts = np.pad(pairs, _BINS // 4)
            self.limit *= 2

    def _edge(self, position: int) -> float:
        return (2 * position / _BINS - 1) * self.limit

    def _centers(self) -> NDArray[np.float64]:
        centers = (2 * np.arange(_BINS) + 1 - _BINS) * (self.limit / _BINS)
        return np.asarray(centers, np.float64)

    def _below(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Count what lies below each of some numbers."""
        return _summed(self.counts, self._centers(), at)

    def _beyond(self, lows: NDArray[np.float64], highs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum the squared distances of what lies outside."""
        centers = self._centers()
        sums = [self.counts * centers**power for power in range(3)]

        def squares(at: NDArray[np.float64], *, above: bool) -> NDArray[np.float64]:
            count, first, second = (
                s.sum() - _summed(s, centers, at) if above else _summed(s, centers, at)
                for s in sums
            )
            # Σ (v − at)²; rounding must not make it negative.
            return np.maximum(second - 2 * at * first + at**2 * count, 0)

        return squares(lows, above=False) + squares(highs, above=True)


def _summed(
    values: NDArray[np.float64] | NDArray[np.int64],
    centers: NDArray[np.float64],
    at: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum the values of the bins whose centers lie below each of some numbers."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(sums[np.searchsorted(centers, at)], np.float64)

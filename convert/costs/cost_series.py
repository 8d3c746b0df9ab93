"""Counted sizes of one kind of op, and what lies between them.

The sizes are a full grid over two to four axes (taps of the kernel, positions, channels in and out,
or elements). Between them the cost is multilinear, which is what kernels of this sort do: a matrix
product takes, per tile of the output, a constant, and so much per tap and channel.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from portrait_tflite.convert.costs.costed_op import CostedOp

AXES = frozenset({"taps", "positions", "channels_in", "channels_out", "elements"})


@dataclass(frozen=True)
class Axis:
    """One dimension of a series.

    Attributes:
        name: The attribute of `CostedOp` that it holds.
        entries: Counted values, ascending; at least two.
        tile: Values that were not counted are rounded up to a multiple of it: the kernel computes
            so many channels whether they are needed or not.
    """

    name: str
    entries: tuple[int, ...]
    tile: int = 1

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.entries, self.entries[1:], strict=False))
        if self.name not in AXES or len(self.entries) < 2 or not ascending or self.tile < 1:
            raise ValueError(f"axis {self.name!r} with entries {self.entries}, tile {self.tile}")

    def weigh(self, value: int) -> tuple[tuple[int, float], ...]:
        """Return the two entries that a value lies between, each with its weight.

        Above the last entry the last two are continued; below the first, the first one counts.
        """
        if value not in self.entries:
            value = -(-value // self.tile) * self.tile
        value = max(value, self.entries[0])
        low = min(bisect_right(self.entries, value), len(self.entries) - 1) - 1
        first, second = self.entries[low : low + 2]
        share = (value - first) / (second - first)
        return (low, 1 - share), (low + 1, share)


@dataclass(frozen=True)
class Series:
    """All counted sizes of one kind of op.

    Attributes:
        axes: The grid; the last one changes fastest.
        cycles: One cost per size of the grid.
    """

    kind: str
    precision: str
    stride: int
    axes: tuple[Axis, ...]
    cycles: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = prod(len(axis.entries) for axis in self.axes)
        if not self.axes or len(self.cycles) != sizes or min(self.cycles) < 0:
            raise ValueError(f"{self.kind} holds {len(self.cycles)} costs for {sizes} sizes")

    def cost(self, op: CostedOp) -> float:
        """Interpolate the cycles of an op."""
        corners = product(*(axis.weigh(getattr(op, axis.name)) for axis in self.axes))
        return sum(
            prod(weight for _, weight in corner) * self.cycles[self._position(corner)]
            for corner in corners
        )

    def _position(self, corner: Sequence[tuple[int, float]]) -> int:
        position = 0
        for axis, (entry, _) in zip(self.axes, corner, strict=True):
            position = position * len(axis.entries) + entry
        return position

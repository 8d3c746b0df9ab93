"""Upsampling convolutions seen from the low resolution: which cells each position reads.

Every output position of an upsampling by `s` is `s·m + a − skip`: cell `m`, phase `a`. What a phase
needs are taps at whole offsets around cell `m`, so each phase is a convolution over the cells
(Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Tap:
    """Phase `phase` reads the cell at `offset` with kernel row (or column) `index`."""

    phase: int
    offset: int
    index: int


@dataclass(frozen=True)
class Axis:
    """One axis of an upsampling convolution, with all of its phases or with one.

    Attributes:
        taps: What each phase reads.
        cells: Cells of the output; one position per phase is computed of each.
        length: Positions that the output has, of all phases; the rest is cut off.
        source: Cells of the input.
        phases: How many phases are computed together.
        skip: Positions that are cut off before the first, the rest behind the last.
    """

    taps: tuple[Tap, ...]
    cells: int
    length: int
    source: int
    phases: int
    skip: int = 0

    @cached_property
    def first(self) -> int:
        """Offset of the kernel's first tap; never behind the cell itself."""
        return min(0, *(tap.offset for tap in self.taps))

    @cached_property
    def dilation(self) -> int:
        """Cells between two taps of the kernel."""
        return gcd(*(tap.offset - self.first for tap in self.taps)) or 1

    @cached_property
    def size(self) -> int:
        """Taps of the kernel over the cells."""
        # Where the input has more cells than the output, the kernel must reach its end.
        last = max(self.source - self.cells, *(tap.offset for tap in self.taps))
        return -(-(last - self.first) // self.dilation) + 1

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros before the first and behind the last cell."""
        return -self.first, self.cells - self.source + self.first + (self.size - 1) * self.dilation

    @property
    def pads_like_same(self) -> bool:
        """Whether `padding` is what padding="same" adds at stride 1."""
        reach = (self.size - 1) * self.dilation
        return self.padding == (reach // 2, reach - reach // 2)

    @property
    def whole(self) -> bool:
        """Whether every phase reads something; a kernel smaller than its stride leaves gaps."""
        return {tap.phase for tap in self.taps} == set(range(self.phases))

    @property
    def alike(self) -> bool:
        """Whether all phases are the same convolution."""
        return self.whole and len({axis.taps for axis in self.split()}) == 1

    def split(self) -> tuple[Axis, ...]:
        """Take the phases apart."""
        return tuple(
            replace(
                self,
                taps=tuple(replace(tap, phase=0) for tap in self.taps if tap.phase == phase),
                phases=1,
            )
            for phase in range(self.phases)
        )


def transposed_axis(source: int, kernel: int, stride: int, padding: str, length: int) -> Axis:
    """Describe one axis of a transposed convolution of `source` positions.

    The full result has position `stride·i + u` for input `i` and kernel index `u`; SAME cuts half
    of what is too much for `length` at its start, VALID nothing.
    """
    extra = (source - 1) * stride + kernel - length
    before = max(extra, 0) // 2 if padding == "same" else 0
    taps = tuple(
        Tap(phase, -distance, index)
        for phase in range(stride)
        for distance in range(-kernel, kernel + 1)
        if 0 <= (index := phase + before + stride * distance) < kernel
    )
    return Axis(taps, -(-length // stride), length, source, stride)


def nearest_axis(
    source: int, kernel: int, factor: int, padding: str, dilation: int = 1, skip: int = 0
) -> Axis:
    """Describe one axis of nearest upsampling by `factor`, then a convolution of `kernel`.

    Args:
        skip: Positions by which the cells begin before the first one.
    """
    reach = (kernel - 1) * dilation
    before = (reach // 2 if padding == "same" else 0) + skip
    length = source * factor - (0 if padding == "same" else reach)
    taps = tuple(
        Tap(phase, (phase + index * dilation - before) // factor, index)
        for phase in range(factor)
        for index in range(kernel)
    )
    return Axis(taps, -(-(length + skip) // factor), length, source, factor, skip)


def shortest_nearest_axis(
    source: int, kernel: int, factor: int, padding: str, dilation: int = 1
) -> Axis:
    """Describe the same with the cells where all phases together need the fewest taps.

    Behind ×2 a kernel of 3 reads three cells per cell of the output, but two where the cells are
    moved by one position.
    """
    axes = (nearest_axis(source, kernel, factor, padding, dilation, skip) for skip in range(factor))
    return min(axes, key=lambda axis: (axis.size, axis.skip))


def phase_kernel(kernel: Array, rows: Axis, columns: Axis) -> Array:
    """Rearrange a kernel `[kh, kw, in, out]` to `[rows.size, columns.size, in, phases·out]`."""
    inputs, outputs = kernel.shape[2:]
    shape = (rows.size, columns.size, inputs, rows.phases, columns.phases, outputs)
    phases = np.zeros(shape, np.float64)
    for row in rows.taps:
        for column in columns.taps:
            at = (
                (row.offset - rows.first) // rows.dilation,
                (column.offset - columns.first) // columns.dilation,
            )
            phases[at[0], at[1], :, row.phase, column.phase] += kernel[row.index, column.index]
    return phases.reshape(*shape[:3], rows.phases * columns.phases * outputs)

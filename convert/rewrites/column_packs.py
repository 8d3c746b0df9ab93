"""Convolutions over packs of columns: `[n, h, w, c]` read as `[n, h, w/p, p·c]`.

A matrix kernel takes as long for 3 channels as for 16, and reading the same memory in another shape
costs next to nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# An int8 kernel computes 16 output channels at once, needed or not; from so many on none is idle.
TILE = 16
# Positions below which too little is saved for two more ops.
FEWEST_POSITIONS = 64 * 64

_MOST_CHANNELS = 64  # of a pack; beyond, zeros are most of what is multiplied
_PACKS = (2, 4, 8, 16)


def pack_sizes(width: int, channels: int) -> list[int]:
    """List how many columns may make a pack in a picture of that width.

    Args:
        width: Columns.
        channels: The most that the convolution reads or writes.
    """
    return [pack for pack in _PACKS if width % pack == 0 and pack * channels <= _MOST_CHANNELS]


def packed_kernel(kernel: NDArray[Any], count: int) -> NDArray[Any]:
    """Return the kernel over packs of `count` columns of one that pads to the same size.

    Column `a` of a pack reads column `a + d`, which is column `(a + d) mod count` of the pack at
    `⌊(a + d) / count⌋`. Outside of the picture whole packs are zero, as columns are.

    Args:
        kernel: `[kh, kw, in, out]`.
        count: Columns of a pack.

    Returns:
        `[kh, kw', count · in, count · out]`, of the kernel's type.
    """
    height, width, channels, filters = kernel.shape
    before = (width - 1) // 2
    across = packed_width(width, count)
    packed = np.zeros((height, across, count, channels, count, filters), kernel.dtype)
    for column in range(count):
        for tap in range(width):
            pack, index = divmod(column + tap - before, count)
            packed[:, pack + across // 2, index, :, column] = kernel[:, tap]
    return packed.reshape(height, across, count * channels, count * filters)


def packed_width(width: int, count: int) -> int:
    """Return over how many packs of `count` columns a kernel of `width` reaches; an odd number."""
    before = (width - 1) // 2
    return 2 * -(-(width - 1 - before) // count) + 1  # before is no farther

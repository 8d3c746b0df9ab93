"""What to write instead of an op on more dimensions than a delegate has."""

from __future__ import annotations

import math
from collections.abc import Sequence

from portrait_tflite.convert.delegates.site import Site

_PLAIN = "keep to four dimensions: batch, height, width, channels"
_MOST = 4
_BLOCKS = (0, 1, 3, 2, 4, 5)  # what a move of blocks of pixels does to [n, h, w, b, b, c]


def fewer_dimensions(site: Site) -> str:
    """Say how an op of too many dimensions is written with four at most."""
    if site.op == "RESHAPE":
        return (
            "reshape to four dimensions at most: those that a TRANSPOSE behind it leaves side by "
            "side may be one"
        )
    order = site.input(1) if site.op == "TRANSPOSE" else None
    source = site.input(0)
    if source is None or order is None or order.data is None:
        return _PLAIN
    return _of_transpose(site.shape(source), tuple(map(int, order.data.view(order.dtype))))


def _of_transpose(shape: tuple[int, ...], order: tuple[int, ...]) -> str:
    if len(shape) != len(order):  # a file that says none
        return ""
    if order == _BLOCKS and shape[3] == shape[4]:
        return f"use keras.ops.depth_to_space, or DEPTH_TO_SPACE, with a block of {shape[3]}"
    if order == _BLOCKS and shape[2] == shape[4]:
        return f"use keras.ops.space_to_depth, or SPACE_TO_DEPTH, with a block of {shape[2]}"
    fewer, merged = merge_dimensions(shape, order)
    if len(fewer) > _MOST:
        return "use two transposes of four dimensions at most, with a reshape between them"
    return f"reshape to {list(fewer)}, transpose by {list(merged)}, and reshape: it is the same"


def merge_dimensions(
    shape: Sequence[int], order: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Take as one what a transpose leaves side by side, and leave out dimensions of 1.

    XNNPACK does so, too.

    Args:
        shape: What is transposed.
        order: Which dimension comes to each place; those below 0 are counted from the end.

    Returns:
        The shape and the order that move the same numbers to the same places.
    """
    order = [dimension % len(shape) for dimension in order]
    groups: list[list[int]] = []
    for dimension in (d for d in order if shape[d] != 1):
        # Only ones lie between two that follow each other.
        follows = groups and all(shape[d] == 1 for d in range(groups[-1][-1] + 1, dimension))
        if follows and groups[-1][-1] < dimension:
            groups[-1].append(dimension)
        else:
            groups.append([dimension])
    before = sorted(groups)
    sizes = tuple(math.prod(shape[dimension] for dimension in group) for group in before)
    return sizes, tuple(before.index(group) for group in groups)

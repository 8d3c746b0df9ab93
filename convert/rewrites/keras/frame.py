"""Lines that are added around a picture, or cut off from it, and the windows that run over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from portrait_tflite.convert.graph import Node, Value, apply_op

Side = tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """Lines of zeros around a picture; a negative number cuts as many off.

    Attributes:
        rows: Above and below.
        columns: Left and right.
    """

    rows: Side = (0, 0)
    columns: Side = (0, 0)

    @property
    def sides(self) -> tuple[int, int, int, int]:
        """All four numbers."""
        return *self.rows, *self.columns

    def then(self, later: Frame) -> Frame | None:
        """Return what both in a row come to; None where zeros take the place of what was cut."""
        pairs = list(zip(self.sides, later.sides, strict=True))
        if any(first < 0 < second for first, second in pairs):
            return None
        top, bottom, left, right = (first + second for first, second in pairs)
        return Frame((top, bottom), (left, right))

    def leaves(self, height: int, width: int) -> bool:
        """Whether anything of a picture is left before zeros are added."""
        return height + sum(self.cut.rows) > 0 and width + sum(self.cut.columns) > 0

    @property
    def cut(self) -> Frame:
        """What it cuts off."""
        return self.each(lambda number: min(number, 0))

    @property
    def added(self) -> Frame:
        """What it adds, where nothing is cut."""
        return self.each(lambda number: max(number, 0))

    def each(self, function: Callable[[int], int]) -> Frame:
        """Apply a function to every number."""
        top, bottom, left, right = map(function, self.sides)
        return Frame((top, bottom), (left, right))


def frame_of(node: Node) -> Frame | None:
    """Read a ZeroPadding2D or a Cropping2D of a picture; None for anything else."""
    layer = node.op
    if getattr(layer, "data_format", None) != "channels_last":
        return None
    if type(layer) is keras.layers.ZeroPadding2D:
        return Frame(*layer.padding)
    if type(layer) is keras.layers.Cropping2D:
        return Frame(*layer.cropping).each(lambda number: -number)
    return None


def framed(name: str, source: Value, frame: Frame) -> Value:
    """Add a Cropping2D and a ZeroPadding2D, or what of them is needed, the last one `name`."""
    cut, added = frame.cut, frame.added
    value = source
    if cut != Frame():
        lines = cut.each(lambda number: -number)
        last = name if added == Frame() else f"{name}_cut"
        layer = keras.layers.Cropping2D((lines.rows, lines.columns), name=last)
        value = apply_op(last, layer, value)
    if added != Frame():
        layer = keras.layers.ZeroPadding2D((added.rows, added.columns), name=name)
        value = apply_op(name, layer, value)
    return value


def same_frame(layer: Any, height: int, width: int) -> Frame:
    """Return what padding="same" adds before a window layer, as TensorFlow does it."""
    window = getattr(layer, "pool_size", None) or layer.kernel_size
    dilation = getattr(layer, "dilation_rate", (1, 1))
    rows, columns = (
        same_side(size, extent(int(window[axis]), int(dilation[axis])), int(layer.strides[axis]))
        for axis, size in enumerate((height, width))
    )
    return Frame(rows, columns)


def extent(kernel: int, dilation: int) -> int:
    """Return from where to where a kernel reaches, in positions."""
    return (kernel - 1) * dilation + 1


def same_side(size: int, reach: int, stride: int) -> Side:
    """Return what padding="same" adds before and behind `size` positions."""
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    return total // 2, total - total // 2

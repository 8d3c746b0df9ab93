"""What SAME padding adds at each border."""

from __future__ import annotations

from portrait_tflite.convert.files.flatbuffer_nodes import Node

SAME, VALID = 0, 1  # the schema's numbers

Borders = tuple[tuple[int, int], tuple[int, int]]


def same_borders(node: Node, size: tuple[int, ...], window: tuple[int, ...]) -> Borders:
    """Return the pixels that SAME adds (above, below), (left, right).

    Args:
        node: An op with strides and perhaps dilations.
        size: Height and width of its input.
        window: Height and width of its kernel.
    """
    strides = (int(node.option("strideH", 1)), int(node.option("strideW", 1)))
    dilations = (int(node.option("dilationHFactor", 1)), int(node.option("dilationWFactor", 1)))
    first, second = (
        border(*numbers) for numbers in zip(size, window, strides, dilations, strict=True)
    )
    return first, second


def is_padded(node: Node, window: tuple[int, int]) -> bool:
    """Tell whether a window reaches over the border."""
    if int(node.option("padding", VALID)) == VALID:
        return False
    borders = same_borders(node, node.given()[0].shape[1:3], window)
    return borders != ((0, 0), (0, 0))


def border(size: int, window: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return the pixels that SAME adds before and behind one axis of `size` pixels."""
    reach = (window - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2

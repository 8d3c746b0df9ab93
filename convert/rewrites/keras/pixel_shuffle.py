"""The pixel shuffle of sub-pixel upsampling, spelled by reshapes, as one op."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.added_layers import depth_to_space
from portrait_tflite.convert.rewrites.keras.channel_shuffle import (
    axes_of,
    is_convolution,
    reordered,
    reshapes,
)
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single


@dataclass(frozen=True)
class _Shuffle:
    """What a pixel shuffle reads, and how.

    Attributes:
        block: Rows and columns that a pixel becomes.
        channels: Of the result.
        deepest: Whether the channels of the result are the last part of those that it reads, as
            DEPTH_TO_SPACE has them; else the first, as PyTorch has them.
    """

    source: Value
    block: tuple[int, int]
    channels: int
    deepest: bool


class PixelShuffle:
    """Moves channels to rows and columns in one op.

    Given:  x → Reshape(h, w, r, r, c) → Permute(1, 3, 2, 4, 5) → Reshape(h·r, w·r, c) → y
    Result: x → DEPTH_TO_SPACE(r) → y                                form `depth_to_space`

    Given:  x → Conv2D → Reshape(h, w, c, r, r) → Permute(1, 4, 2, 5, 3) → Reshape(h·r, w·r, c) → y
    Result: x → Conv2D, its filters in another order → DEPTH_TO_SPACE(r) → y

    The second is how PyTorch orders channels. The tensors between have rank 6, which the GPU
    delegate refuses.
    """

    name = "pixel_shuffle"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        found = _shuffle(value, uses)
        if found is None:
            return None
        name, (block, columns) = value.node.name, found.block
        if block != columns or block == 1:
            return Refusal(name, f"its blocks have {block} × {columns} pixels")
        if found.deepest:
            boundary, forms = (
                found.source,
                single("depth_to_space", lambda boundary: depth_to_space(name, boundary[0], block)),
            )
        else:
            producer = found.source.node
            if not is_convolution(producer) or uses[found.source] > 1:
                return Refusal(name, "no convolution gives the channels, which must change places")
            order = np.arange(found.channels * block**2).reshape(found.channels, -1).T.ravel()
            boundary, forms = (
                producer.inputs[0],
                single(
                    "depth_to_space",
                    lambda boundary: depth_to_space(
                        name, reordered(producer, boundary[0], order), block
                    ),
                ),
            )
        return Site(
            layer=name,
            root=value,
            boundary=(boundary,),
            forms=forms,
            reason=f"blocks of {block} × {block} pixels",
        )


def _shuffle(value: Value, uses: Uses) -> _Shuffle | None:
    if not reshapes(value.node) or len(value.shape) != 4:
        return None
    turned = value.node.inputs[0]
    axes = axes_of(turned.node)
    if axes not in ([0, 1, 3, 2, 4, 5], [0, 1, 4, 2, 5, 3]) or uses[turned] > 1:
        return None
    parted = turned.node.inputs[0]
    if not reshapes(parted.node) or uses[parted] > 1:
        return None
    source = parted.node.inputs[0]
    deepest = axes[-1] == 5
    _, height, width, *parts = parted.shape
    block, columns, channels = parts if deepest else (*parts[1:], parts[0])
    if source.shape[1:] != (height, width, block * columns * channels):
        return None
    if value.shape[1:] != (height * block, width * columns, channels):
        return None
    return _Shuffle(source, (block, columns), channels, deepest)

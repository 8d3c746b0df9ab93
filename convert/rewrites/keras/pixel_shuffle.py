"""The pixel shuffle of sub-pixel upsampling, spelled by reshapes, as one op."""

from __future__ import annotations

from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.added_layers import depth_to_space
from portrait_tflite.convert.rewrites.keras.channel_shuffle import axes_of, reshapes
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single


class PixelShuffle:
    """Moves channels to rows and columns in one op.

    Given:  x → Reshape(h, w, r, r, c) → Permute(1, 3, 2, 4, 5) → Reshape(h·r, w·r, c) → y
    Result: x → DEPTH_TO_SPACE(r) → y                                form `depth_to_space`

    The tensors between have rank 6, which the GPU delegate refuses.
    """

    name = "pixel_shuffle"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        if not reshapes(value.node) or len(value.shape) != 4:
            return None
        turned = value.node.inputs[0]
        if axes_of(turned.node) != [0, 1, 3, 2, 4, 5] or uses[turned] > 1:
            return None
        parted = turned.node.inputs[0]
        if not reshapes(parted.node) or uses[parted] > 1:
            return None
        source = parted.node.inputs[0]
        _, height, width, block, columns, channels = parted.shape
        if source.shape[1:] != (height, width, block * columns * channels):
            return None
        if value.shape[1:] != (height * block, width * columns, channels):
            return None
        name = value.node.name
        if block != columns or block == 1:
            return Refusal(name, f"its blocks have {block} × {columns} pixels")
        return Site(
            layer=name,
            root=value,
            boundary=(source,),
            forms=single(
                "depth_to_space", lambda boundary: depth_to_space(name, boundary[0], block)
            ),
            reason=f"blocks of {block} × {block} pixels",
        )

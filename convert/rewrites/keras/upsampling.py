"""Which nodes enlarge or shrink a picture, in all the ways that Keras spells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from portrait_tflite.convert.graph import Node, Value, apply_op


@dataclass(frozen=True)
class Resize:
    """A resize that asks for nothing but a size.

    Attributes:
        interpolation: `nearest`, `bilinear` or another word of Keras.
        source: Its input, `[1, h, w, c]`.
        size: Height and width of its output.
    """

    interpolation: str
    source: Value
    size: tuple[int, int]

    @property
    def factors(self) -> tuple[int, int] | None:
        """Whole factors of height and width by which it enlarges; None where they are no such."""
        height, width = self.source.shape[1:3]
        rows, columns = self.size
        if min(height, width) < 1 or rows % height or columns % width:
            return None
        return rows // height, columns // width


def resize_of(node: Node) -> Resize | None:
    """Read an UpSampling2D, a Resizing layer or `keras.ops.image.resize`; None for anything else.

    Half-pixel centres are meant, as in all of them: for whole factors `nearest` repeats pixels.
    """
    if not _is_plain(node.op) or len(node.output.shape) != 4:
        return None
    height, width = node.output.shape[1:3]
    return Resize(str(node.op.interpolation), node.inputs[0], (height, width))


def resized(name: str, source: Value, interpolation: str, size: tuple[int, int]) -> Value:
    """Add a resize to `size`; `RESIZE_BILINEAR` or `RESIZE_NEAREST_NEIGHBOR` on the phone."""
    layer = keras.layers.Resizing(*size, interpolation=interpolation, name=name)
    return apply_op(name, layer, source)


def _is_plain(op: Any) -> bool:
    if getattr(op, "data_format", None) != "channels_last":
        return False
    if isinstance(op, keras.layers.UpSampling2D):
        return True
    # `keras.ops.image.resize` in a functional model: Keras has no public name for its class.
    called = type(op).__name__ == "Resize" and type(op).__module__.startswith("keras.")
    if not called and type(op) is not keras.layers.Resizing:
        return False
    return not (op.antialias or op.crop_to_aspect_ratio or op.pad_to_aspect_ratio)

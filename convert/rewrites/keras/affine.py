"""Layers that scale and shift every channel alike: normalizations, rescalings and their kin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras.src.applications.convnext import LayerScale

from portrait_tflite.convert.graph import Node
from portrait_tflite.convert.rewrites.keras.site import Array


@dataclass(frozen=True, eq=False)
class ChannelAffine:
    """Computes `x · scale + shift` on `[n, h, w, c]`.

    Attributes:
        scale: `[c]`, float64.
        shift: `[c]`, float64.
    """

    scale: Array
    shift: Array

    def __call__(self, x: Any) -> Any:
        return x * self.scale.astype(np.float32) + self.shift.astype(np.float32)

    @property
    def is_factor(self) -> bool:
        """Whether it multiplies all channels by one number and adds nothing."""
        return not self.shift.any() and bool(np.ptp(self.scale) == 0)

    def after(self, first: ChannelAffine) -> ChannelAffine:
        """Return what `first` and then this one come to."""
        return ChannelAffine(first.scale * self.scale, first.shift * self.scale + self.shift)

    def on(self, channels: slice) -> ChannelAffine:
        """Return what it does to some of the channels."""
        return ChannelAffine(self.scale[channels], self.shift[channels])


def affine_of(node: Node) -> ChannelAffine | None:
    """Read a node that does no more than scale and shift the channels of an image, else None."""
    read = _READERS.get(type(node.op))
    # Behind a Dense layer there is no image; an input of unknown size is none either.
    if read is None or len(node.inputs) != 1 or len(node.shapes[0]) != 4:
        return None
    return read(node.op, node.shapes[0][-1])


def _batch_normalization(layer: Any, _: int) -> ChannelAffine | None:
    if layer.axis not in (-1, 3):
        return None
    mean = np.asarray(layer.moving_mean, np.float64)
    scale = 1 / np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
    if layer.scale:
        scale = scale * np.asarray(layer.gamma, np.float64)
    shift = -mean * scale
    if layer.center:
        shift = shift + np.asarray(layer.beta, np.float64)
    return ChannelAffine(scale, shift)


def _rescaling(layer: Any, channels: int) -> ChannelAffine | None:
    scale, shift = _per_channel(layer.scale, channels), _per_channel(layer.offset, channels)
    return None if scale is None or shift is None else ChannelAffine(scale, shift)


def _normalization(layer: Any, channels: int) -> ChannelAffine | None:
    mean, variance = _per_channel(layer.mean, channels), _per_channel(layer.variance, channels)
    if mean is None or variance is None:
        return None
    # Keras divides by no less than its epsilon.
    deviation = np.maximum(np.sqrt(variance), keras.backend.epsilon())
    if layer.invert:
        return ChannelAffine(deviation, mean)
    return ChannelAffine(1 / deviation, -mean / deviation)


def _layer_scale(layer: Any, _: int) -> ChannelAffine:
    gamma = np.asarray(layer.gamma, np.float64)
    return ChannelAffine(gamma, np.zeros_like(gamma))


def _per_channel(numbers: Any, channels: int) -> Array | None:
    """Return numbers of a layer as `[channels]`; None where they differ between positions."""
    array = np.asarray(numbers, np.float64)
    if array.size not in (1, channels) or (array.ndim and array.shape[-1] != array.size):
        return None
    return np.broadcast_to(array.reshape(-1), (channels,))


_READERS: dict[type, Callable[[Any, int], ChannelAffine | None]] = {
    ChannelAffine: lambda op, _: op,
    LayerScale: _layer_scale,
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Normalization: _normalization,
}

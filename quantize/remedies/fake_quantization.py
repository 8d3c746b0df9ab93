"""int8 played in float, through which gradients pass. Pure `keras.ops`: trains on any backend.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3; gradients straight through after Bengio et al. 2013.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from portrait_tflite.quantize.int8.tensor_ranges import Range

Tensor = Any

# Which axes of a kernel are its output channels.
_CHANNELS = {
    keras.layers.Conv2D: (3,),  # [k, k, i, o]
    keras.layers.DepthwiseConv2D: (2, 3),  # [k, k, i, m]
    keras.layers.Conv2DTranspose: (2,),  # [k, k, o, i]
    keras.layers.Dense: (1,),  # [i, o]
}


def has_kernel(layer: Any) -> bool:
    """Tell whether a layer is one whose kernel int8 rounds."""
    return type(layer) in _CHANNELS


def fake_quantize(x: Tensor, held: Range) -> Tensor:
    """Round to the 256 steps of a range, as an activation tensor is."""
    low, high = min(held.low, 0.0), max(held.high, 0.0)  # 0 is always a step
    scale = (high - low) / 255 or 1.0
    first = round(low / scale)
    steps = ops.clip(ops.round(x / scale), first, first + 255)
    # Only what is clipped has no gradient.
    inside = ops.clip(x, first * scale, (first + 255) * scale)
    return inside + ops.stop_gradient(steps * scale - inside)


def fake_quantize_kernel(kernel: Tensor, channels: tuple[int, ...]) -> Tensor:
    """Round a kernel to 127 steps on either side of 0, per output channel."""
    axes = tuple(axis for axis in range(len(kernel.shape)) if axis not in channels)
    largest = ops.max(ops.abs(kernel), axis=axes, keepdims=True)
    scale = ops.stop_gradient(ops.maximum(largest, 1e-12) / 127)
    return kernel + ops.stop_gradient(ops.round(kernel / scale) * scale - kernel)


class FakeQuantized:
    """Calls a layer with its kernel as int8 has it; the layer's own stays what is trained.

    A batch normalization behind the layer changes nothing: it multiplies output channels, and each
    of them has a scale of its own.
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._channels = _CHANNELS[type(layer)]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        kernel = self._layer.kernel
        given = [
            fake_quantize_kernel(each, self._channels) if each is kernel else each.value
            for each in self._layer.trainable_variables
        ]
        fixed = [each.value for each in self._layer.non_trainable_variables]
        outputs, _ = self._layer.stateless_call(given, fixed, *args, **kwargs)
        return outputs

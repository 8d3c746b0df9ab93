"""Building blocks that several nets of the zoo share. Pure Keras: they train on any backend."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

Tensor = Any  # a KerasTensor; Keras has no public type for it

# ReLU6: a bounded activation costs nothing and gives int8 the same range whatever it is calibrated
# on. With plain ReLU, single channels of `portrait` reached 99 and int8 lost 1.2 mIoU points.
_CEILING = 6.0

UPSAMPLING = ("transposed", "nearest_conv", "resize_conv", "subpixel")


def conv_bn(
    x: Tensor, filters: int, name: str, *, kernel: int = 3, strides: int = 1, relu: bool = True
) -> Tensor:
    """Convolution, batch normalization and, unless `relu` is false, ReLU6.

    Output shape: `[batch, height / strides, width / strides, filters]`.
    """
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False, name=name)(
        x
    )
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(_CEILING, name=f"{name}_relu")(x) if relu else x


def depthwise_bn(
    x: Tensor, name: str, *, strides: int = 1, relu: bool = True, kernel: int = 3
) -> Tensor:
    """Depthwise convolution, batch normalization and, unless `relu` is false, ReLU6."""
    x = layers.DepthwiseConv2D(kernel, strides=strides, padding="same", use_bias=False, name=name)(
        x
    )
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(_CEILING, name=f"{name}_relu")(x) if relu else x


def separable_bn(x: Tensor, filters: int, name: str, *, strides: int = 1) -> Tensor:
    """Depthwise 3×3 and pointwise convolution, each with batch normalization and ReLU6.

    After MobileNet (Howard et al. 2017, section 3.1).
    """
    x = depthwise_bn(x, f"{name}_dw", strides=strides)
    return conv_bn(x, filters, f"{name}_pw", kernel=1)


def upsample(x: Tensor, filters: int, how: str, name: str, *, kernel: int = 3) -> Tensor:
    """Double the resolution and set the channels to `filters`.

    Args:
        how: `transposed` (stride-2 transposed convolution), `nearest_conv` or `resize_conv`
            (nearest or bilinear resize, then convolution), or `subpixel` (convolution to
            `4 · filters`, then depth-to-space; Shi et al. 2016).

    Raises:
        ValueError: `how` is none of these.
    """
    if how == "transposed":
        return layers.Conv2DTranspose(filters, kernel, strides=2, padding="same", name=name)(x)
    if how in ("nearest_conv", "resize_conv"):
        interpolation = "nearest" if how == "nearest_conv" else "bilinear"
        x = layers.UpSampling2D(2, interpolation=interpolation, name=f"{name}_resize")(x)
        return layers.Conv2D(filters, kernel, padding="same", name=name)(x)
    if how == "subpixel":
        x = layers.Conv2D(4 * filters, kernel, padding="same", name=name)(x)
        return keras.ops.depth_to_space(x, 2)
    raise ValueError(f"upsampling is one of {', '.join(UPSAMPLING)}. Received: {how!r}.")

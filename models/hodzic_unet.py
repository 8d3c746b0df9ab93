"""`hodzic_unet`: "Architecture 1" of Hodžić, Skejić, Demirović,
"Real-time Portrait Segmentation in TensorFlow".

A U-Net of plain stride-2 convolutions and pre-activation residual blocks with depthwise-separable
convolutions; transposed convolutions and `Add` skips on the way up.
"""

from __future__ import annotations

import keras
from keras import layers

from portrait_tflite.models.blocks import Tensor, upsample
from portrait_tflite.models.registry import Net, register
from portrait_tflite.vocabulary import ModelSpec

_FILTERS = (8, 32, 64, 128)


def build_hodzic_unet(
    height: int = 256, width: int = 256, upsampling: str = "transposed"
) -> keras.Model:
    """Build the net; weights are random.

    Args:
        upsampling: One of `blocks.UPSAMPLING`.

    Input shape: `[batch, height, width, 3]`, RGB in 0…1; both sizes multiples of 8.
    Output shape: `[batch, height, width, 1]`, probability of person.
    """
    image = keras.Input((height, width, 3), name="image")
    x = layers.Conv2D(_FILTERS[0], 3, padding="same", name="stem")(image)
    x = _residual(x, "encoder0")
    skips = []
    for level, filters in enumerate(_FILTERS[1:], start=1):
        skips.append(x)
        x = layers.Conv2D(filters, 3, strides=2, padding="same", name=f"down{level}")(x)
        x = _residual(x, f"encoder{level}")
    x = _residual(x, "middle")
    for level, skip in reversed(list(enumerate(skips))):
        x = upsample(x, _FILTERS[level], upsampling, f"up{level}")
        x = layers.Add(name=f"skip{level}")([x, skip])
        x = _residual(x, f"decoder{level}")
    x = layers.ReLU(name="head_relu")(x)
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="mask")(x)
    return keras.Model(image, mask, name="hodzic_unet")


def _residual(x: Tensor, name: str) -> Tensor:
    """Two pre-activated separable convolutions and the identity (He et al. 2016)."""
    y = x
    for number in (1, 2):
        y = layers.ReLU(name=f"{name}_relu{number}")(y)
        y = layers.SeparableConv2D(
            x.shape[-1], 3, padding="same", use_bias=False, name=f"{name}_conv{number}"
        )(y)
        # Behind the convolution, where it folds away, and not before it as He et al. have it.
        y = layers.BatchNormalization(name=f"{name}_bn{number}")(y)
    return layers.Add(name=f"{name}_add")([x, y])


register(
    Net(
        name="hodzic_unet",
        build=build_hodzic_unet,
        spec=ModelSpec(height=256, width=256, input_range=(0.0, 1.0)),
        paper="Hodžić, Skejić, Demirović, Real-time Portrait Segmentation in TensorFlow, "
        "Architecture 1",
        multiple=8,
    )
)

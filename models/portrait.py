"""`portrait`, the packaged default: a MobileNet U-Net drawn for the delegates.

Everything is chosen by what it costs on arm64 and by what int8 XNNPACK and the GPU delegate take:
no full-resolution layer but the last rearrangement, no stand-alone activation, ReLU6, which
fuses into the convolution before it, bilinear resize after the channel-reducing 1×1 convolution
(the two commute, and the resize is cheaper on fewer channels), `Add` rather than `Concatenate`.

The encoder is MobileNet v1, width 0.25 (Howard et al. 2017, table 1), with its layer names, so that
ImageNet weights load by name.
"""

from __future__ import annotations

import keras
from keras import layers

from portrait_tflite.models.blocks import Tensor, conv_bn, depthwise_bn
from portrait_tflite.models.registry import Net, register
from portrait_tflite.vocabulary import ModelSpec

# (stride, filters) of MobileNet's thirteen separable blocks at width 0.25.
_ENCODER = (
    (1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128), (1, 128),
    (1, 128), (1, 128), (1, 128), (1, 128), (2, 256), (1, 256),
)  # fmt: skip


def build_portrait(height: int = 256, width: int = 256) -> keras.Model:
    """Build the net; weights are random.

    Input shape: `[batch, height, width, 3]`, RGB in −1…1; both sizes multiples of 32.
    Output shape: `[batch, height, width, 1]`, probability of person.
    """
    image = keras.Input((height, width, 3), name="image")
    x = conv_bn(image, 8, "conv1", strides=2)
    skips = []
    for number, (strides, filters) in enumerate(_ENCODER, start=1):
        if strides == 2:
            skips.append(x)
        x = depthwise_bn(x, f"conv_dw_{number}", strides=strides)
        x = conv_bn(x, filters, f"conv_pw_{number}", kernel=1)
    for skip in reversed(skips):
        x = _merge(x, skip, f"up{skip.shape[-1]}")
    x = layers.Conv2D(4, 1, name="phases")(x)
    # Four phases of every 2×2 block: the last doubling costs a rearrangement only.
    logits = keras.ops.depth_to_space(x, 2)
    mask = layers.Activation("sigmoid", name="mask")(logits)
    return keras.Model(image, mask, name="portrait")


def _merge(x: Tensor, skip: Tensor, name: str) -> Tensor:
    """Double `x`, add the encoder's features, refine with two separable convolutions."""
    filters = skip.shape[-1]
    x = conv_bn(x, filters, f"{name}_reduce", kernel=1, relu=False)
    x = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_resize")(x)
    x = layers.Add(name=f"{name}_add")([x, skip])
    for number in (1, 2):
        x = depthwise_bn(x, f"{name}_dw{number}", relu=False)
        x = conv_bn(x, filters, f"{name}_pw{number}", kernel=1)
    return x


register(
    Net(
        name="portrait",
        build=build_portrait,
        spec=ModelSpec(height=256, width=256, input_range=(-1.0, 1.0)),
        paper="this project; encoder after Howard et al., MobileNets (2017)",
        multiple=32,
        weights="portrait.weights.h5",
    )
)

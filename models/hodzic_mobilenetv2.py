"""`hodzic_mobilenetv2`: "Architecture 2" of Hodžić, Skejić, Demirović,
"Real-time Portrait Segmentation in TensorFlow".

MobileNetV2 of width 0.5 as encoder; a decoder of upsampling and convolution, batch normalization,
dropout and ReLU, with concatenated skips.
"""

from __future__ import annotations

import keras
from keras import layers

from portrait_tflite.models.blocks import Tensor, upsample
from portrait_tflite.models.registry import Net, register
from portrait_tflite.vocabulary import ModelSpec

# Where MobileNetV2 leaves each resolution: strides 2, 4, 8, 16 (Sandler et al. 2018, table 2).
_SKIPS = (
    "block_1_expand_relu",
    "block_3_expand_relu",
    "block_6_expand_relu",
    "block_13_expand_relu",
)
_FILTERS = (16, 32, 64, 96)
_DROPOUT = 0.5


def build_hodzic_mobilenetv2(
    height: int = 128, width: int = 128, upsampling: str = "nearest_conv"
) -> keras.Model:
    """Build the net; weights are random.

    Args:
        upsampling: One of `blocks.UPSAMPLING`; the paper's is `nearest_conv`.

    Input shape: `[batch, height, width, 3]`, RGB in −1…1; both sizes multiples of 32.
    Output shape: `[batch, height, width, 1]`, probability of person.
    """
    encoder = keras.applications.MobileNetV2(
        input_shape=(height, width, 3), alpha=0.5, include_top=False, weights=None
    )
    x = encoder.get_layer("out_relu").output
    for level in reversed(range(len(_SKIPS))):
        x = _decode(x, _FILTERS[level], upsampling, f"up{level}")
        x = layers.Concatenate(name=f"skip{level}")([x, encoder.get_layer(_SKIPS[level]).output])
    x = _decode(x, _FILTERS[0], upsampling, "up_last")
    mask = layers.Conv2D(1, 1, activation="sigmoid", name="mask")(x)
    return keras.Model(encoder.input, mask, name="hodzic_mobilenetv2")


def _decode(x: Tensor, filters: int, upsampling: str, name: str) -> Tensor:
    x = upsample(x, filters, upsampling, name)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    x = layers.Dropout(_DROPOUT, name=f"{name}_dropout")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


register(
    Net(
        name="hodzic_mobilenetv2",
        build=build_hodzic_mobilenetv2,
        spec=ModelSpec(height=128, width=128, input_range=(-1.0, 1.0)),
        paper="Hodžić, Skejić, Demirović, Real-time Portrait Segmentation in TensorFlow, "
        "Architecture 2",
        multiple=32,
    )
)

"""Builds the nets that phone figures were published of, with random weights, as `.tflite`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.applications.efficientnet import EfficientNet  # Keras exports its sizes alone

_CHANNELS = 3
_CALIBRATION_IMAGES = 2  # the ranges do not matter to what is executed

# EfficientNet-B0's stages (kernel, repeats, channels in and out, expansion, stride), which the
# Lite ones scale in width and depth: Tan and Le, "EfficientNet", table 1.
_STAGES = (
    (3, 1, 32, 16, 1, 1),
    (3, 2, 16, 24, 6, 2),
    (5, 2, 24, 40, 6, 2),
    (3, 3, 40, 80, 6, 2),
    (5, 3, 80, 112, 6, 1),
    (5, 4, 112, 192, 6, 2),
    (3, 1, 192, 320, 6, 1),
)
# Width, depth and input size: github.com/tensorflow/tpu, efficientnet/lite.
_LITE = {
    "lite0": (1.0, 1.0, 224),
    "lite1": (1.0, 1.1, 240),
    "lite2": (1.1, 1.2, 260),
    "lite3": (1.2, 1.4, 280),
    "lite4": (1.4, 1.8, 300),
}


def build(name: str, precision: str) -> bytes:
    """Build `v1_WIDTH_SIZE`, `v2_WIDTH_SIZE`, `v3_large|small[_0.75|_minimalistic]` or `lite0`–`4`.

    Args:
        precision: `float32` or `int8`.
    """
    keras.backend.clear_session()
    rng = np.random.default_rng(0)
    net, size = _lite(name) if name in _LITE else _mobilenet(*name.split("_"))
    _randomize(net, rng)
    image = keras.Input(batch_shape=(1, size, size, _CHANNELS))
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, net(image)))
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _images(size, rng)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    data: bytes = converter.convert()
    return data


def _mobilenet(version: str, form: str, last: str = "") -> tuple[Any, int]:
    nets = keras.applications
    if version == "v3":
        make = {"large": nets.MobileNetV3Large, "small": nets.MobileNetV3Small}[form]
        minimal = last == "minimalistic"
        width = float(last) if last and not minimal else 1.0
        options = {"alpha": width, "minimalistic": minimal, "include_preprocessing": False}
        return make(weights=None, **options), 224
    make = {"v1": nets.MobileNet, "v2": nets.MobileNetV2}[version]
    size = int(last)
    return make(weights=None, alpha=float(form), input_shape=(size, size, _CHANNELS)), size


def _lite(name: str) -> tuple[Any, int]:
    """Build an EfficientNet-Lite: no squeeze-and-excite, ReLU6, stem and head not scaled."""
    width, depth, size = _LITE[name]
    blocks = []
    for number, (kernel, repeats, before, after, expansion, stride) in enumerate(_STAGES):
        fixed = number in (0, len(_STAGES) - 1)
        blocks.append(
            {
                "kernel_size": kernel,
                "repeats": repeats if fixed else math.ceil(depth * repeats),
                "filters_in": before if number == 0 else _scaled(before, width),
                "filters_out": _scaled(after, width),
                "expand_ratio": expansion,
                "id_skip": True,
                "strides": stride,
                "se_ratio": 0,
            }
        )
    net = EfficientNet(
        width_coefficient=1.0,
        depth_coefficient=1.0,
        default_size=size,
        activation="relu6",
        blocks_args=blocks,
        weights=None,
        name=name,
    )
    # Keras puts its preprocessing into the net.
    return keras.Model(net.get_layer("stem_conv_pad").input, net.output), size


def _scaled(channels: int, width: float) -> int:
    """Scale to the nearest multiple of 8 that loses no more than a tenth."""
    rounded = max(8, int(channels * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels * width else rounded


def _randomize(net: Any, rng: np.random.Generator) -> None:
    """Draw all weights: a bias of zero would be dropped, and the net be another one."""
    for weight in net.weights:
        if "variance" in weight.name or "gamma" in weight.name:
            values = rng.uniform(0.5, 1.5, weight.shape)
        else:
            fan_in = max(1, math.prod(weight.shape[:-1]))
            values = rng.normal(0, fan_in**-0.5 if len(weight.shape) > 1 else 0.1, weight.shape)
        weight.assign(values.astype("float32"))


def _images(size: int, rng: np.random.Generator) -> Iterator[list[Any]]:
    for _ in range(_CALIBRATION_IMAGES):
        yield [rng.uniform(-1, 1, (1, size, size, _CHANNELS)).astype("float32")]

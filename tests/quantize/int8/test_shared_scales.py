"""Tensors that a MAXIMUM or MINIMUM reads, and others besides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.graph import trace
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.post_training import quantize_ranged
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import Delegate, IoType, Precision

SHAPE = (16, 16, 3)


def _convolution(filters: int) -> keras.layers.Layer:
    return keras.layers.Conv2D(
        filters, 3, padding="same", kernel_initializer="he_normal", bias_initializer="he_normal"
    )


@pytest.mark.parametrize(
    "between",
    [
        lambda x: keras.ops.maximum(x, 0.0) + 0.2 * keras.ops.minimum(x, 0.0),
        keras.ops.celu,
        lambda x: 2 * keras.ops.tanh(x) + keras.ops.clip(x, -0.5, 0.7),
    ],
    ids=["prelu", "celu", "clip in two ops"],
)
def test_the_others_lose_nothing(between: Callable[[Any], Any]) -> None:
    keras.utils.set_random_seed(3)
    picture = keras.Input(SHAPE)
    mask = keras.layers.Activation("sigmoid")(_convolution(1)(between(_convolution(8)(picture))))
    model = keras.Model(picture, mask)
    frames = [(np.random.default_rng(n).random((1, *SHAPE), np.float32),) for n in range(4)]
    network = measured_network(Export(trace(model)).float_model(Precision.FLOAT32), frames)
    runner = open_model(quantize_ranged(network, IoType.INT8), Delegate.CPU)
    stored = runner.run(to_stored(frames[0][0], runner.inputs[0]))[0]
    found = to_real(stored, runner.outputs[0])
    # A clipped tensor is off by 0.1 and more.
    assert np.abs(found - np.asarray(model(frames[0][0]))).max() <= 0.025

"""A network with everything that remedies look at, and its pictures."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.graph import trace
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, measure_ranges
from portrait_tflite.vocabulary import Precision

SHAPE = (16, 16, 3)


@pytest.fixture(scope="session")
def frames() -> list[Frames]:
    rng = np.random.default_rng(1)
    return [(rng.random((1, *SHAPE), np.float32),) for _ in range(24)]


@pytest.fixture(scope="session")
def network(frames: list[Frames]) -> RangedNetwork:
    """Convolutions, one of which a sigmoid follows, a pooling and a concatenation."""
    keras.utils.set_random_seed(3)
    x = keras.Input(SHAPE)
    y = layers.Conv2D(8, 3, 2, "same", activation="relu", bias_initializer="uniform")(x)
    z = layers.DepthwiseConv2D(3, padding="same", bias_initializer="uniform")(y)
    y = layers.UpSampling2D(interpolation="bilinear")(layers.MaxPooling2D()(y))
    y = layers.Concatenate()([y, z])
    y = layers.Conv2DTranspose(1, 2, 2, "same", activation="sigmoid", bias_initializer="uniform")(y)
    data = Export(trace(keras.Model(x, y))).float_model(Precision.FLOAT32)
    return RangedNetwork(data, measure_ranges(data, frames))

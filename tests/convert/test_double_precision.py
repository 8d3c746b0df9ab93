"""A network in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from portrait_tflite.convert.double_precision import outputs_in_double
from portrait_tflite.convert.graph import trace

Build = Callable[..., Any]


def _net(head: Callable[[Any], Any]) -> keras.Model:
    x = keras.Input((6, 6, 3))
    y = layers.SeparableConv2D(4, 3, padding="same")(x)
    y = layers.BatchNormalization()(layers.PReLU(shared_axes=[1, 2])(y))
    y = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(y)
    return keras.Model(x, head(layers.Concatenate()([y, layers.UpSampling2D(2)(x)])))


@pytest.mark.parametrize(
    "head",
    [
        layers.Conv2D(1, 3, activation="sigmoid"),
        lambda y: ops.sigmoid(ops.mean(y * 2.0, axis=-1, keepdims=True)),
    ],
)
def test_it_is_nearer_to_itself_than_float32_is(
    randomized: Build, images_for: Build, head: Callable[[Any], Any]
) -> None:
    model = randomized(_net(head))
    images = images_for(model)
    graph = trace(model)
    found = outputs_in_double(graph, images)
    assert found is not None
    assert found[0].dtype == np.float64
    difference = np.abs(found[0] - np.asarray(graph(images))).max()
    assert 0 < difference < 1e-5
    # No number of it is one that float32 has.
    assert np.any(found[0] != found[0].astype(np.float32))


def test_what_computes_in_float32_inside_has_no_float64(
    randomized: Build, images_for: Build
) -> None:
    model = randomized(_net(layers.Lambda(lambda y: ops.cast(y, "float32"))))
    assert outputs_in_double(trace(model), images_for(model)) is None


def test_a_network_in_a_network_that_cannot_be_walked_has_none(images_for: Build) -> None:
    class Own(keras.Model):
        """Does what symbolic tensors do not take."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.Conv2D(2, 1)

        def call(self, x: Any) -> Any:
            return self.inner(x + np.float32(float(np.asarray(ops.max(x))) > 1e9))

        def compute_output_shape(self, shape: Any) -> Any:
            return (*shape[:-1], 2)

    x = keras.Input((6, 6, 3))
    part = Own()
    part(np.zeros((1, 6, 6, 3), np.float32))
    model = keras.Model(x, part(x))
    assert outputs_in_double(trace(model), images_for(model)) is None

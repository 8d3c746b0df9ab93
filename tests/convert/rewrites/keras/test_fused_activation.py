"""Activations that become their convolution's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras.fused_activation import FuseActivation

Build = Callable[..., Any]
FUSE = FuseActivation()

ACTIVATIONS = {
    "relu": layers.ReLU,
    "relu6": lambda: layers.ReLU(max_value=6),
    "activation": lambda: layers.Activation("relu"),
    "sigmoid": lambda: layers.Activation("sigmoid"),
    "tanh": lambda: layers.Activation("tanh"),
}
CONVOLUTIONS = {
    "conv": lambda: layers.Conv2D(4, 3, strides=2, padding="same", name="conv"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, dilation_rate=2, name="conv"),
    "transposed": lambda: layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="conv"),
    "no_bias": lambda: layers.Conv2D(4, 3, use_bias=False, name="conv"),
}


def _net(convolution: Any, activation: Any) -> keras.Model:
    x = keras.Input((7, 6, 3))
    return keras.Model(x, activation(convolution(x)))


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_every_convolution_takes_it(
    randomized: Build, rewrite_with: Build, convolution: str, activation: str
) -> None:
    model = randomized(_net(CONVOLUTIONS[convolution](), ACTIVATIONS[activation]()))
    outcome = rewrite_with(model, [FUSE])
    assert outcome.forms == ["fused"]
    assert outcome.ops == [type(model.get_layer("conv")).__name__]
    assert outcome.error <= 1e-6


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_elementwise_activation_is_taken(
    randomized: Build, rewrite_with: Build, activation: str
) -> None:
    # Large weights, so that ReLU6 cuts.
    model = randomized(_net(layers.Conv2D(4, 3), ACTIVATIONS[activation]()))
    model.set_weights([weight * 10 for weight in model.get_weights()])
    outcome = rewrite_with(model, [FUSE])
    assert (outcome.forms, outcome.ops) == (["fused"], ["Conv2D"])
    assert outcome.error <= 1e-6


@pytest.mark.parametrize(
    ("convolution", "activation"),
    [
        (layers.Conv2D(4, 3), layers.ReLU(negative_slope=0.1)),
        (layers.Conv2D(4, 3), layers.ReLU(threshold=0.5)),
        (layers.Conv2D(4, 3), layers.ReLU(max_value=3)),
        (layers.Conv2D(4, 3), layers.LeakyReLU()),
        (layers.Conv2D(4, 3), layers.Activation("softmax")),
        (layers.Conv2D(4, 3, activation="tanh"), layers.ReLU()),
        (layers.Conv2D(3, 3, groups=3), layers.ReLU()),
        (layers.SeparableConv2D(4, 3), layers.ReLU()),
        (layers.MaxPooling2D(), layers.ReLU()),
    ],
)
def test_other_pairs_stay(convolution: Any, activation: Any) -> None:
    graph = trace(_net(convolution, activation))
    assert FUSE.match(graph.output, graph.uses()) is None


def test_a_tensor_that_a_skip_needs_before_its_activation_stays(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((5, 5, 3))
    y = layers.Conv2D(4, 3)(x)
    outcome = rewrite_with(randomized(keras.Model(x, layers.Add()([y, layers.ReLU()(y)]))), [FUSE])
    assert (outcome.forms, outcome.ops) == ([], ["Conv2D", "ReLU", "Add"])

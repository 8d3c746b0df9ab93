"""Activations that become their convolution's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.graph import Graph, Node, apply_op, as_arrays, trace
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras import fused_activation
from portrait_tflite.convert.rewrites.keras.fused_activation import FuseActivation
from portrait_tflite.convert.rewrites.keras.site import Site

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
    "grouped": lambda: layers.Conv2D(6, 3, groups=3, name="conv"),
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


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from((layers.Conv2D, layers.DepthwiseConv2D, layers.Conv2DTranspose)),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.sampled_from(("same", "valid")),
    use_bias=st.booleans(),
    stride=st.integers(1, 3),
    seed=st.integers(0, 1 << 16),
)
def test_whatever_the_convolution_is(
    kind: Any,
    activation: str,
    kernel: tuple[int, int],
    padding: str,
    use_bias: bool,
    stride: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    source = Node("image", None, (), (), {}, ((1, 5, 6, 2),)).output
    options = {"padding": padding, "use_bias": use_bias, "strides": stride}
    sizes = (kernel,) if kind is layers.DepthwiseConv2D else (3, kernel)
    layer = kind(*sizes, **options)
    layer.build(source.shape)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape).astype(np.float32))
    value = apply_op("act", ACTIVATIONS[activation](), apply_op("conv", layer, source))
    graph = Graph(source, value)
    site = FUSE.match(value, graph.uses())
    assert isinstance(site, Site)
    assert site.forms[0].build
    image = rng.normal(size=source.shape).astype(np.float32)
    fused = Graph(source, site.forms[0].build(site.boundary))
    assert difference(*as_arrays([graph(image), fused(image)]))[1] <= TOLERANCE


@pytest.mark.parametrize("fault", ["transposed", "no_bias", "other_activation"])
def test_a_broken_one_is_undone(
    randomized: Build, verdict_on: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    net = randomized(_net(layers.Conv2D(3, 3, name="conv"), layers.ReLU(name="act")))
    assert verdict_on(net, FUSE, "fused", "act") == ""
    right = fused_activation.rebuilt

    def broken(layer: Any, name: str, source: Any, kernel: Any, bias: Any, activation: Any) -> Any:
        kernel = kernel.swapaxes(2, 3) if fault == "transposed" else kernel
        other = keras.activations.tanh if fault == "other_activation" else activation
        return right(layer, name, source, kernel, None if fault == "no_bias" else bias, other)

    monkeypatch.setattr(fused_activation, "rebuilt", broken)
    assert "verification failed" in verdict_on(net, FUSE, "fused", "act")

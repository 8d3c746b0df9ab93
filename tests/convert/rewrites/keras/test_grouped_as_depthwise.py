"""A convolution with a group per channel is a depthwise convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewriter import TOLERANCE
from portrait_tflite.convert.rewrites.keras import grouped_as_depthwise
from portrait_tflite.convert.rewrites.keras.affine_before import FoldAffineBefore
from portrait_tflite.convert.rewrites.keras.grouped_as_depthwise import GroupedAsDepthwise

Build = Callable[..., Any]
GROUPED = GroupedAsDepthwise()


def _net(*stack: Any, channels: int = 4) -> keras.Model:
    x = y = keras.Input((10, 11, channels))
    for layer in stack:
        y = layer(y)
    return keras.Model(x, y)


@pytest.mark.parametrize("filters", [4, 12])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_a_depthwise_convolution(
    randomized: Build, rewrite_with: Build, filters: int, bias: bool
) -> None:
    layer = layers.Conv2D(filters, 3, groups=4, activation="relu", use_bias=bias)
    outcome = rewrite_with(randomized(_net(layer)), [GROUPED])
    assert (outcome.forms, outcome.ops) == (["depthwise"], ["DepthwiseConv2D"])
    assert outcome.error <= 1e-6


def test_a_normalization_before_it_folds(randomized: Build, rewrite_with: Build) -> None:
    net = _net(layers.BatchNormalization(), layers.Conv2D(4, 3, groups=4))
    outcome = rewrite_with(randomized(net), [GROUPED, FoldAffineBefore()])
    assert outcome.ops == ["DepthwiseConv2D"]
    assert outcome.error <= 1e-5


@pytest.mark.parametrize(
    ("layer", "channels"),
    [
        (layers.Conv2D(4, 3), 4),
        (layers.Conv2D(4, 3), 1),
        (layers.Conv2D(4, 3, groups=2), 4),
        (layers.DepthwiseConv2D(3), 4),
    ],
)
def test_other_convolutions_stay(layer: Any, channels: int) -> None:
    graph = trace(_net(layer, channels=channels))
    assert GROUPED.match(graph.output, graph.uses()) is None


def test_two_strides_are_refused(refusal_of: Build) -> None:
    net = _net(layers.Conv2D(4, 3, groups=4, strides=(2, 1)))
    assert "one stride for both directions" in refusal_of(net, GROUPED)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_whatever_the_convolution_is(every_form: Build, data: st.DataObject) -> None:
    channels = data.draw(st.integers(2, 5))
    options: dict[str, Any] = {"padding": data.draw(st.sampled_from(("same", "valid")))}
    # TensorFlow has no convolution that both leaves out and spreads.
    options[data.draw(st.sampled_from(("strides", "dilation_rate")))] = data.draw(st.integers(1, 3))
    layer = layers.Conv2D(
        channels * data.draw(st.integers(1, 3)),
        data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        groups=channels,
        use_bias=data.draw(st.booleans()),
        activation=data.draw(st.sampled_from((None, "relu", "sigmoid"))),
        **options,
    )
    net = _net(layer, channels=channels)
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 16)))
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    errors = every_form(net, GROUPED)
    assert errors["depthwise"] is not None
    assert errors["depthwise"] <= TOLERANCE


@pytest.mark.parametrize("fault", ["mixed", "no_bias"])
def test_a_broken_one_is_undone(
    randomized: Build, rewrite_with: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def broken(layer: Any) -> tuple[Any, Any]:
        kernel, bias = (np.asarray(weight) for weight in layer.get_weights())
        return (kernel[..., ::-1], bias) if fault == "mixed" else (kernel, None)

    monkeypatch.setattr(grouped_as_depthwise, "weights_of", broken)
    outcome = rewrite_with(randomized(_net(layers.Conv2D(4, 3, groups=4))), [GROUPED])
    assert "verification failed" in outcome.reasons[0]
    assert outcome.error == 0

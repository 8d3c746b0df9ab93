"""Channels between convolutions dropped down to a multiple of 8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.choice import CheapestForm
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewriter import rewrite_graph
from portrait_tflite.convert.rewrites.keras.channel_rounding import RoundChannels
from portrait_tflite.convert.rewrites.keras.nearest_convolution import (
    NearestUpsamplingConvolution,
)
from portrait_tflite.vocabulary import Approximation, Delegate

Build = Callable[..., Any]
ASKED = CheapestForm(Delegate.XNNPACK, frozenset({Approximation.CHANNELS8}))
BOTH = (RoundChannels(), RoundChannels("round_channels_between", second=True))


def _widths(outcome: Any) -> dict[str, int]:
    nodes = outcome.result.graph.nodes()
    return {
        node.name: node.output.shape[-1] for node in nodes if isinstance(node.op, layers.Conv2D)
    }


def _chain(*widths: int, between: Callable[[Any], Any] = lambda x: x) -> keras.Model:
    x = y = keras.Input((8, 8, 3))
    for number, width in enumerate(widths):
        y = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"c{number}")(y)
        y = between(y) if number == 0 else y
    return keras.Model(x, y)


def test_every_link_of_a_chain_is_rounded(randomized: Build, rewrite_with: Build) -> None:
    outcome = rewrite_with(randomized(_chain(10, 20, 36, 9, 5)), BOTH, chooser=ASKED)
    assert _widths(outcome) == {"c0": 8, "c1": 16, "c2": 32, "c3": 8, "c4": 5}
    records = outcome.result.records
    assert [(r.rewrite, r.layer) for r in records] == [
        ("round_channels", "c0"),
        ("round_channels", "c2"),
        ("round_channels_between", "c1"),
        ("round_channels_between", "c3"),
    ]
    assert all(r.chosen == "pruned" and not r.exact and r.max_rel_error > 0 for r in records)
    for record in records:
        costs = {c.form: c.cost for c in record.candidates}
        assert costs["pruned"] < costs["as_given"]


@pytest.mark.parametrize(
    "between",
    [
        layers.MaxPooling2D(2),
        layers.DepthwiseConv2D(3, name="dw"),
        layers.Activation("silu"),
        layers.ZeroPadding2D(1),
    ],
)
def test_layers_that_look_at_each_channel_alone_stand_between(
    randomized: Build, rewrite_with: Build, between: Any
) -> None:
    outcome = rewrite_with(randomized(_chain(10, 4, between=between)), BOTH, chooser=ASKED)
    assert _widths(outcome)["c0"] == 8
    assert outcome.error < 1


@pytest.mark.parametrize(
    "between",
    [
        layers.BatchNormalization(),
        layers.Softmax(),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        lambda x: layers.Concatenate()([x, x]),
        lambda x: layers.Add()([x, layers.Activation("tanh")(x)]),  # read twice
        layers.Conv2D(16, 3, groups=2),
    ],
)
def test_others_keep_their_channels(randomized: Build, rewrite_with: Build, between: Any) -> None:
    outcome = rewrite_with(randomized(_chain(10, 4, between=between)), BOTH, chooser=ASKED)
    assert outcome.result.records == outcome.result.skipped == ()


@pytest.mark.parametrize("width", [3, 7, 8, 12, 14, 16, 22, 64])
def test_too_many_channels_or_none_are_not_dropped(
    randomized: Build, rewrite_with: Build, width: int
) -> None:
    outcome = rewrite_with(randomized(_chain(width, 4)), BOTH, chooser=ASKED)
    assert outcome.result.records == ()


def test_an_exact_rewrite_behind_it_is_held_to_what_is_there_now(
    randomized: Build, rewrite_with: Build
) -> None:
    """Its place ends where the fitted one did, whose values are others than the network's were."""
    x = keras.Input((8, 8, 3))
    y = layers.UpSampling2D(2)(layers.Conv2D(10, 3, activation="relu")(x))
    model = randomized(keras.Model(x, layers.Conv2D(2, 3, padding="same")(y)))
    outcome = rewrite_with(model, (*BOTH, NearestUpsamplingConvolution()), chooser=ASKED)
    assert [record.exact for record in outcome.result.records] == [False, True]
    assert outcome.result.records[0].max_rel_error > 1e-3
    assert outcome.result.skipped == ()


def test_unasked_it_leaves_no_trace(randomized: Build, rewrite_with: Build) -> None:
    outcome = rewrite_with(randomized(_chain(10, 20, 4)), BOTH)
    assert outcome.result.records == outcome.result.skipped == ()


def _without(weight: np.ndarray, channels: np.ndarray) -> np.ndarray:
    weight[..., channels] = 0
    return weight


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    surplus=st.integers(1, 2),
    kernels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid"]),
    depthwise=st.booleans(),
    bias=st.booleans(),
    second=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_channels_that_say_nothing_are_the_ones_that_go(
    surplus: int,
    kernels: tuple[int, int],
    stride: int,
    padding: str,
    depthwise: bool,
    bias: bool,
    second: bool,
    seed: int,
) -> None:
    """Where the surplus channels are constant, dropping them changes nothing."""
    x = y = keras.Input((7, 6, 2))
    first = layers.Conv2D(8 + surplus, kernels[0], activation="relu", use_bias=bias)
    last = layers.Conv2D(2, kernels[1], strides=stride, padding=padding, use_bias=bias)
    # a link before this one, of as many channels as there should be
    y = first(layers.Conv2D(8, 1)(y) if second else y)
    y = layers.DepthwiseConv2D(2, padding="valid")(y) if depthwise else y
    model = keras.Model(x, last(y))
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    kernel = first.get_weights()[0]
    dead = rng.choice(8 + surplus, surplus, replace=False)
    kernel[..., dead] = 0
    biases = (
        [np.where(np.isin(range(8 + surplus), dead), 0, first.get_weights()[1])] if bias else []
    )
    first.set_weights([kernel, *biases])
    if depthwise:
        inner = model.layers[-2]
        inner.set_weights([inner.get_weights()[0], np.zeros(8 + surplus)])
    images = rng.normal(size=(3, 7, 6, 2)).astype(np.float32)
    result = rewrite_graph(trace(model), images, ASKED, BOTH)
    name = "round_channels_between" if second else "round_channels"
    assert [record.rewrite for record in result.records] == [name]
    truth = np.asarray(model(images))
    np.testing.assert_allclose(result.graph(images), truth, atol=2e-2 * np.abs(truth).max())

"""The channel shuffle of ShuffleNet, folded or as a convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.choice import CheapestForm
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.graph import Graph, Node, apply_op, as_arrays
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras import channel_shuffle
from portrait_tflite.convert.rewrites.keras.channel_shuffle import ChannelShuffle
from portrait_tflite.convert.rewrites.keras.site import Site
from portrait_tflite.vocabulary import Delegate, Precision

Build = Callable[..., Any]
REWRITE = ChannelShuffle()


def _shuffled(y: Any, groups: int, name: str = "shuffle") -> Any:
    _, height, width, channels = y.shape
    y = layers.Reshape((height, width, groups, channels // groups))(y)
    return layers.Reshape((height, width, channels), name=name)(layers.Permute((1, 2, 4, 3))(y))


def _by_operations(y: Any, groups: int) -> Any:
    _, height, width, channels = y.shape
    y = ops.reshape(y, (-1, height, width, groups, channels // groups))
    return ops.reshape(ops.transpose(y, (0, 1, 2, 4, 3)), (-1, height, width, channels))


def _net(before: Any, shuffle: Any = _shuffled, groups: int = 3) -> keras.Model:
    x = keras.Input((5, 4, 6))
    return keras.Model(x, layers.Conv2D(2, 1, name="head")(shuffle(before(x), groups)))


@pytest.mark.parametrize("shuffle", [_shuffled, _by_operations])
@pytest.mark.parametrize(
    "before",
    [
        layers.Conv2D(6, 3, activation="relu"),
        layers.Conv2D(6, 1, use_bias=False),
        layers.Conv2DTranspose(6, 3, strides=2),
    ],
)
def test_a_convolution_computes_the_channels_in_order(
    randomized: Build, rewrite_with: Build, before: Any, shuffle: Build
) -> None:
    outcome = rewrite_with(randomized(_net(before, shuffle)), [REWRITE])
    assert outcome.forms == ["folded"]
    assert outcome.ops == [type(before).__name__, "Conv2D"]
    assert outcome.error <= 1e-6


@pytest.mark.parametrize(
    "before",
    [
        layers.DepthwiseConv2D(3),
        layers.Conv2D(6, 3, groups=3),
        layers.Conv2D(6, 3, activation="softmax"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
    ],
)
def test_behind_anything_else_it_is_a_convolution(
    randomized: Build, rewrite_with: Build, before: Any
) -> None:
    outcome = rewrite_with(randomized(_net(before)), [REWRITE])
    assert outcome.forms == ["permutation"]
    assert outcome.ops == [type(before).__name__, "Conv2D", "Conv2D"]
    assert outcome.error <= 1e-6


def test_a_tensor_that_others_need_stays_in_its_order(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((5, 4, 6))
    y = layers.Conv2D(6, 1)(x)
    net = randomized(keras.Model(x, layers.Add()([_shuffled(y, 2), y])))
    outcome = rewrite_with(net, [REWRITE])
    assert outcome.forms == ["permutation"]
    assert outcome.error <= 1e-6


def _turned(y: Any, _: int) -> Any:
    """Swaps columns and channels."""
    y = layers.Permute((1, 3, 2))(layers.Reshape((5, 4, 6))(y))
    return layers.Reshape((5, 4, 6))(y)


def _into_rows(y: Any, _: int) -> Any:
    y = layers.Permute((1, 2, 4, 3))(layers.Reshape((4, 5, 2, 3))(y))
    return layers.Reshape((5, 4, 6))(y)


@pytest.mark.parametrize("other", [_turned, _into_rows])
def test_other_rearrangements_stay(randomized: Build, rewrite_with: Build, other: Build) -> None:
    outcome = rewrite_with(randomized(_net(layers.Conv2D(6, 1), other)), [REWRITE])
    assert (outcome.forms, outcome.reasons) == ([], [])


def test_an_inner_tensor_that_others_need_stays(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((5, 4, 6))
    inner = layers.Permute((1, 2, 4, 3))(layers.Reshape((5, 4, 2, 3))(layers.Conv2D(6, 1)(x)))
    one, other = (layers.Reshape((5, 4, 6))(y) for y in (inner, layers.ReLU()(inner)))
    outcome = rewrite_with(randomized(keras.Model(x, layers.Add()([one, other]))), [REWRITE])
    assert outcome.forms == []


def test_the_gpu_takes_it_then(randomized: Build, rewrite_with: Build) -> None:
    net = randomized(_net(layers.DepthwiseConv2D(3)))
    graph = rewrite_with(net, [REWRITE], chooser=CheapestForm(Delegate.GPU)).result.graph
    assert audit_model(Export(graph).float_model(Precision.FLOAT16)).gpu.outside == ()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    groups=st.integers(1, 5),
    size=st.integers(1, 4),
    picture=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    convolution=st.booleans(),
    seed=st.integers(0, 1 << 16),
)
def test_whatever_the_groups_are(
    groups: int, size: int, picture: tuple[int, int], convolution: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    channels = groups * size
    source = value = Node("image", None, (), (), {}, ((1, *picture, channels),)).output
    if convolution:
        layer = layers.Conv2D(channels, 1, activation="relu")
        layer.build(source.shape)
        for weight in layer.weights:
            weight.assign(rng.normal(size=weight.shape).astype(np.float32))
        value = apply_op("conv", layer, source)
    for number, step in enumerate(
        (
            layers.Reshape((*picture, groups, size)),
            layers.Permute((1, 2, 4, 3)),
            layers.Reshape((*picture, channels)),
        )
    ):
        value = apply_op(f"step{number}", step, value)
    graph = Graph(source, value)
    site = REWRITE.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    image = rng.normal(size=source.shape).astype(np.float32)
    (form,) = (form for form in site.forms if form.build)
    assert form.build
    changed = Graph(source, form.build(site.boundary))
    assert difference(*as_arrays([graph(image), changed(image)]))[1] <= TOLERANCE


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ("folded", "transposed"),
        ("folded", "no_bias"),
        ("permutation", "transposed"),
        ("permutation", "moved"),
    ],
)
def test_a_broken_one_is_undone(
    randomized: Build, verdict_on: Build, monkeypatch: pytest.MonkeyPatch, form: str, fault: str
) -> None:
    before = layers.Conv2D(6, 1, activation="relu" if form == "folded" else "softmax")
    net = randomized(_net(before, groups=2))
    assert verdict_on(net, REWRITE, form, "shuffle") == ""
    rebuilt, convolution = channel_shuffle.rebuilt, channel_shuffle.convolution

    def wrong_weights(*arguments: Any) -> Any:
        *others, kernel, bias, activation = arguments
        wrong = (kernel.swapaxes(2, 3), bias) if fault == "transposed" else (kernel, None)
        return rebuilt(*others, *wrong, activation)

    def wrong_order(name: str, source: Any, kernel: Any, bias: Any) -> Any:
        turned = kernel.swapaxes(2, 3) if fault == "transposed" else np.roll(kernel, 1, axis=3)
        return convolution(name, source, turned, bias)

    monkeypatch.setattr(channel_shuffle, "rebuilt", wrong_weights)
    monkeypatch.setattr(channel_shuffle, "convolution", wrong_order)
    assert "verification failed" in verdict_on(net, REWRITE, form, "shuffle")

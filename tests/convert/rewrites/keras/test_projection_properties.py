"""Heads and spellings, whatever lies between the convolution and the mask."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from portrait_tflite.convert.graph import Graph, Node, Value, apply_op, as_arrays, evaluate, trace
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras import projection_rules
from portrait_tflite.convert.rewrites.keras.affine import ChannelAffine
from portrait_tflite.convert.rewrites.keras.channel_projection import Wanted
from portrait_tflite.convert.rewrites.keras.mask_head import SelectChannel, TwoClassHead
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.convert.rewrites.keras.site import Site, TakeChannel

SETTINGS = settings(max_examples=200, deadline=None, derandomize=True)
HEAD, SELECT, SPELL = TwoClassHead(), SelectChannel(), OneSpelling()


def _image(shape: tuple[int, ...]) -> Value:
    return Node("image", None, (), (), {}, (shape,)).output


def _add(value: Value, layer: Any, rng: np.random.Generator) -> Value:
    layer.build(value.shape)
    for weight in layer.weights:
        positive = weight.name == "moving_variance"
        drawn = rng.uniform(0.5, 2, weight.shape) if positive else rng.normal(size=weight.shape)
        weight.assign(drawn.astype(np.float32))
    return apply_op(layer.name, layer, value)


def _between(draw: Any, value: Value) -> Any:
    """Draw a layer that a head may have between its convolution and its softmax."""
    height, width, depth = value.shape[1:]
    kinds = ["bilinear", "nearest", "norm", "pad", "reshape", "relu"]
    kind = draw(st.sampled_from(kinds))
    if kind in ("bilinear", "nearest"):
        return layers.UpSampling2D(draw(st.integers(1, 2)), interpolation=kind)
    if kind == "pad":
        return layers.ZeroPadding2D(((draw(st.integers(0, 2)), 1), (0, 1)))
    if kind == "norm":
        return layers.BatchNormalization()
    return layers.ReLU() if kind == "relu" else layers.Reshape((width, height, depth))


def _convolution(draw: Any, channels: int) -> Any:
    options: dict[str, Any] = {"padding": "same", "use_bias": draw(st.booleans())}
    if draw(st.booleans()):
        return layers.Conv2D(channels, draw(st.integers(1, 3)), **options)
    return layers.Conv2DTranspose(channels, draw(st.integers(1, 3)), strides=2, **options)


@SETTINGS
@given(st.data())
def test_a_channel_and_a_head_of_two_classes(data: st.DataObject) -> None:
    image = _image((1, data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)), 2))
    rng = np.random.default_rng(image.shape[1] * 10 + image.shape[2])
    logits = _add(image, _convolution(data.draw, 2), rng)
    for _ in range(data.draw(st.integers(0, 2))):
        logits = _add(logits, _between(data.draw, logits), rng)
    take = TakeChannel(data.draw(st.integers(0, 1)))
    channel = apply_op("mask", take, logits)
    mask = apply_op("mask", take, apply_op("softmax", layers.Softmax(), logits))
    results = []
    for value, rewrite in ((channel, SELECT), (mask, HEAD)):
        site = rewrite.match(value, Graph(image, value).uses())
        assert isinstance(site, Site)
        assert site.forms[0].build
        results.append(site.forms[0].build(site.boundary))
        assert results[-1].shape == value.shape
    known = {image: rng.normal(size=(2, *image.shape[1:])).astype(np.float32)}
    before_channel, channel_after, before_mask, mask_after = as_arrays(
        evaluate([channel, results[0], mask, results[1]], known)
    )
    assert difference(before_channel, channel_after)[1] <= TOLERANCE
    assert difference(before_mask, mask_after)[1] <= TOLERANCE


@SETTINGS
@given(st.data())
def test_slices_paddings_and_resizes(data: st.DataObject) -> None:
    height, width, depth = (data.draw(st.integers(4, 6)) for _ in range(3))
    few = st.integers(0, 2)
    kind = data.draw(st.sampled_from(("rows", "channel", "pad", "resize")))
    if kind == "rows":
        last = data.draw(st.sampled_from((None, -1, height)))
        key = (slice(None), slice(data.draw(few), last), slice(data.draw(few), width))
        function = operator.itemgetter(key)
    elif kind == "channel":
        channel = data.draw(st.integers(0, depth - 1))
        function = operator.itemgetter((Ellipsis, slice(channel, channel + 1)))
    elif kind == "pad":
        widths = ((0, 0), (data.draw(few), 1), (data.draw(few), data.draw(few)), (0, 0))
        function = functools.partial(ops.pad, pad_width=widths)
    else:
        size = (height * data.draw(st.integers(1, 3)), width * data.draw(st.integers(1, 3)))
        how = data.draw(st.sampled_from(("nearest", "bilinear")))
        function = functools.partial(ops.image.resize, size=size, interpolation=how)
    x = keras.Input((height, width, depth))
    graph = trace(keras.Model(x, function(x)))
    site = SPELL.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    assert site.forms[0].build
    result = site.forms[0].build(site.boundary)
    assert result.shape == graph.output.shape
    drawn = np.random.default_rng(height).normal(size=(2, height, width, depth))
    pair = evaluate([graph.output, result], {graph.input: drawn.astype(np.float32)})
    assert difference(*as_arrays(pair))[1] <= TOLERANCE


@pytest.mark.parametrize("fault", ["sign", "shift", "bias"])
def test_a_broken_head_is_undone(
    rewrite_with: Callable[..., Any],
    randomized: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    if fault == "sign":
        right = projection_rules._difference
        monkeypatch.setattr(projection_rules, "_difference", lambda w: Wanted(-right(w).weights))
    elif fault == "shift":
        read = projection_rules.affine_of

        def lost(node: Node) -> Any:
            found = read(node)
            return found and ChannelAffine(found.scale, 0 * found.shift)

        monkeypatch.setattr(projection_rules, "affine_of", lost)
    else:
        weights = projection_rules.weights_of
        monkeypatch.setattr(projection_rules, "weights_of", lambda layer: (weights(layer)[0], None))
    x = keras.Input((4, 5, 3))
    y = layers.BatchNormalization()(layers.Conv2D(2, 3)(x))
    net = randomized(keras.Model(x, layers.Softmax()(y)))
    outcome = rewrite_with(net, [HEAD], channel=1)
    assert "verification failed" in outcome.reasons[0]
    assert outcome.error == 0


@pytest.mark.parametrize("fault", ["other_channel", "bias", "transposed"])
def test_a_broken_choice_of_a_channel_is_undone(
    rewrite_with: Callable[..., Any],
    randomized: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    right = projection_rules.weights_of

    def broken(layer: Any) -> Any:
        kernel, bias = right(layer)
        wrong = {
            "other_channel": (kernel[..., ::-1], bias[::-1]),
            "bias": (kernel, None),
            "transposed": (kernel.swapaxes(2, 3), bias),
        }
        return wrong[fault]

    monkeypatch.setattr(projection_rules, "weights_of", broken)
    x = keras.Input((4, 5, 3))
    net = randomized(keras.Model(x, layers.ReLU()(layers.Conv2D(3, 3)(x))))
    outcome = rewrite_with(net, [SELECT], channel=2)
    assert "verification failed" in outcome.reasons[0]
    assert outcome.error == 0

"""Every form of a folded normalization computes the same, whatever the shapes are."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.graph import Graph, Node, Value, apply_op, as_arrays
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras.affine_before import FoldAffineBefore
from portrait_tflite.convert.rewrites.keras.affine_behind import (
    AffineAsDepthwise,
    FoldAffineBehind,
    SplitAffine,
)
from portrait_tflite.convert.rewrites.keras.site import Site

SETTINGS = settings(max_examples=200, deadline=None, derandomize=True)
KINDS = ("conv", "depthwise", "separable")
_INITIALIZERS = {
    "conv": ("kernel_initializer",),
    "depthwise": ("depthwise_initializer",),
    "separable": ("depthwise_initializer", "pointwise_initializer"),
    "transposed": ("kernel_initializer",),
}


def _convolution(draw: Any, kind: str, **options: Any) -> Any:
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    options |= {
        "padding": draw(st.sampled_from(("same", "valid"))),
        "use_bias": draw(st.booleans()),
    }
    # TensorFlow has no convolution with both, and no depthwise one of unequal strides.
    if draw(st.booleans()):
        options["strides"] = draw(st.integers(1, 3))
    elif kind != "transposed":
        options["dilation_rate"] = draw(st.integers(1, 3))
    if kind == "depthwise":
        return layers.DepthwiseConv2D(kernel, depth_multiplier=draw(st.integers(1, 2)), **options)
    made = {
        "conv": layers.Conv2D,
        "separable": layers.SeparableConv2D,
        "transposed": layers.Conv2DTranspose,
    }
    return made[kind](draw(st.integers(1, 4)), kernel, **options)


def _affine(draw: Any, rng: np.random.Generator, channels: int) -> Any:
    kind = draw(st.sampled_from(("batch", "rescaling", "normalization")))
    if kind == "rescaling":
        return layers.Rescaling(rng.uniform(0.2, 2, channels), float(rng.normal()))
    if kind == "normalization":
        mean, variance = rng.normal(size=channels), rng.uniform(0.2, 2, channels)
        return layers.Normalization(mean=mean, variance=variance, invert=draw(st.booleans()))
    return layers.BatchNormalization(center=draw(st.booleans()), scale=draw(st.booleans()))


def _drawn(layer: Any, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Give a layer random weights, signs of scales too."""
    layer.build(shape)
    for weight in layer.weights:
        value = rng.normal(size=weight.shape)
        if isinstance(layer, keras.layers.BatchNormalization):
            spread = rng.uniform(0.2, 2, weight.shape)
            positive = weight.name == "moving_variance"
            value = spread if positive else spread * rng.choice([-1, 1], weight.shape)
        if not isinstance(layer, keras.layers.Normalization):
            weight.assign(value.astype(np.float32))
    return layer


def _add(name: str, layer: Any, source: Value, rng: np.random.Generator) -> Value:
    return apply_op(name, _drawn(layer, source.shape, rng), source)


def _picture(draw: Any) -> Value:
    size = draw(st.tuples(st.integers(10, 13), st.integers(10, 13), st.integers(1, 3)))
    return Node("image", None, (), (), {}, ((1, *size),)).output


def _assert_same(graph: Graph, site: Any, rng: np.random.Generator) -> None:
    assert isinstance(site, Site)
    image = rng.normal(size=graph.input.shape).astype(np.float32)
    expected = as_arrays([graph(image)])[0]
    for form in site.forms:
        assert form.build is not None
        changed = Graph(graph.input, form.build(site.boundary))
        _, relative = difference(expected, as_arrays([changed(image)])[0])
        assert relative <= TOLERANCE, (form.name, relative)
        kinds = {type(node.op).__name__ for node in changed.nodes()}
        assert not kinds & {"BatchNormalization", "Rescaling", "Normalization"}


@SETTINGS
@given(st.data())
def test_before_a_convolution(data: Any) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 20)))
    value = source = _picture(data.draw)
    for number in range(data.draw(st.integers(1, 2))):
        value = _add(f"norm{number}", _affine(data.draw, rng, source.shape[3]), value, rng)
    if data.draw(st.booleans()):
        pads = data.draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2))
        value = apply_op("pad", layers.ZeroPadding2D(pads), value)
    kind = data.draw(st.sampled_from(KINDS))
    activation = data.draw(st.sampled_from((None, "relu")))
    layer = _convolution(data.draw, kind, activation=activation)
    graph = Graph(source, _add("conv", layer, value, rng))
    _assert_same(graph, FoldAffineBefore().match(graph.output, graph.uses()), rng)


@SETTINGS
@given(st.data())
def test_behind_a_convolution(data: Any) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 20)))
    source = _picture(data.draw)
    kind = data.draw(st.sampled_from((*KINDS, "transposed")))
    value = _add("conv", _convolution(data.draw, kind), source, rng)
    norm = _affine(data.draw, rng, value.shape[3])
    graph = Graph(source, _add("norm", norm, value, rng))
    _assert_same(graph, FoldAffineBehind().match(graph.output, graph.uses()), rng)
    _assert_same(graph, AffineAsDepthwise().match(graph.output, graph.uses()), rng)


@SETTINGS
@given(st.data())
def test_behind_a_sum_or_a_concatenation(data: Any) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 20)))
    source = _picture(data.draw)
    summed = data.draw(st.booleans())
    count = data.draw(st.sampled_from((2, 2, 3)))
    widths = (
        [data.draw(st.integers(1, 4))] * count
        if summed
        else [data.draw(st.integers(1, 4)) for _ in range(count)]
    )
    kernels = [data.draw(st.integers(1, 3)) for _ in widths]
    branches = [
        _add(
            f"conv{n}",
            layers.Conv2D(width, kernel, padding="same", kernel_initializer="zeros"),
            source,
            rng,
        )
        for n, (width, kernel) in enumerate(zip(widths, kernels, strict=True))
    ]
    joint = layers.Add() if summed else layers.Concatenate()
    value = apply_op("joint", joint, branches)
    norm = _affine(data.draw, rng, value.shape[3])
    graph = Graph(source, _add("norm", norm, value, rng))
    _assert_same(graph, SplitAffine().match(graph.output, graph.uses()), rng)

"""A Dense layer on a feature map is a 1×1 convolution."""

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
from portrait_tflite.convert.rewrites.keras import dense_as_convolution
from portrait_tflite.convert.rewrites.keras.affine_behind import FoldAffineBehind
from portrait_tflite.convert.rewrites.keras.dense_as_convolution import DenseAsConvolution
from portrait_tflite.convert.rewrites.keras.site import Site

Build = Callable[..., Any]
DENSE = DenseAsConvolution()


def _net(*stack: Any, shape: tuple[int, ...] = (4, 5, 3)) -> keras.Model:
    x = keras.Input(shape)
    y = x
    for layer in stack:
        y = layer(y)
    return keras.Model(x, y)


@pytest.mark.parametrize("activation", [None, "relu", "softmax"])
@pytest.mark.parametrize("bias", [True, False])
def test_on_a_map_it_is_a_convolution(
    randomized: Build, rewrite_with: Build, activation: str | None, bias: bool
) -> None:
    net = _net(layers.Dense(4, activation=activation, use_bias=bias))
    outcome = rewrite_with(randomized(net), [DENSE])
    assert (outcome.forms, outcome.ops) == (["convolution"], ["Conv2D"])
    assert outcome.error <= 1e-6


def test_a_normalization_behind_it_folds(randomized: Build, rewrite_with: Build) -> None:
    net = _net(layers.Dense(4), layers.BatchNormalization())
    outcome = rewrite_with(randomized(net), [DENSE, FoldAffineBehind()])
    assert outcome.ops == ["Conv2D"]
    assert outcome.error <= 1e-5


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(layers.Dense(4), (5, 3)), (layers.EinsumDense("...i,io->...o", 4), (4, 3))],
)
def test_vectors_and_other_products_stay(layer: Any, shape: tuple[int, ...]) -> None:
    graph = trace(_net(layer, shape=shape))
    assert DENSE.match(graph.output, graph.uses()) is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_whatever_the_sizes_are(data: st.DataObject) -> None:
    height, width, depth, units = (data.draw(st.integers(1, 6)) for _ in range(4))
    rng = np.random.default_rng(height * 1000 + width * 100 + depth * 10 + units)
    layer = layers.Dense(
        units,
        use_bias=data.draw(st.booleans()),
        activation=data.draw(st.sampled_from((None, "relu", "sigmoid", "softmax"))),
    )
    layer.build((1, height, width, depth))
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape).astype(np.float32))
    source = Node("image", None, (), (), {}, ((1, height, width, depth),)).output
    graph = Graph(source, apply_op("dense", layer, source))
    site = DENSE.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    assert site.forms[0].build
    image = rng.normal(size=(2, height, width, depth)).astype(np.float32)
    rewritten = Graph(source, site.forms[0].build(site.boundary))
    assert difference(*as_arrays([graph(image), rewritten(image)]))[1] <= TOLERANCE


@pytest.mark.parametrize("fault", ["transposed", "no_bias"])
def test_a_broken_one_is_undone(
    randomized: Build, rewrite_with: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def broken(layer: Any) -> tuple[Any, Any]:
        kernel, bias = (np.asarray(weight) for weight in layer.get_weights())
        return (kernel.T, bias) if fault == "transposed" else (kernel, None)

    monkeypatch.setattr(dense_as_convolution, "weights_of", broken)
    outcome = rewrite_with(randomized(_net(layers.Dense(3))), [DENSE])
    assert "verification failed" in outcome.reasons[0]
    assert outcome.error == 0

"""Layers that act in training only are gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from keras.src.applications.convnext import StochasticDepth

from portrait_tflite.convert.graph import Graph, Node, Value, apply_op, trace
from portrait_tflite.convert.rewrites.keras.site import Site
from portrait_tflite.convert.rewrites.keras.training_layers import DropTrainingLayers

Build = Callable[..., Any]
DROP = DropTrainingLayers()


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dropout(0.5),
        layers.SpatialDropout2D(0.5),
        layers.GaussianDropout(0.5),
        layers.GaussianNoise(0.5),
        layers.AlphaDropout(0.5),
        layers.ActivityRegularization(l2=0.1),
        layers.Identity(),
        StochasticDepth(0.5),
        layers.Activation("linear"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_it_is_removed(randomized: Build, rewrite_with: Build, layer: Any) -> None:
    x = keras.Input((5, 5, 3))
    y = layers.Conv2D(2, 1)(layer(layers.Conv2D(4, 3)(x)))
    outcome = rewrite_with(randomized(keras.Model(x, y)), [DROP])
    assert (outcome.forms, outcome.ops) == (["removed"], ["Conv2D", "Conv2D"])
    assert outcome.error == 0


def test_the_last_layer_may_go_too(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((5, 5, 3))
    y = layers.Dropout(0.5)(layers.Dropout(0.5)(layers.Conv2D(2, 1)(x)))
    outcome = rewrite_with(randomized(keras.Model(x, y)), [DROP])
    assert (outcome.ops, outcome.error) == (["Conv2D"], 0)


@pytest.mark.parametrize("layer", [layers.ReLU(), layers.Activation("relu"), layers.Rescaling(2)])
def test_layers_that_compute_stay(layer: Any) -> None:
    x = keras.Input((5, 5, 3))
    graph = trace(keras.Model(x, layer(layers.Conv2D(4, 3)(x))))
    assert DROP.match(graph.output, graph.uses()) is None


def test_on_the_image_itself_it_stays() -> None:
    x = keras.Input((5, 5, 3))
    graph = trace(keras.Model(x, layers.Dropout(0.5)(x)))
    assert DROP.match(graph.output, graph.uses()) is None


def test_a_dropout_that_is_always_on_is_caught(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((5, 5, 3))
    y = layers.Dropout(0.5, seed=1, name="noise")(layers.Conv2D(4, 3)(x), training=True)
    outcome = rewrite_with(randomized(keras.Model(x, y)), [DROP])
    assert outcome.forms == []
    assert outcome.reasons[0].startswith("verification failed")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    kinds=st.lists(
        st.sampled_from((layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise)),
        min_size=1,
        max_size=4,
    ),
    rate=st.floats(0.01, 0.99),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
)
def test_any_row_of_them_comes_to_nothing(
    kinds: list[Any], rate: float, shape: tuple[int, ...]
) -> None:
    source = Node("image", None, (), (), {}, ((1, *shape),)).output
    start = value = apply_op("conv", layers.Identity(), source)
    for number, kind in enumerate(kinds):
        value = apply_op(f"layer{number}", kind(rate), value)
    while value != start:
        value = _without(Graph(source, value))


def _without(graph: Graph) -> Value:
    site = DROP.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    assert site.forms[0].build
    image = np.random.default_rng(3).normal(size=graph.input.shape).astype(np.float32)
    left = Graph(graph.input, site.forms[0].build(site.boundary))
    assert np.array_equal(np.asarray(graph(image)), np.asarray(left(image)))
    return left.output

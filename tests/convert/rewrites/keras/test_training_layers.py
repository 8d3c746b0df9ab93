"""Layers that act in training only are gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from portrait_tflite.convert.graph import trace
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

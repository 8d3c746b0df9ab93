"""A tiny network, the same with its transposed convolution fitted, and pictures to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

SIZE = 16


@dataclass(frozen=True)
class Class:
    """Who teaches, who learns, and from what.

    Attributes:
        teacher: The graph as it came.
        fitted: The same with another function at the layer `up`.
        pictures: Bytes `[n, h, w, 3]`.
        lessons: To train on, and held out.
    """

    teacher: Any
    fitted: Any
    pictures: Any
    lessons: Any


@pytest.fixture(scope="session")
def pictures() -> Any:
    """Blurry noise, no two alike."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (40, 4, 4, 3))
    return coarse.repeat(SIZE // 4, 1).repeat(SIZE // 4, 2).astype(np.uint8)


@pytest.fixture(scope="session")
def school(randomized: Any, pictures: Any) -> Class:
    """Fit a random network's transposed convolution badly: by its cheapest form."""
    import keras
    from keras import layers

    from portrait_tflite.convert.choice import CheapestForm
    from portrait_tflite.convert.finetuning.lessons import make_lessons
    from portrait_tflite.convert.finetuning.options import FineTuningOptions
    from portrait_tflite.convert.graph import trace
    from portrait_tflite.convert.rewriter import rewrite_graph
    from portrait_tflite.convert.rewrites.keras.transposed_convolution import (
        TransposedConvolution,
    )
    from portrait_tflite.vocabulary import Approximation, Delegate, ModelSpec

    x = keras.Input((SIZE, SIZE, 3))
    y = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="down")(x)
    y = layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu", name="up")(y)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.Conv2D(1, 3, padding="same", name="logits")(y)
    model = randomized(keras.Model(x, layers.Activation("sigmoid", name="mask")(y)), seed=1)
    inputs = pictures.astype(np.float32) / 255
    _decide(model, inputs)
    graph = trace(model)
    spec = ModelSpec(SIZE, SIZE)
    chooser = CheapestForm(Delegate.XNNPACK, frozenset({Approximation.RESIZE}))
    fitted = rewrite_graph(graph, (inputs[:8],), chooser, [TransposedConvolution()]).graph
    return Class(graph, fitted, pictures, make_lessons(pictures, spec, graph, FineTuningOptions()))


def _decide(model: Any, inputs: Any) -> None:
    """Scale the last layer so that masks are half person, and mostly sure of it."""
    import keras

    head = model.get_layer("logits")
    logits = np.asarray(keras.Model(model.inputs, head.output)(inputs))
    kernel, bias = head.get_weights()
    scale = 3 / logits.std()
    head.set_weights([scale * kernel, scale * (bias - np.median(logits))])

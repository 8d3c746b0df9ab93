"""Broadcasts and reshapes to the shape of another tensor, whose batch Keras remembers as None."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.loading.broadcasts import follow_batch
from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.vocabulary import Precision

Build = Callable[..., Any]


def _context(y: Any) -> Any:
    """The whole picture's mean beside every position."""
    mean = ops.mean(y, axis=(1, 2), keepdims=True)
    return layers.Concatenate()([y, ops.broadcast_to(mean, ops.shape(y))])


def _net(batch: int | None, *, nested: bool = False) -> keras.Model:
    x = keras.Input((8, 12, 3), batch_size=batch)
    y = layers.Conv2D(4, 3, padding="same")(x)
    if nested:
        z = keras.Input((8, 12, 4), batch_size=batch)
        y = keras.Model(z, _context(z))(y)
    else:
        y = _context(y)
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


def _expected(model: keras.Model, images: Any) -> Any:
    """Compute the same with NumPy's broadcasting between the layers."""
    first, last = (one for one in model.layers if isinstance(one, layers.Conv2D))
    y = np.asarray(first(images))
    mean = np.broadcast_to(y.mean((1, 2), keepdims=True), y.shape)
    return np.asarray(last(np.concatenate([y, mean], axis=-1)))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("batch", [None, 1, 5])
def test_every_batch_is_taken(
    randomized: Build, tmp_path: Path, batch: int | None, nested: bool
) -> None:
    path = tmp_path / "net.keras"
    randomized(_net(batch, nested=nested)).save(path)
    model = load_model(str(path), LoadOptions(input_range=(0, 1))).model
    images = np.random.default_rng(1).uniform(0, 1, (3, 8, 12, 3)).astype(np.float32)
    graph = trace(model)
    np.testing.assert_allclose(np.asarray(graph(images)), _expected(model, images), atol=1e-6)


@pytest.mark.parametrize("batch", [None, 5])
def test_a_reshape_to_the_shape_of_another_tensor(
    randomized: Build, tmp_path: Path, batch: int | None
) -> None:
    x = keras.Input((8, 12, 3), batch_size=batch)
    y = layers.Conv2D(4, 3, padding="same")(x)
    rows = ops.reshape(y, (ops.shape(y)[0], -1, 4)) * 2.0
    y = layers.Conv2D(1, 1, activation="sigmoid")(ops.reshape(rows, ops.shape(y)))
    path = tmp_path / "net.keras"
    randomized(keras.Model(x, y)).save(path)
    model = load_model(str(path), LoadOptions(input_range=(0, 1))).model
    images = np.random.default_rng(1).uniform(0, 1, (3, 8, 12, 3)).astype(np.float32)
    first, last = (one for one in model.layers if isinstance(one, layers.Conv2D))
    expected = np.asarray(last(2 * first(images)))
    np.testing.assert_allclose(np.asarray(trace(model)(images)), expected, atol=1e-6)


def test_a_number_per_channel_becomes_a_resize(randomized: Build, rewrite_with: Build) -> None:
    model = randomized(_net(None))
    follow_batch(model)
    outcome = rewrite_with(model, [OneSpelling()])
    assert "BroadcastTo" not in outcome.ops
    assert outcome.error <= 1e-6
    data = Export(outcome.result.graph).float_model(Precision.FLOAT16)
    audit = audit_model(data)
    assert (audit.gpu.outside, audit.xnnpack.outside) == ((), ())


def test_a_broadcast_over_channels_stays(rewrite_with: Build) -> None:
    x = keras.Input((8, 12, 1))
    model = keras.Model(x, ops.broadcast_to(x, (None, 8, 12, 4)) * 2.0)
    follow_batch(model)
    outcome = rewrite_with(model, [OneSpelling()])
    assert "BroadcastTo" in outcome.ops
    assert outcome.error == 0

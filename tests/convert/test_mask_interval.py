"""Masks that are probabilities by their last operations, and those of tanh."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.convert.mask_interval import mask_interval
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Activation

Build = Callable[..., Any]


def _net(head: Build, outputs: Build | None = None) -> keras.Model:
    x = keras.Input((16, 16, 3))
    y = head(layers.Conv2D(1, 3, padding="same", name="logits")(x))
    return keras.Model(x, outputs(y) if outputs else y)


def _tanh(y: Any) -> Any:
    return layers.Activation("tanh", name="head")(y)


@pytest.mark.parametrize(
    ("head", "interval"),
    [
        (layers.Activation("sigmoid"), (0, 1)),
        (ops.sigmoid, (0, 1)),
        (_tanh, (-1, 1)),
        (ops.tanh, (-1, 1)),
        (lambda y: layers.Conv2D(1, 1, activation="tanh")(y), (-1, 1)),
        (lambda y: (_tanh(y) + 1.0) / 2, (0, 1)),
        (lambda y: layers.Rescaling(0.5, 0.5)(ops.tanh(y)), (0, 1)),
        (lambda y: 1.0 - ops.sigmoid(y), (0, 1)),
        (lambda y: layers.ReLU(1.0)(y), (0, 1)),
        (lambda y: layers.ReLU(6.0)(y + 3.0) / 6, (0, 1)),
        (lambda y: ops.hard_sigmoid(y), (0, 1)),
        (lambda y: layers.UpSampling2D(2, interpolation="bilinear")(_tanh(y)), (-1, 1)),
        (lambda y: ops.sigmoid(y) * 255.0, (0, 255)),
        (lambda y: y, None),
        (lambda y: y * 0.5, None),
        (lambda y: layers.ReLU()(y), None),
        (lambda y: layers.ReLU(1.0, negative_slope=0.1)(y), None),
        (lambda y: _tanh(y) + ops.sigmoid(y), None),
    ],
)
def test_the_last_operations_tell(head: Build, interval: Any) -> None:
    found = mask_interval(_net(head), 0)
    assert (found is None) == (interval is None)
    assert interval is None or np.allclose(found, interval)


def _load(model: keras.Model, folder: Path, **options: Any) -> Any:
    path = folder / "net.keras"
    model.save(path)
    return load_model(str(path), LoadOptions(input_range=(0.0, 1.0), **options))


@pytest.mark.parametrize("spelled", [lambda t: (t + 1.0) / 2, layers.Rescaling(0.5, 0.5)])
def test_a_scaled_tanh_is_a_probability(tmp_path: Path, spelled: Build) -> None:
    loaded = _load(_net(lambda y: spelled(_tanh(y))), tmp_path)
    assert loaded.spec.output.activation is Activation.NONE
    with pytest.raises(UsageError, match="--activation sigmoid: the mask of .* ends in"):
        _load(_net(lambda y: spelled(_tanh(y))), tmp_path, activation=Activation.SIGMOID)


def test_a_tanh_is_brought_from_zero_to_one(
    tmp_path: Path, images_for: Build, randomized: Build
) -> None:
    model = randomized(_net(_tanh, lambda y: [layers.Conv2D(4, 1)(y), y]))
    loaded = _load(model, tmp_path, output=1)
    images = images_for(model)
    mask = np.asarray(loaded.model(images)[1])
    np.testing.assert_allclose(mask, (np.asarray(model(images)[1]) + 1) / 2, atol=1e-6)
    assert 0 <= mask.min() < 0.5 < mask.max() <= 1


def test_bytes_are_brought_from_zero_to_one(
    tmp_path: Path, images_for: Build, randomized: Build
) -> None:
    model = randomized(_net(lambda y: ops.sigmoid(y) * 255.0))
    images = images_for(model)
    mask = np.asarray(_load(model, tmp_path).model(images))
    np.testing.assert_allclose(mask, np.asarray(model(images)) / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "last"),
    [
        (lambda y: layers.UpSampling2D(2, interpolation="bilinear")(_tanh(y)), "UpSampling2D"),
        (lambda y: layers.MaxPooling2D(3, 1)(layers.Cropping2D(1)(_tanh(y))), "MaxPooling2D"),
        (lambda y: layers.Rescaling(127.5, 127.5)(_tanh(y)), "Rescaling"),
        (lambda y: layers.Rescaling(255.0)(layers.Activation("sigmoid")(y)), "Activation"),
        (lambda y: layers.Rescaling(-255.0, 255.0)(ops.sigmoid(y)), "Rescaling"),
        (
            lambda y: layers.Resizing(20, 16, pad_to_aspect_ratio=True)(_tanh(y)),
            "Rescaling",
        ),
    ],
)
def test_it_is_brought_so_where_its_interval_comes_from(
    tmp_path: Path, images_for: Build, randomized: Build, head: Build, last: str
) -> None:
    """Behind a resize it would be an op of its own, and two rescalings two."""
    model = randomized(_net(head))
    images = images_for(model)
    loaded = _load(model, tmp_path).model
    low, high = mask_interval(model, 0) or (0, 0)
    expected = (np.asarray(model(images)) - low) / (high - low)
    np.testing.assert_allclose(np.asarray(loaded(images)), expected, atol=1e-6)
    assert type(loaded.outputs[0]._keras_history.operation).__name__ == last


def test_unless_it_is_said_to_be_something(
    tmp_path: Path, images_for: Build, randomized: Build
) -> None:
    model = randomized(_net(_tanh))
    images = images_for(model)
    for said in (Activation.NONE, Activation.SIGMOID):
        loaded = _load(model, tmp_path, activation=said)
        assert loaded.spec.output.activation is said
        np.testing.assert_array_equal(loaded.model(images), model(images))


@pytest.mark.parametrize("head", [lambda y: y * 0.5, lambda y: ops.sigmoid(y) * 3.0])
def test_what_is_no_probability_is_refused(tmp_path: Path, head: Build) -> None:
    with pytest.raises(UsageError, match="not in a sigmoid or softmax: --activation"):
        _load(_net(head), tmp_path)

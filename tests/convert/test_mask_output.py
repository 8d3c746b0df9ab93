"""Heads that are no soft map yet: an argmax, a flattened map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from portrait_tflite.convert.mask_output import choose_mask
from portrait_tflite.errors import UsageError

Build = Callable[..., Any]


def _net(head: Callable[[Any], Any], channels: int = 2) -> keras.Model:
    x = keras.Input((64, 64, 3))
    y = layers.Conv2D(channels, 3, strides=2, padding="same", name="logits")(x)
    return keras.Model(x, head(y))


def _softmax(y: Any) -> Any:
    return layers.Softmax()(y)


@pytest.mark.parametrize(
    "head",
    [
        lambda y: ops.argmax(_softmax(y), axis=-1),
        lambda y: ops.argmax(_softmax(y), axis=3, keepdims=True),
        lambda y: ops.cast(ops.expand_dims(ops.argmax(_softmax(y), axis=-1), -1), "float32"),
        lambda y: ops.cast(ops.argmax(_softmax(y), axis=-1), "float32")[..., None],
        lambda y: ops.cast(ops.argmax(_softmax(y), axis=3, keepdims=True), "float32")[..., 0],
    ],
)
def test_of_an_argmax_what_it_chooses_from_is_the_mask(
    randomized: Build, images_for: Build, head: Callable[[Any], Any]
) -> None:
    net = randomized(_net(head))
    found, spec = choose_mask(net, "net.keras", None, 1)
    images = images_for(net)
    mask = np.asarray(found(images))
    assert (mask.shape, spec.channel) == ((2, 32, 32, 2), 1)
    assert np.array_equal(mask.argmax(-1), np.asarray(net(images)).reshape(2, 32, 32))


@pytest.mark.parametrize("behind", [lambda y: y, lambda y: ops.cast(y, "float32")[..., None]])
def test_a_class_map_that_is_cropped_is_cropped_before(
    randomized: Build, images_for: Build, behind: Callable[[Any], Any]
) -> None:
    net = randomized(_net(lambda y: behind(ops.argmax(_softmax(y), axis=-1))[:, 1:-3, 2:]))
    found, _ = choose_mask(net, "net.keras", None, 1)
    images = images_for(net)
    mask = np.asarray(found(images))
    assert mask.shape == (2, 28, 30, 2)
    assert np.array_equal(mask.argmax(-1), np.asarray(net(images)).reshape(2, 28, 30))


def test_of_one_hot_classes_the_scores_are_the_mask(randomized: Build, images_for: Build) -> None:
    net = randomized(_net(lambda y: ops.one_hot(ops.argmax(_softmax(y), axis=-1), 2)))
    found, spec = choose_mask(net, "net.keras", None, 1)
    images = images_for(net)
    mask = np.asarray(found(images))
    assert (mask.shape, spec.channel) == ((2, 32, 32, 2), 1)
    assert np.array_equal(np.eye(2)[mask.argmax(-1)], np.asarray(net(images)))


def test_a_slice_of_something_else_is_no_class_map() -> None:
    net = _net(lambda y: ops.one_hot(ops.argmax(y, axis=-1), 2)[..., :1])
    found, spec = choose_mask(net, "net.keras", None, None)
    assert (found.outputs[0].shape, spec.channel) == ((None, 32, 32, 1), 0)


def test_an_argmax_of_several_outputs(randomized: Build) -> None:
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(2, 3, padding="same")(x)
    net = randomized(keras.Model(x, [layers.Dense(4)(y), ops.argmax(_softmax(y), axis=-1)]))
    found, spec = choose_mask(net, "net.keras", 1, 0)
    assert (found.outputs[1].shape, spec.index) == ((None, 8, 8, 2), 1)


def test_the_person_among_them_must_be_named() -> None:
    net = _net(lambda y: ops.argmax(_softmax(y), axis=-1))
    wanted = r"has 2 channels, of which its argmax keeps the best alone; --output-channel must say"
    with pytest.raises(UsageError, match=wanted):
        choose_mask(net, "net.keras", None, None)


def test_an_argmax_over_rows_is_no_mask() -> None:
    net = _net(lambda y: ops.argmax(y, axis=1))
    with pytest.raises(UsageError, match="a mask .* is required"):
        choose_mask(net, "net.keras", None, 0)


@pytest.mark.parametrize(
    ("head", "channels"),
    [
        (lambda y: layers.Activation("softmax")(layers.Reshape((1024, 2))(y)), 2),
        (lambda y: _softmax(layers.Reshape((-1, 2))(y)), 2),
        (lambda y: layers.Activation("sigmoid")(layers.Reshape((1024, 1))(y)), 1),
        (lambda y: layers.Activation("sigmoid")(layers.Flatten()(y)), 1),
    ],
)
def test_a_flattened_map_gets_its_shape_back(
    randomized: Build, images_for: Build, head: Callable[[Any], Any], channels: int
) -> None:
    net = randomized(_net(head, channels))
    found, _ = choose_mask(net, "net.keras", None, 0)
    images = images_for(net)
    expected = np.asarray(net(images)).reshape(2, 32, 32, channels)
    assert np.array_equal(np.asarray(found(images)), expected)


@pytest.mark.parametrize(
    "head",
    [
        lambda y: layers.Dense(1024, activation="sigmoid")(layers.Flatten()(y)),
        lambda y: layers.Activation("sigmoid")(layers.Flatten()(y)),
        lambda y: layers.Softmax()(layers.Reshape((1024, 2))(layers.Permute((3, 1, 2))(y))),
    ],
    ids=["mixed", "two_channels", "channels_first"],
)
def test_other_vectors_stay_refused(head: Callable[[Any], Any]) -> None:
    with pytest.raises(UsageError, match="a mask .* is required"):
        choose_mask(_net(head), "net.keras", None, 0)

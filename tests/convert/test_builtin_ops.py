"""Ops that only TensorFlow has, under the names of those that TFLite has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait_tflite.convert import builtin_ops
from portrait_tflite.convert.builtin_ops import with_builtins
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.graph import trace
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, Precision

Build = Callable[..., Any]


def _traced(side: Any = (8, 12), **options: Any) -> Any:
    given_to = tf.TensorSpec((1, *side, 3), tf.float32, name="image")
    settings_of = {"sizes": (4, 4), "strides": (4, 4), "rates": (1, 1), **options}
    lists = {name: [1, *pair, 1] for name, pair in settings_of.items() if name != "padding"}

    def patches(image: Any) -> Any:
        padding = settings_of.get("padding", "VALID")
        return 2 * tf.image.extract_patches(image, padding=padding, **lists)

    return tf.function(patches).get_concrete_function(given_to)


def _types(concrete: Any) -> set[str]:
    return {operation.type for operation in concrete.graph.get_operations()}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    side=st.tuples(st.integers(10, 14), st.integers(10, 14)),
    step=st.sampled_from(["of_size", "strides", "rates"]),
    numbers=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["SAME", "VALID"]),
)
def test_whatever_the_patches_are(
    sizes: Any, side: Any, step: str, numbers: Any, padding: str
) -> None:
    options = {"strides": sizes if step == "of_size" else (1, 1)}
    if step != "of_size":
        options[step] = numbers
    concrete = _traced(side, sizes=sizes, padding=padding, **options)
    lowered = with_builtins(concrete)
    assert "ExtractImagePatches" in _types(concrete) - _types(lowered)
    image = tf.constant(np.random.default_rng(0).normal(size=(1, *side, 3)), tf.float32)
    np.testing.assert_array_equal(np.asarray(lowered(image)[0]), np.asarray(concrete(image)))


@pytest.mark.parametrize(
    ("options", "op"),
    [
        ({}, "SpaceToDepth"),
        ({"side": (9, 12)}, "Conv2D"),
        ({"strides": (2, 2)}, "Conv2D"),
        ({"sizes": (2, 4), "strides": (2, 4)}, "Conv2D"),
        ({"sizes": (1, 1), "strides": (1, 1)}, "Conv2D"),
    ],
)
def test_patches_side_by_side_are_no_product(options: Any, op: str) -> None:
    found = _types(with_builtins(_traced(**options)))
    assert found & {"Conv2D", "SpaceToDepth"} == {op}


def test_patches_of_integers_keep_their_name_for_the_message() -> None:
    def patches(x: Any) -> Any:
        return tf.image.extract_patches(x, [1, 2, 4, 1], [1, 2, 4, 1], [1, 1, 1, 1], "VALID")

    traced = tf.function(patches).get_concrete_function(tf.TensorSpec((1, 8, 12, 3), tf.int32))
    assert "ExtractImagePatches" in _types(with_builtins(traced))


def test_a_function_without_patches_stays() -> None:
    concrete = tf.function(tf.nn.relu).get_concrete_function(tf.TensorSpec((1, 4)))
    assert with_builtins(concrete) is concrete


class Patches(keras.layers.Layer):
    """A layer of the user's own that calls TensorFlow."""

    def call(self, x: Any) -> Any:
        return tf.image.extract_patches(x, [1, 4, 4, 1], [1, 4, 4, 1], [1, 1, 1, 1], "VALID")

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], shape[1] // 4, shape[2] // 4, 16 * shape[3])


def test_a_layer_of_patches_is_exported(randomized: Build) -> None:
    x = keras.Input((8, 12, 3))
    model = randomized(keras.Model(x, keras.layers.Dense(4, "relu")(Patches()(x))))
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    assert op_names(read_model(data))[0] == "SPACE_TO_DEPTH"
    picture = np.random.default_rng(1).uniform(0, 1, (1, 8, 12, 3)).astype(np.float32)
    (found,) = open_model(data, Delegate.CPU).run(picture)
    np.testing.assert_allclose(found, np.asarray(model(picture)), rtol=1e-5, atol=1e-5)


def test_another_order_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = np.eye
    monkeypatch.setattr(builtin_ops.np, "eye", lambda n, dtype: ones(n, dtype=dtype)[::-1])
    concrete = _traced(strides=(2, 2))
    image = tf.random.normal((1, 8, 12, 3), seed=1)
    lowered = with_builtins(concrete)
    assert np.abs(np.asarray(lowered(image)[0]) - np.asarray(concrete(image))).max() > 1e-3

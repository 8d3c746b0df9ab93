"""Keras models of every make as graphs of layer calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from portrait_tflite.convert.graph import (
    Graph,
    NotWalkableError,
    Value,
    apply_op,
    as_arrays,
    evaluate,
    replaced,
    trace,
)
from portrait_tflite.convert.plan import mask_graph
from portrait_tflite.vocabulary import Activation, ModelSpec, OutputSpec

Build = Callable[..., Any]
SIZE = (8, 8, 3)


def _functional() -> keras.Model:
    x = keras.Input(SIZE)
    left = layers.Conv2D(4, 3, padding="same", name="left")(x)
    right = layers.Conv2D(4, 1, name="right")(x)
    y = layers.Concatenate(name="both")([layers.Add(name="sum")([left, right]), right])
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid", name="mask")(y))


def _sequential() -> keras.Model:
    return keras.Sequential(
        [keras.Input(SIZE), layers.Conv2D(4, 3, name="a"), layers.Conv2D(1, 1, name="b")]
    )


def _nested() -> keras.Model:
    inner_input = keras.Input((8, 8, 4))
    inner = keras.Model(inner_input, layers.Conv2D(4, 3, padding="same", name="deep")(inner_input))
    x = keras.Input(SIZE)
    y = keras.Sequential([layers.Conv2D(4, 1, name="first")])(x)
    # Called twice: one layer, two nodes.
    return keras.Model(x, layers.Conv2D(1, 1, name="mask")(inner(inner(y))))


def _shared() -> keras.Model:
    x = keras.Input(SIZE)
    twice = layers.Conv2D(3, 3, padding="same", name="twice")
    return keras.Model(x, layers.Conv2D(1, 1, name="mask")(twice(layers.ReLU()(twice(x)))))


def _operations() -> keras.Model:
    x = keras.Input(SIZE)
    y = keras.ops.concatenate([x, keras.ops.relu(x) * 2.0], axis=-1)
    first, second = keras.ops.split(y, 2, axis=-1)
    y = layers.Conv2D(4, 1, name="conv")(keras.ops.add(first, 1.0) - second)
    return keras.Model(x, keras.ops.depth_to_space(y, 2)[:, 1:, ...])


class _Subclass(keras.Model):
    """Nothing says what it calls: TensorFlow's own functions take no symbolic tensors."""

    def __init__(self) -> None:
        super().__init__(name="subclass")
        self.conv = layers.Conv2D(2, 3, padding="same", name="hidden")

    def call(self, x: Any) -> Any:
        return tf.identity(self.conv(x))


def _part_subclassed() -> keras.Model:
    x = keras.Input(SIZE)
    return keras.Model(x, layers.Conv2D(1, 1, name="mask")(_Subclass()(x)))


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (_functional, ["left", "right", "sum", "both", "mask"]),
        (_sequential, ["a", "b"]),
        (_nested, ["first", "deep", "deep", "mask"]),
        (_shared, ["twice", "re_lu", "twice", "mask"]),
        (_operations, None),
        (_part_subclassed, ["subclass", "mask"]),
    ],
)
def test_a_graph_computes_what_its_model_does(
    randomized: Build, images_for: Build, build: Build, names: list[str] | None
) -> None:
    keras.backend.clear_session()
    model = randomized(build())
    graph = trace(model)
    images = images_for(model)
    np.testing.assert_allclose(graph(images), model(images), rtol=1e-6, atol=1e-6)
    assert graph.input.shape == (1, *SIZE)
    assert graph.output.shape == (1, *model.outputs[0].shape[1:])
    if names:
        assert sorted(n.name for n in graph.nodes() if n.op) == sorted(names)


class _Pooled(layers.Layer):
    """Pools, resizes back and normalizes, as keras-hub's atrous pyramid does.

    Resizing takes itself to be in training unless told otherwise, and with it what comes behind.
    """

    def __init__(self, walkable: bool) -> None:
        super().__init__(name="pooled")
        self.conv = layers.Conv2D(4, 1, name="hidden")
        self.resize = layers.Resizing(*SIZE[:2], name="resize")
        self.norm = layers.BatchNormalization(name="norm")
        self.walkable = walkable

    def call(self, x: Any) -> Any:
        y = self.norm(self.resize(self.conv(x[:, ::2, ::2])))
        return y if self.walkable else tf.identity(y)


@pytest.mark.parametrize("walkable", [True, False])
def test_a_layer_within_a_layer_computes_as_at_inference(
    randomized: Build, images_for: Build, walkable: bool
) -> None:
    x = keras.Input(SIZE)
    model = randomized(keras.Model(x, layers.Conv2D(1, 1, name="mask")(_Pooled(walkable)(x))))
    graph = trace(model)
    images = images_for(model)
    expected = model(images, training=False)
    np.testing.assert_allclose(graph(images), expected, rtol=1e-6, atol=1e-6)
    assert ("norm" in [node.name for node in graph.nodes()]) == walkable


class _Tokens(layers.Layer):
    """Reshapes to sizes that it read off its input, the batch among them, as attention does."""

    def __init__(self) -> None:
        super().__init__(name="tokens")
        self.hidden = layers.Dense(4, name="hidden")

    def call(self, x: Any) -> Any:
        batch, height, width, channels = keras.ops.shape(x)
        y = self.hidden(keras.ops.reshape(x, (batch, -1, channels)))
        return keras.ops.reshape(y, (batch, height, width, 4))


def test_a_layer_that_reshapes_to_the_batch_is_walked(randomized: Build, images_for: Build) -> None:
    x = keras.Input(SIZE)
    model = randomized(keras.Model(x, layers.Conv2D(1, 1, name="mask")(_Tokens()(x))))
    graph = trace(model)
    images = images_for(model)
    shapes = {node.name: node.output.shape for node in graph.nodes()}
    assert shapes["hidden"] == (1, SIZE[0] * SIZE[1], 4)
    np.testing.assert_allclose(graph(images), model(images), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("index", [0, 1])
def test_one_of_several_outputs_is_taken(randomized: Build, images_for: Build, index: int) -> None:
    x = keras.Input(SIZE)
    y = layers.Conv2D(4, 1, name="trunk")(x)
    outputs = [layers.Conv2D(n, 1, name=f"head{n}")(y) for n in (1, 2)]
    model = randomized(keras.Model(x, outputs))
    graph = trace(model, index)
    images = images_for(model)
    np.testing.assert_allclose(graph(images), model(images)[index], rtol=1e-6, atol=1e-6)
    # What only another output needs is not part of it.
    assert [n.name for n in graph.nodes() if n.op] == ["trunk", f"head{index + 1}"]


def test_a_loaded_file_is_walked_like_the_model(
    randomized: Build, images_for: Build, tmp_path: Any
) -> None:
    model = randomized(_nested())
    model.save(tmp_path / "net.keras")
    graph = trace(keras.models.load_model(tmp_path / "net.keras"))
    images = images_for(model)
    np.testing.assert_allclose(graph(images), model(images), rtol=1e-6, atol=1e-6)


def test_a_subclassed_model_is_not_walkable() -> None:
    with pytest.raises(NotWalkableError, match="subclass"):
        trace(_Subclass())


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "part"])
def test_what_cannot_be_walked_is_one_node_and_reported(
    randomized: Build, images_for: Build, whole: bool
) -> None:
    model = _Subclass() if whole else _part_subclassed()
    images = np.random.default_rng(0).normal(size=(2, *SIZE)).astype(np.float32)
    model(images)
    randomized(model)
    graph, skipped = mask_graph(model, ModelSpec(8, 8, output=OutputSpec(channel=int(whole))))
    assert [(s.rewrite, s.layer) for s in skipped] == [("all", "subclass")]
    assert "cannot be walked" in skipped[0].reason
    np.testing.assert_allclose(graph(images), model(images)[..., -1:], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("activation", list(Activation))
def test_the_mask_is_one_channel_with_its_activation(
    randomized: Build, images_for: Build, activation: Activation
) -> None:
    x = keras.Input(SIZE)
    model = randomized(keras.Model(x, layers.Conv2D(3, 1)(x)))
    output = OutputSpec(channel=2, activation=activation)
    graph, skipped = mask_graph(model, ModelSpec(8, 8, output=output))
    images = images_for(model)
    function = keras.activations.get(None if activation is Activation.NONE else str(activation))
    expected = function(model(images))[..., 2:]
    np.testing.assert_allclose(graph(images), expected, rtol=1e-5, atol=1e-6)
    assert (graph.output.shape, skipped) == ((1, 8, 8, 1), ())


def test_uses_count_the_output_too(randomized: Build) -> None:
    graph = trace(randomized(_functional()))
    uses = {value.node.name: count for value, count in graph.uses().items()}
    assert uses == {"image": 2, "left": 1, "right": 2, "sum": 1, "both": 1, "mask": 1}


def test_evaluate_does_not_run_what_is_given() -> None:
    def explode(x: Any) -> Any:
        raise AssertionError("this was given")

    source = apply_op("double", lambda x: x * 2, trace(_sequential()).input)
    hidden = Value(type(source.node)("explode", explode, (source,), (), {}, (source.shape,)), 0)
    result = apply_op("next", lambda x: x + 1, hidden)
    given = np.ones((1, *SIZE), np.float32)
    np.testing.assert_array_equal(as_arrays(evaluate([result], {hidden: given}))[0], given + 1)


def test_replacing_leaves_the_graph_as_it_was(randomized: Build, images_for: Build) -> None:
    model = randomized(_functional())
    graph, images = trace(model), images_for(model)
    before = np.asarray(graph(images))

    def negate(old: Value, kept: Value, new: dict[Value, Value]) -> Value:
        return apply_op("negate", lambda x: -x, kept) if old.node.name == "mask" else kept

    after = replaced(graph, negate)
    assert isinstance(after, Graph)
    np.testing.assert_array_equal(np.asarray(after(images)), -before)
    np.testing.assert_array_equal(np.asarray(graph(images)), before)

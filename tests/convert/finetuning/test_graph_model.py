"""Copies of graphs with weights of their own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from portrait_tflite.convert.finetuning.graph_model import masks_of, teacher_of, with_own_weights
from portrait_tflite.convert.graph import Graph, apply_op, trace


class _NoConfiguration(layers.Layer):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = self.add_weight(shape=(), initializer="ones")
        self._factor.assign(factor)

    def call(self, x: Any) -> Any:
        return x * self._factor

    def get_config(self) -> Any:
        raise NotImplementedError


def test_a_shared_layer_is_copied_once(randomized: Any, images_for: Any) -> None:
    x = keras.Input((6, 6, 4))
    shared = layers.Conv2D(4, 3, padding="same")
    model = randomized(keras.Model(x, layers.Concatenate()([shared(shared(x)), x])))
    graph, copies = with_own_weights(trace(model))
    assert len(copies) == 1
    images = images_for(model)
    np.testing.assert_array_equal(graph(images), model(images))
    copies[0].set_weights([0 * weight for weight in copies[0].get_weights()])
    assert np.abs(model(images)[..., :4]).max() > 0
    assert np.abs(graph(images)[..., :4]).max() == 0


def test_arguments_of_a_call_are_kept(randomized: Any, images_for: Any) -> None:
    x = keras.Input((6, 6, 4))
    y = layers.Conv2D(4, 1)(x) + 2.0 * x
    model = randomized(keras.Model(x, keras.ops.concatenate([y, layers.PReLU()(y)], axis=-1)))
    graph, copies = with_own_weights(trace(model))
    assert len(copies) == 2
    np.testing.assert_array_equal(graph(images_for(model)), model(images_for(model)))


def test_what_cannot_be_copied_stays_shared_and_untrained(images_for: Any) -> None:
    class Whole(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self._inner = layers.Conv2D(2, 1)

        def call(self, x: Any) -> Any:
            return self._inner(x)

    x = keras.Input((6, 6, 4))
    model = keras.Model(x, Whole()(_NoConfiguration(3.0)(layers.Conv2D(4, 1)(x))))
    graph, copies = with_own_weights(trace(model))
    assert {type(copy).__name__ for copy in copies} == {"Conv2D"}
    np.testing.assert_array_equal(graph(images_for(model)), model(images_for(model)))


def test_a_frozen_layer_learns(randomized: Any) -> None:
    x = keras.Input((6, 6, 4))
    model = randomized(keras.Model(x, layers.Conv2D(4, 1, trainable=False)(x)))
    _, copies = with_own_weights(trace(model))
    assert len(copies[0].trainable_weights) == 2


def test_batches_are_filled_up_to_one_size(images_for: Any) -> None:
    x = keras.Input((6, 6, 1))
    model = keras.Model(x, layers.ReLU()(x))
    sizes = []

    def remember(tensor: Any) -> Any:
        sizes.append(tensor.shape[0])
        return tensor

    graph = trace(model)
    graph = Graph(graph.input, apply_op("remember", remember, graph.output))
    teacher = teacher_of(graph)
    images = images_for(model, 5)
    sizes.clear()
    found = [masks_of(teacher, images[start : start + 4], 4) for start in (0, 4)]
    assert [len(masks) for masks in found] == [4, 1]
    np.testing.assert_array_equal(np.concatenate(found), np.maximum(images, 0))
    assert set(sizes) == {4}

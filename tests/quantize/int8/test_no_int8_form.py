"""Ops that have no int8 form: the network is converted, and they are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.mending.mend import REWRITES
from portrait_tflite.quantize.built import Built, Treatable
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import IoType, Precision

SIDE = 16


def _pictures() -> Any:
    return np.random.default_rng(4).random((4, 1, SIDE, SIDE, 3), np.float32)


def _net(between: Callable[[Any], Any]) -> keras.Model:
    convolution = keras.layers.Conv2D(
        4, 3, padding="same", kernel_initializer="he_normal", bias_initializer="he_normal"
    )
    inputs = keras.Input((SIDE, SIDE, 3), name="image")
    mask = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")
    return keras.Model(inputs, mask(between(convolution(inputs))))


def _unpooled(x: Any) -> Any:
    """Keep of each 2×2 window the largest number, as max-unpooling with its own indices does."""
    pooled = keras.layers.UpSampling2D()(keras.layers.MaxPooling2D()(x))
    return x * keras.ops.cast(keras.ops.greater_equal(x, pooled), "float32")


def _build(model: keras.Model) -> Built:
    export = Export(trace(model))
    frames = [(picture,) for picture in _pictures()]
    network = measured_network(export.float_model(Precision.FLOAT32), frames)
    return Treatable(network, frames, frames[:2], IoType.INT8, REWRITES).build()


def _error(model: keras.Model, built: Built) -> float:
    runner = open_model(built.data)
    picture = _pictures()[0]
    output = runner.run(to_stored(picture, runner.inputs[0]))[0]
    found = to_real(output, runner.outputs[0])
    return float(np.abs(found - np.asarray(model(picture))).mean())


@pytest.mark.parametrize(
    ("between", "op"),
    [
        (_unpooled, "CAST"),
        (lambda x: keras.ops.power(keras.ops.relu(x) + 1, 2.5), "POW"),
        (lambda x: keras.ops.cumsum(x, axis=1), "CUMSUM"),
    ],
)
def test_they_stay_in_float_and_are_named(between: Any, op: str) -> None:
    keras.utils.set_random_seed(2)
    model = _net(between)
    built = _build(model)
    # A comparison of two nearly equal numbers turns with a step of either.
    assert _error(model, built) <= 0.04
    assert op in {layer.reason.split()[0] for layer in built.in_float}


def _leaky(x: Any) -> Any:
    return keras.ops.where(x > 0, x, 0.1 * x)


@pytest.mark.parametrize("between", [keras.ops.relu6, _leaky])
def test_of_others_nothing_is_said(between: Any) -> None:
    keras.utils.set_random_seed(2)
    assert _build(_net(between)).in_float == ()


def _above_its_neighbours(x: Any) -> Any:
    largest = keras.ops.max_pool(x, 3, 1, padding="same")
    return keras.ops.where(largest > 2 * x, x, 0.1 * x)


def test_a_choice_does_not_narrow_what_it_chooses_from() -> None:
    """SELECT's output and what it chooses from have one scale: that of the widest."""
    keras.utils.set_random_seed(2)
    model = _net(_above_its_neighbours)
    built = _build(model)
    nodes = list_nodes(read_model(built.data))
    (chosen,) = [node for node in nodes if node.op.startswith("SELECT")]
    assert _error(model, built) <= 0.01
    assert len({operand.scale for operand in (*chosen.given()[1:], *chosen.outputs)}) == 1

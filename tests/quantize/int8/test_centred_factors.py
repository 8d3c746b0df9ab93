"""Products of two computed matrices, as attention has them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.post_training import quantize_ranged
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import Delegate, IoType, Precision

SHAPE = (8, 8, 3)


def _part(x: Any) -> Any:
    return layers.Reshape((64, 8))(layers.Conv2D(8, 1, bias_initializer="uniform")(x))


def _attention(x: Any) -> Any:
    query, key, value = _part(x), _part(x), _part(x)
    weights = layers.Softmax()(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
    return ops.matmul(weights, value)


def _correlation(x: Any) -> Any:
    # What is never below 0 has its zero point at the end of its steps.
    rows = layers.ReLU()(_part(x))
    return ops.matmul(ops.matmul(_part(x), ops.transpose(rows, (0, 2, 1))) * 0.05, rows)


def _joint(x: Any, parts: Any, channels: int) -> Any:
    """Query, key and value are computed at once, as MobileViT's are."""
    made = layers.Reshape((64, channels))(layers.Conv2D(channels, 1, bias_initializer="ones")(x))
    query, key, value = ops.split(made, parts, axis=-1)
    weights = layers.Softmax()(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
    return ops.matmul(weights, value)


def _joint_and_even(x: Any) -> Any:
    return _joint(x, 3, 24)


def _joint_and_uneven(x: Any) -> Any:
    return _joint(x, [4, 8], 16)


@pytest.mark.parametrize("block", [_attention, _correlation, _joint_and_even, _joint_and_uneven])
def test_xnnpack_takes_the_products(block: Any) -> None:
    keras.utils.set_random_seed(3)
    picture = keras.Input(SHAPE)
    y = layers.Reshape((8, 8, 8))(block(picture))
    model = keras.Model(picture, layers.Conv2D(1, 1, activation="sigmoid")(y))
    frames = [(np.random.default_rng(n).random((1, *SHAPE), np.float32),) for n in range(4)]
    network = measured_network(Export(trace(model)).float_model(Precision.FLOAT32), frames)
    data = quantize_ranged(network, IoType.INT8)
    products = [node for node in list_nodes(read_model(data)) if node.op == "BATCH_MATMUL"]
    assert [node.given()[1].zero_point for node in products] == [0, 0]
    outside = [node.op for node in open_model(data, Delegate.XNNPACK).outside]
    assert "BATCH_MATMUL" not in outside
    runner = open_model(data, Delegate.CPU)
    stored = runner.run(to_stored(frames[0][0], runner.inputs[0]))[0]
    found = to_real(stored, runner.outputs[0])
    assert np.abs(found - np.asarray(model(frames[0][0]))).max() <= 0.02

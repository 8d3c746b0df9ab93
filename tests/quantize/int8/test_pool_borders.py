"""Pictures that are padded before they are pooled for their maximum."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.post_training import quantize_ranged
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import Delegate, IoType, Precision

SHAPE = (16, 16, 3)
FRAMES = [(np.random.default_rng(n).random((1, *SHAPE), np.float32),) for n in range(4)]


def _model(border: float, width: int, *, read_twice: bool = False) -> keras.Model:
    """Pool the features, which are below 0 as well, with a border as PyTorch's pooling has it."""
    keras.utils.set_random_seed(3)
    picture = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3, padding="same", bias_initializer="uniform")(picture)
    amounts = ((0, 0), (width, width), (width, width), (0, 0))
    x = keras.ops.pad(x, amounts, constant_values=border)
    y = keras.layers.MaxPooling2D(3, 1 if read_twice else 2)(x)
    if read_twice:
        y = keras.ops.concatenate([y, x[:, width:-width, width:-width]], axis=-1)
    return keras.Model(picture, keras.layers.Conv2D(1, 1, activation="sigmoid")(y))


def _network(model: keras.Model) -> RangedNetwork:
    return measured_network(Export(trace(model)).float_model(Precision.FLOAT32), FRAMES)


def _padded(network: RangedNetwork) -> tuple[Any, Any]:
    """Return the ranges of the op that pads: of what it reads and of what it gives."""
    node = next(n for n in list_nodes(read_model(network.data)) if n.op == "PADV2")
    return network.ranges[node.given()[0].index], network.ranges[node.outputs[0].index]


@pytest.mark.parametrize("border", [-np.inf, -1e9])
def test_a_border_that_is_no_maximum_takes_no_range(border: float) -> None:
    model = _model(border, 1)
    network = _network(model)
    read, given = _padded(network)
    assert given == read
    runner = open_model(quantize_ranged(network, IoType.INT8), Delegate.CPU)
    stored = runner.run(to_stored(FRAMES[0][0], runner.inputs[0]))[0]
    found = to_real(stored, runner.outputs[0])
    assert np.abs(found - np.asarray(model(FRAMES[0][0]))).max() <= 0.02


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: _model(5.0, 1), id="above the picture"),
        pytest.param(lambda: _model(-9.0, 3), id="wider than the window"),
        pytest.param(lambda: _model(-9.0, 1, read_twice=True), id="read by another op"),
    ],
)
def test_a_border_that_counts_stays(model: Any) -> None:
    network = _network(model())
    read, given = _padded(network)
    assert given != read
    assert {given.low, given.high} & {5.0, -9.0}

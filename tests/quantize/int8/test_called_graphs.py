"""Networks with a loop, whose file holds graphs besides the first: those that the loop calls."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import indices, read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.flatbuffer.place import cut_out
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.post_training import quantize_ranged
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, IoType, Precision

SHAPE = (8, 8, 3)
FRAMES = [(np.random.default_rng(n).random((1, *SHAPE), np.float32),) for n in range(2)]


@pytest.fixture(scope="module")
def recurrent() -> bytes:
    """A float file with a convolutional LSTM, which is a WHILE."""
    keras.utils.set_random_seed(3)
    picture = keras.Input(SHAPE)
    x = layers.Reshape((1, *SHAPE))(layers.Conv2D(3, 3, padding="same")(picture))
    x = layers.ConvLSTM2D(2, 3, padding="same")(x)
    model = keras.Model(picture, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    assert "WHILE" in op_names(read_model(data))
    return data


def test_a_place_that_is_cut_out_takes_them_along(recurrent: bytes) -> None:
    model = read_model(recurrent)
    graph = model.subgraphs[0]
    part = cut_out(model, indices(graph.inputs), indices(graph.outputs))
    whole, alone = (open_model(each, Delegate.CPU).run(*FRAMES[0])[0] for each in (recurrent, part))
    assert alone.tobytes() == whole.tobytes()
    assert serialize(model) == serialize(read_model(recurrent)), "the file itself stays"


def test_it_becomes_int8_around_the_loop(recurrent: bytes) -> None:
    data = quantize_ranged(measured_network(recurrent, FRAMES), IoType.FLOAT32)
    masks = [open_model(each, Delegate.CPU).run(*FRAMES[0])[0] for each in (recurrent, data)]
    assert np.abs(masks[0] - masks[1]).max() <= 0.05

"""Networks that join the picture with features: in the first block, or beside the last decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes, op_names
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.mending.mend_burden import weigh
from portrait_tflite.quantize.built import Treatable
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.post_training import quantize_ranged
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Range
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import Delegate, IoType, Precision

SHAPE = (16, 16, 3)
FRAMES = [(np.random.default_rng(n).random((1, *SHAPE), np.float32),) for n in range(4)]


def _convolution(filters: int) -> layers.Layer:
    return layers.Conv2D(
        filters, 3, padding="same", kernel_initializer="he_normal", bias_initializer="he_normal"
    )


def _net(beside: Callable[[Any], Any]) -> keras.Model:
    """Join what is made of the picture with features of about −8 to 8."""
    keras.utils.set_random_seed(3)
    picture = keras.Input(SHAPE)
    features = layers.Rescaling(4.0)(_convolution(8)(picture))
    joined = _convolution(4)(layers.Concatenate()([features, beside(picture)]))
    return keras.Model(picture, layers.Activation("sigmoid")(layers.Rescaling(0.2)(joined)))


def _measured(model: keras.Model) -> RangedNetwork:
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    return measured_network(data, FRAMES, Range(0.0, 1.0))


def _error(model: keras.Model, data: bytes) -> float:
    runner = open_model(data, Delegate.CPU)
    stored = runner.run(to_stored(FRAMES[0][0], runner.inputs[0]))[0]
    found = to_real(stored, runner.outputs[0])
    return float(np.abs(found - np.asarray(model(FRAMES[0][0]))).mean())


@pytest.mark.parametrize(
    ("beside", "moved"),
    [
        (lambda x: x, []),
        (layers.MaxPooling2D(3, 1, padding="same"), ["MAX_POOL_2D"]),
        (layers.AveragePooling2D(3, 1, padding="same"), ["AVERAGE_POOL_2D"]),
    ],
)
def test_picture_and_features_keep_their_steps(beside: Any, moved: list[str]) -> None:
    model = _net(beside)
    data = quantize_ranged(_measured(model), IoType.INT8)
    names = op_names(read_model(data))
    assert [name for name in names if name in ("QUANTIZE", *moved)] == [*moved, "QUANTIZE"]
    (picture,) = open_model(data, Delegate.CPU).inputs
    assert picture.scale == pytest.approx(1 / 255)
    assert picture.zero_point == -128
    # A concatenation over the picture's range alone is off by 0.2.
    assert _error(model, data) <= 0.02


@pytest.mark.parametrize(
    "first", [lambda x: x, layers.AveragePooling2D(5, 1, padding="same", name="wide")]
)
@pytest.mark.parametrize("pool", [layers.MaxPooling2D, layers.AveragePooling2D])
def test_a_picture_beside_itself_needs_no_other_scale(first: Any, pool: Any) -> None:
    picture = keras.Input(SHAPE)
    twice = layers.Concatenate()([first(picture), pool(3, 1, padding="same")(picture)])
    model = keras.Model(picture, layers.Activation("sigmoid")(_convolution(1)(twice)))
    names = op_names(read_model(quantize_ranged(_measured(model), IoType.INT8)))
    assert "QUANTIZE" not in names


def test_a_concatenation_in_float_takes_the_picture_as_it_is() -> None:
    model = _net(lambda x: x)
    network = _measured(model)
    (joined,) = (n for n in list_nodes(read_model(network.data)) if n.op == "CONCATENATION")
    in_float = replace(network, in_float=frozenset({joined.tensor}))
    data = quantize_ranged(in_float, IoType.INT8)
    assert "HARD_SWISH" not in op_names(read_model(data))
    assert _error(model, data) <= 0.02


@pytest.mark.parametrize(("high", "rescaled"), [(1.0, 0), (9.0, 1), (0.2, 1)])
def test_inputs_that_are_joined_keep_scales_of_their_own(high: float, rescaled: int) -> None:
    keras.utils.set_random_seed(3)
    picture, other = keras.Input(SHAPE), keras.Input(SHAPE, name="other")
    joined = layers.Concatenate()([picture, layers.MaxPooling2D(3, 1, padding="same")(other)])
    model = keras.Model([picture, other], layers.Activation("sigmoid")(_convolution(1)(joined)))
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    frames = [(frame[0], high * FRAMES[-1 - n][0]) for n, frame in enumerate(FRAMES)]
    frames += [(FRAMES[0][0], np.full((1, *SHAPE), end, np.float32)) for end in (0.0, high)]
    int8 = quantize_ranged(measured_network(data, frames, Range(0.0, 1.0)), IoType.INT8)
    scales = [info.scale for info in open_model(int8, Delegate.CPU).inputs]
    assert scales == pytest.approx([1 / 255, high / 255])
    assert op_names(read_model(int8)).count("QUANTIZE") == rescaled


def test_an_input_that_is_joined_with_features_later_keeps_its_scale() -> None:
    keras.utils.set_random_seed(3)
    picture, other = keras.Input(SHAPE), keras.Input(SHAPE, name="other")
    features = layers.Rescaling(400.0)(_convolution(8)(picture))
    first = layers.Concatenate()([picture, other])
    joined = layers.Concatenate()([first, features])
    model = keras.Model([picture, other], layers.Activation("sigmoid")(_convolution(1)(joined)))
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    frames = [(frame[0], 9 * FRAMES[-1 - n][0]) for n, frame in enumerate(FRAMES)]
    frames += [(FRAMES[0][0], np.full((1, *SHAPE), end, np.float32)) for end in (0.0, 9.0)]
    int8 = quantize_ranged(measured_network(data, frames, Range(0.0, 1.0)), IoType.INT8)
    scales = [info.scale for info in open_model(int8, Delegate.CPU).inputs]
    assert scales == pytest.approx([1 / 255, 9 / 255])
    assert op_names(read_model(int8)).count("QUANTIZE") == 2


@pytest.mark.parametrize(
    ("more", "rescaled"),
    [
        (float("inf"), 1),
        (0.0, 0),  # as much as without the QUANTIZE
        (-10.0, 1),  # too little either way
    ],
)
def test_its_steps_may_not_make_the_file_dearer_than_plain_conversion(
    more: float, rescaled: int
) -> None:
    network = _measured(_net(lambda x: x))
    tied = weigh(quantize_ranged(replace(network, own_scales=False), IoType.INT8)).cycles
    treatable = Treatable(
        network, FRAMES, FRAMES[:1], IoType.INT8, (), naive_cost=lambda: tied + more
    )
    built = treatable.build()
    assert op_names(read_model(built.data)).count("QUANTIZE") == rescaled
    assert [one.rewrite for one in built.skipped] == ["own_input_scale"] * (1 - rescaled)

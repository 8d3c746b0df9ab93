"""Divisions by what the network computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.post_training import quantize_ranged
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_stored
from portrait_tflite.vocabulary import IoType, Precision

Build = Callable[..., Any]
PICTURES = np.random.default_rng(1).uniform(0, 1, (8, 8, 8, 3)).astype(np.float32)


def _int8(divisor: Callable[[Any], Any]) -> bytes:
    x = keras.Input((8, 8, 3), name="image")
    y = layers.Activation("sigmoid")(divisor(x))
    data = Export(trace(keras.Model(x, y))).float_model(Precision.FLOAT32)
    return quantize_ranged(measured_network(data, ((p[None],) for p in PICTURES)), IoType.INT8)


def _run(data: bytes) -> Any:
    runner = open_model(data)
    return [runner.run(to_stored(p[None], runner.inputs[0]))[0] for p in PICTURES]


def test_a_divisor_nearer_to_0_than_half_a_step_ends_no_inference() -> None:
    # 0 in int8: the largest is a million times as large
    data = _int8(lambda x: 0.3 * x / (1e-3 + 1e3 * keras.ops.relu(x - 0.5) ** 4))
    masks = _run(data)
    assert np.ptp(masks) > 20
    mended = open_model(mend_model(data).data)
    assert (mended.partitions, mended.outside) == (1, ())


@pytest.mark.parametrize("constant", [True, False])
def test_only_what_divides_by_computed_numbers_is_float(constant: bool) -> None:
    computed = _int8(lambda x: x / ((1 + x) if not constant else np.float32(3.7)))
    floats = [n.op for n in list_nodes(read_model(computed)) if n.outputs[0].dtype == "float32"]
    assert floats == ([] if constant else ["DEQUANTIZE", "DEQUANTIZE", "DIV"])

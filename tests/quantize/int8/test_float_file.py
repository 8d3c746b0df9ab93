"""int8 from a float `.tflite`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.precision import precision_of
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.deadly_ops import find_deadly_op
from portrait_tflite.errors import ConversionError
from portrait_tflite.quantize.int8 import float_file
from portrait_tflite.quantize.int8.float_file import quantize_float_file, widen_weights
from portrait_tflite.quiet import quiet
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, Precision

SHAPE = (16, 16, 3)


@pytest.fixture(scope="module")
def export() -> Export:
    """A network with what ai-edge-quantizer leaves in float."""
    keras.utils.set_random_seed(3)
    x = keras.Input(SHAPE)
    y = layers.Conv2D(8, 3, 2, "same", activation="relu6", bias_initializer="uniform")(x)
    y = keras.ops.depth_to_space(layers.Conv2D(16, 1, bias_initializer="uniform")(y), 2)
    y = layers.Conv2D(1, 1, activation="sigmoid", bias_initializer="uniform")(y)
    return Export(trace(keras.Model(x, y)))


def _pictures(count: int = 24) -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(1)
    return [(rng.random((1, *SHAPE), np.float32),) for _ in range(count)]


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.FLOAT16])
def test_a_float_file_becomes_int8(export: Export, precision: Precision) -> None:
    data = export.float_model(precision)
    seen: list[int] = []
    with quiet():
        quantized = quantize_float_file(data, _pictures(), seen.append)
    assert seen == [10, 20, 24]
    assert precision_of(quantized) == "int8"
    mended = open_model(mend_model(quantized).data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert {info.dtype for info in (*mended.inputs, *mended.outputs)} == {"int8"}
    (picture,) = _pictures(1)[0]
    stored = np.round(picture / mended.inputs[0].scale + mended.inputs[0].zero_point)
    (mask,) = mended.run(np.clip(stored, -128, 127).astype(np.int8))
    real = (mask.astype(np.float32) - mended.outputs[0].zero_point) * mended.outputs[0].scale
    (expected,) = open_model(data, Delegate.CPU).run(picture)
    assert np.abs(real - expected).max() < 0.05


def test_the_same_pictures_give_the_same_bytes(export: Export) -> None:
    data = export.float_model(Precision.FLOAT32)
    with quiet():
        once, again = (quantize_float_file(data, _pictures(8)) for _ in range(2))
    assert once == again


def test_widened_weights_compute_the_same(export: Export) -> None:
    data = export.float_model(Precision.FLOAT16)
    wide = serialize(widen_weights(read_model(data)))
    assert precision_of(wide) == "float32"
    (picture,) = _pictures(1)[0]
    (one,), (other,) = (open_model(d, Delegate.CPU).run(picture) for d in (data, wide))
    assert np.allclose(one, other, atol=1e-6)


def test_a_dead_layer_is_not_scaled_beyond_xnnpack(monkeypatch: pytest.MonkeyPatch) -> None:
    keras.utils.set_random_seed(3)
    x = keras.Input(SHAPE)
    y = layers.Conv2D(4, 3, activation="relu", bias_initializer=keras.initializers.Constant(-9))(x)
    y = layers.Conv2D(1, 1, activation="sigmoid", bias_initializer="uniform")(y)
    data = Export(trace(keras.Model(x, y))).float_model(Precision.FLOAT32)
    with quiet():
        quantized = quantize_float_file(data, _pictures(8))
        monkeypatch.setattr(float_file, "lift_ranges", lambda _, ranges: ranges)
        plain = quantize_float_file(data, _pictures(8))
    assert open_model(quantized).partitions == 1
    assert find_deadly_op(plain, Delegate.XNNPACK).startswith("CONV_2D whose products are scaled")


def test_what_is_refused_is_one_clear_line(export: Export) -> None:
    other = [(np.zeros((1, 16, 16, 5), np.float32),)]
    with (
        quiet(),
        pytest.raises(ConversionError, match=r"ai-edge-quantizer can quantize .* refuses"),
    ):
        quantize_float_file(export.float_model(Precision.FLOAT32), other)

"""A float file is rewritten before it becomes int8 where int8 is more accurate then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.mending.mend import REWRITES
from portrait_tflite.convert.rewrites.flatbuffer.convolution_before_bilinear import (
    ConvolutionBeforeBilinear,
)
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite
from portrait_tflite.convert.rewrites.flatbuffer.transposed_to_depth import TransposedToDepth
from portrait_tflite.quantize.int8.beforehand import rewritten_beforehand
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.ranged_network import quantize_network
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import Precision

SIDE = 16


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Give a network where one of the mask's four phases has a large weight, of a faint channel."""
    keras.utils.set_random_seed(3)
    x = keras.Input((SIDE, SIDE, 3), batch_size=1)
    first = keras.layers.Conv2D(8, 3, padding="same", activation="relu")
    head = keras.layers.Conv2DTranspose(1, 2, 2, activation="sigmoid")
    model = keras.Model(x, head(first(x)))
    kernel, bias = first.get_weights()
    first.set_weights([kernel * np.array([1e-3, *[1] * 7]), bias])
    kernel, bias = head.get_weights()
    kernel[0, 0, 0, 0] = 100
    head.set_weights([kernel, bias])
    return model


def _pictures() -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(4)
    return [(rng.random((1, SIDE, SIDE, 3), np.float32),) for _ in range(4)]


def _moved(model: keras.Model, rewrites: Sequence[FlatbufferRewrite]) -> NDArray[np.float64]:
    """Return how far int8 is from the network."""
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    prepared = rewritten_beforehand(data, _pictures()[:2], rewrites)
    runner = open_model(quantize_network(measured_network(prepared.data, _pictures())))
    (picture,) = _pictures()[0]
    output = runner.run(to_stored(picture, runner.inputs[0]))[0]
    return np.abs(to_real(output, runner.outputs[0]) - np.asarray(model(picture), np.float64))


def test_each_phase_of_a_transposed_convolution_has_its_scale(model: keras.Model) -> None:
    # where the weights are small
    plain, better = (_moved(model, r)[:, 1::2, 1::2].mean() for r in ((), REWRITES))
    assert plain > 0.01
    assert better < plain / 2


def test_a_convolution_reads_no_pixels_that_a_resize_has_rounded() -> None:
    keras.utils.set_random_seed(3)
    x = keras.Input((SIDE, SIDE, 3), batch_size=1)
    y = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    y = keras.layers.UpSampling2D(2, interpolation="bilinear")(y)
    model = keras.Model(x, keras.layers.Conv2D(1, 1, kernel_initializer="ones")(y))
    plain, better = (_moved(model, r).mean() for r in ((), [ConvolutionBeforeBilinear()]))
    assert 0 < better < 0.9 * plain


def test_nothing_is_done_where_nothing_is_allowed(model: keras.Model) -> None:
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    others = [one for one in REWRITES if not isinstance(one, TransposedToDepth)]
    kept = rewritten_beforehand(data, _pictures()[:2], others)
    assert (kept.data, kept.records) == (data, ())
    changed = rewritten_beforehand(data, _pictures()[:2], REWRITES)
    assert [record.rewrite for record in changed.records] == ["transposed_to_depth"]


def test_nearest_upsampling_goes_into_the_convolution_behind_it() -> None:
    x = keras.Input((SIDE, SIDE, 3), batch_size=1)
    y = keras.layers.UpSampling2D(2)(x)
    model = keras.Model(x, keras.layers.Conv2D(4, 3, padding="same")(y))
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    changed = rewritten_beforehand(data, _pictures()[:2], REWRITES)
    names = ["nearest_chain", "nearest_convolution"]
    assert [record.rewrite for record in changed.records] == names
    assert op_names(read_model(changed.data)) == ["PAD", "CONV_2D", "DEPTH_TO_SPACE", "SLICE"]

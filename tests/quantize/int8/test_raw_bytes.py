"""int8 files whose input has a step for every byte of a picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.plan import mask_graph
from portrait_tflite.images import normalize
from portrait_tflite.quantize.accuracy.predictors import renormalized, tflite_outputs
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.variants import build_variants
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import Channels, Delegate, IoType, ModelSpec, Precision, Target

SIZE = 16
UNIT = ModelSpec(SIZE, SIZE)
SPECS = {
    "0,1": UNIT,
    "0,255": ModelSpec(SIZE, SIZE, input_range=(0.0, 255.0)),
    "-1,1": ModelSpec(SIZE, SIZE, input_range=(-1.0, 1.0)),
    "imagenet": ModelSpec(SIZE, SIZE, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "gray": ModelSpec(SIZE, SIZE, channels=Channels.GRAY, mean=(0.45,), std=(0.225,)),
}


def _pixels(spec: ModelSpec = UNIT) -> Any:
    """Pictures that are nowhere black or white."""
    shape = (8, SIZE, SIZE, spec.channels.depth)
    return np.random.default_rng(1).integers(20, 200, shape).astype(np.uint8)


def _net(spec: ModelSpec, *, folds: bool = True) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((SIZE, SIZE, spec.channels.depth))
    unit = {"bias_initializer": "uniform"}
    # Weights of a network that was trained on such numbers.
    gain = layers.Conv2D(
        8,
        3,
        padding="same",
        activation="relu",
        name="stem",
        **unit,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.4 / _spread(spec)),
    )
    y = gain(x) if folds else gain(layers.ReLU(max_value=255.0)(x))
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid", name="mask", **unit)(y))


def _spread(spec: ModelSpec) -> float:
    return float(normalize(_pixels(spec), spec).std())


def _build(model: keras.Model, spec: ModelSpec, io: IoType) -> Built:
    inputs = normalize(_pixels(spec), spec)
    graph, _ = mask_graph(model, spec)

    def representative() -> Iterator[list[Any]]:
        return iter([[image[None]] for image in inputs])

    built = build_variants(
        {Delegate.XNNPACK: graph},
        (Precision.INT8,),
        Target.CPU,
        representative,
        io,
        [(inputs[:1],)],
        spec=spec,
    )
    return built["int8"]


@pytest.mark.parametrize("name", SPECS)
def test_a_uint8_file_takes_the_bytes_of_a_picture(name: str) -> None:
    spec = SPECS[name]
    model = _net(spec)
    built = _build(model, spec, IoType.UINT8)
    runner = open_model(built.data)
    taken = built.spec or spec
    everything = np.resize(np.arange(256), runner.inputs[0].shape).astype(np.uint8)
    stored = to_stored(normalize(everything, taken), runner.inputs[0])
    assert stored.tobytes() == everything.tobytes()
    if name in ("-1,1", "imagenet", "gray"):
        assert (runner.inputs[0].scale, runner.inputs[0].zero_point) == (1.0, 0)
        assert (taken.input_range, taken.mean, taken.std) == ((0.0, 255.0), (), ())
    else:
        assert built.spec is None
    # Nothing is computed before the first convolution; bytes only change their type.
    ops = audit_model(built.data).ops
    assert set(ops) <= {"QUANTIZE", "DEQUANTIZE", "CONCATENATION", "CONV_2D", "LOGISTIC"}
    assert ops["CONV_2D"] == 2
    pixels = _pixels(spec)[:1]
    found = to_real(runner.run(pixels)[0], runner.outputs[0])
    expected = np.asarray(model(normalize(pixels, spec)))
    assert np.abs(found - expected).max() <= 0.03


@pytest.mark.parametrize("name", SPECS)
def test_an_int8_file_takes_what_the_spec_says(name: str) -> None:
    spec = SPECS[name]
    built = _build(_net(spec), spec, IoType.INT8)
    assert built.spec is None
    info = open_model(built.data).inputs[0]
    lowest, highest = (
        normalize(np.full((1, 1, 1, spec.channels.depth), byte, np.uint8), spec)
        for byte in (0, 255)
    )
    # The pictures reach from 20 to 199 only.
    steps = (highest.max() - lowest.min()) / info.scale
    assert steps == pytest.approx(255, abs=1e-3)


def test_where_it_folds_nowhere_the_file_takes_what_the_spec_says() -> None:
    spec = SPECS["-1,1"]
    model = _net(spec, folds=False)
    built = _build(model, spec, IoType.UINT8)
    assert built.spec is None
    assert [skipped.rewrite for skipped in built.skipped[:1]] == ["raw_input"]
    inputs = normalize(_pixels(spec)[:1], spec)
    found = tflite_outputs(built.data)(inputs)[0]
    assert np.abs(found - np.asarray(model(inputs))).max() <= 0.03


def test_what_a_file_of_bytes_is_fed_with_in_other_units() -> None:
    spec = SPECS["imagenet"]
    model = _net(spec)
    built = _build(model, spec, IoType.UINT8)
    assert built.spec is not None
    inputs = normalize(_pixels(spec)[:1], spec)
    plain = tflite_outputs(built.data)
    expected = np.asarray(model(inputs))
    found = renormalized(plain, spec, built.spec)(inputs)[0]
    assert np.abs(found - expected).max() <= 0.03
    # Fed with the network's units, it sees a black picture.
    assert np.abs(plain(inputs)[0] - expected).max() > 0.03

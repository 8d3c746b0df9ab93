"""Networks as functions to a mask: outputs, channels, activations, dtypes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from portrait_tflite.errors import UsageError
from portrait_tflite.quantize.accuracy.predictors import (
    apply_activation,
    keras_outputs,
    mask_predictor,
    select_mask,
    tflite_outputs,
)
from portrait_tflite.quantize.accuracy.remembering import tflite_predictor
from portrait_tflite.vocabulary import Activation, Delegate, ModelSpec, OutputSpec

Floats = NDArray[np.float32]


def outputs() -> list[Floats]:
    rng = np.random.default_rng(0)
    return [
        rng.random((1, 4, 5, 2)).astype(np.float32),
        rng.random((1, 4, 5)).astype(np.float32),
        rng.random((1, 7)).astype(np.float32),
    ]


def test_selects_output_and_channel() -> None:
    given = outputs()
    np.testing.assert_array_equal(select_mask(given, OutputSpec(0, 1)), given[0][0, :, :, 1])
    np.testing.assert_array_equal(select_mask(given, OutputSpec(1, 0)), given[1][0])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (OutputSpec(3), r"--output must be 0 to 2\. Received: 3"),
        (OutputSpec(0, 2), r"--output-channel must be 0 to 1\. Received: 2"),
        (OutputSpec(2), r"a mask .* is required\. Received: output 2 of shape \[1, 7\]"),
    ],
)
def test_refuses_what_is_no_mask(chosen: OutputSpec, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        select_mask(outputs(), chosen)


def test_activations_match_their_definitions_and_do_not_overflow() -> None:
    logits = np.array([[-1000, 1000], [2, 1], [0, 0]], np.float32)
    sigmoid, softmax = (
        apply_activation(logits, a) for a in (Activation.SIGMOID, Activation.SOFTMAX)
    )
    np.testing.assert_allclose(sigmoid[1], 1 / (1 + np.exp(-logits[1])), rtol=1e-6)
    np.testing.assert_array_equal(sigmoid[0], [0, 1])
    np.testing.assert_allclose(softmax.sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(softmax[1, 0], np.e / (1 + np.e), rtol=1e-6)
    assert apply_activation(logits, Activation.NONE) is logits


def test_a_float_file_gives_the_channel_of_the_spec(float_net: Callable[..., bytes]) -> None:
    spec = ModelSpec(8, 8, output=OutputSpec(channel=2))
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 4)).astype(np.float32)
    predict = tflite_predictor(float_net("RELU"), spec)
    np.testing.assert_array_equal(predict(image), np.maximum(image[0, ..., 2], 0))


def test_the_activation_of_the_spec_is_applied(float_net: Callable[..., bytes]) -> None:
    image = np.random.default_rng(0).random((1, 8, 8, 4)).astype(np.float32)
    plain = tflite_predictor(float_net("RELU"), ModelSpec(8, 8, output=OutputSpec(channel=1)))
    np.testing.assert_array_equal(plain(image), image[0, ..., 1])
    spec = ModelSpec(8, 8, output=OutputSpec(channel=1, activation=Activation.SIGMOID))
    squashed = tflite_predictor(float_net("RELU"), spec)(image)
    np.testing.assert_allclose(squashed, 1 / (1 + np.exp(-image[0, ..., 1])), rtol=1e-6)


@pytest.mark.parametrize("delegate", [Delegate.CPU, Delegate.XNNPACK])
def test_an_integer_file_takes_and_gives_real_values(
    relu_net: Callable[..., bytes], tmp_path: Path, delegate: Delegate
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    image = np.random.default_rng(0).uniform(-2, 2, (1, 8, 8, 4)).astype(np.float32)
    (output,) = tflite_outputs(path, delegate)(image)
    assert output.dtype == np.float32
    steps = output / np.float32(0.03)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    assert np.ptp(output) > 0.1


def test_a_keras_model_gives_its_mask() -> None:
    keras: Any = pytest.importorskip("keras")
    image = keras.Input((16, 16, 3))
    mask = keras.layers.Conv2D(2, 3, padding="same", bias_initializer="random_normal")(image)
    model = keras.Model(image, keras.layers.Softmax(name="mask")(mask))
    inputs = np.random.default_rng(0).random((1, 16, 16, 3)).astype(np.float32)
    spec = ModelSpec(16, 16, output=OutputSpec(channel=1))
    expected = np.asarray(model(inputs))[0, ..., 1]
    np.testing.assert_allclose(
        mask_predictor(keras_outputs(model), spec)(inputs), expected, atol=1e-6
    )

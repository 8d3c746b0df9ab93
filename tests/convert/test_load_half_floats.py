"""SavedModel folders without a record of layers that compute in half floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.loading import saved_model
from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.convert.plan import mask_graph
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Precision, StateSpec


def _picture(count: int = 1, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).random((count, 16, 16, channels), np.float32)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_floats_are_widened(tmp_path: Path, policy: str) -> None:
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3), dtype="float16" if policy == "float16" else "float32")
    y = layers.Conv2D(8, 3, padding="same", activation="relu", dtype=policy)(image)
    y = layers.BatchNormalization(dtype=policy)(y)
    model = keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid", dtype=policy)(y))
    model.export(str(tmp_path), verbose=False)
    loaded = load_model(str(tmp_path), LoadOptions(input_range=(0.0, 1.0)))
    again = keras.models.clone_model(loaded.model)
    expected = np.asarray(model(_picture(2)), np.float32)
    for network in (loaded.model, again):
        mask = np.asarray(network(_picture(2)))
        assert mask.dtype == np.float32
        assert np.abs(mask - expected).max() < 0.01  # bfloat16 has 8 bits
    runner = open_model(
        Export(mask_graph(loaded.model, loaded.spec)[0]).float_model(Precision.FLOAT32)
    )
    assert np.allclose(runner.run(_picture())[0], again(_picture()), atol=1e-5)


def _remembering(folder: Path) -> None:
    """Save half floats with a previous mask, which is not the first by its name."""
    module = tf.Module()
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 1))
    module.kernel = tf.Variable(kernel.astype(np.float16))
    ends = [tf.TensorSpec((1, 16, 16, n), tf.float16, name) for name, n in (("b", 3), ("a", 1))]

    @tf.function(input_signature=ends)
    def mask(b: tf.Tensor, a: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mask": tf.sigmoid(tf.nn.conv2d(tf.concat([b, a], -1), module.kernel, 1, "SAME"))}

    module.mask = mask
    tf.saved_model.save(module, str(folder), signatures=mask)


def test_several_inputs_in_half_floats_keep_their_places(tmp_path: Path) -> None:
    _remembering(tmp_path)
    loaded = load_model(str(tmp_path), LoadOptions(input_range=(0.0, 1.0)))
    assert loaded.spec.state == StateSpec(input=1, from_output=0)
    half = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    frame = [_picture(), _picture(channels=1)]
    expected = half(b=tf.cast(frame[0], tf.float16), a=tf.cast(frame[1], tf.float16))["mask"]
    assert np.abs(np.asarray(loaded.model(frame)) - np.asarray(expected, np.float32)).max() < 0.01


def test_what_cannot_be_widened_names_the_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> None:
        raise ValueError("no such type\nand a trace")

    _remembering(tmp_path)
    monkeypatch.setattr(saved_model, "widened", refuse)
    message = r"computes in float32 is required\. .* half floats .*: no such type\. Export it in"
    with pytest.raises(UsageError, match=message):
        load_model(str(tmp_path), LoadOptions(input_range=(0.0, 1.0)))

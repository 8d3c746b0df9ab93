"""Nets that were trained in mixed, half or double precision are read as float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from portrait_tflite.cli.main import _run
from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.convert.loading.single_precision import in_single_precision

layers = keras.layers


def _net(policy: str) -> keras.Model:
    """Build a net of a policy whose mask is float32, as Keras recommends."""
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 255, dtype=policy)(image)
    x = skip = layers.Conv2D(6, 3, padding="same", activation="relu", dtype=policy)(x)
    x = layers.SeparableConv2D(8, 3, strides=2, padding="same", dtype=policy)(x)
    x = layers.BatchNormalization(dtype=policy)(x)
    x = layers.Conv2DTranspose(6, 4, strides=2, padding="same", dtype=policy)(x)
    x = layers.Add(dtype=policy)([x, skip])
    mask = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32")(x)
    return keras.Model(image, mask)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_every_layer_computes_in_float32(tmp_path: Path, policy: str, suffix: str) -> None:
    net = _net(policy)
    path = tmp_path / f"net{suffix}"
    net.save(path)
    loaded = load_model(str(path), LoadOptions(input_range=(0.0, 255.0))).model
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    picture = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    expected = _net("float32")
    expected.set_weights([np.asarray(each, np.float32) for each in net.get_weights()])
    found = np.asarray(loaded(picture))
    np.testing.assert_allclose(found, np.asarray(expected(picture)), atol=1e-5)


def test_it_converts_to_every_variant(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    _net("mixed_float16").save(path)
    arguments = [
        *("-q", "convert", str(path), "--input-range", "0,255", "--calibration", "synthetic"),
        *("--calibration-count", "16", "--remedies", "none", "--no-benchmark"),
        *("--out", f"{tmp_path}/out"),
    ]
    assert _run(arguments, debug=False) in (0, 3)  # its weights are drawn: the gate may fail
    assert len(list((tmp_path / "out").glob("net-*.tflite"))) == 3


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"dtype": "mixed_float16"}, {"dtype": "float32"}),
        ({"dtype": "int32", "name": "float16"}, {"dtype": "int32", "name": "float16"}),
        (
            {"a": [{"dtype": {"class_name": "DTypePolicy", "config": {"name": "bfloat16"}}}]},
            {"a": [{"dtype": "float32"}]},
        ),
        (
            {"dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}}},
            {"dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}}},
        ),
    ],
)
def test_only_narrow_types_are_widened(config: Any, expected: Any) -> None:
    assert in_single_precision(config) == expected

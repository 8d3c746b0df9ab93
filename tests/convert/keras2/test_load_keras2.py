"""Files of Keras 2, as Keras 2 itself writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.loading import saved_model_layers
from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Json

_RANGE = LoadOptions(input_range=(0.0, 1.0))
_PLAIN = ("of_layers", "of_functions", "nested", "encoder", "called_twice", "mixed", "drop_connect")
_NETS = (*_PLAIN, "of_more_functions", "attention", "attention_by_name")


# What is written to the user's file for nets with layers that Keras 3 cannot build.
_OWN = {
    "own_layer": """
import keras

class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2.0 * inputs

CUSTOM_OBJECTS = {"Doubled": Doubled}
""",
    "own_function": "LAMBDAS = {'twice': lambda y: 2.0 * y}",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: Any) -> Path:
    """The folder that Keras 2 wrote its nets to."""
    folder: Path = tmp_path_factory.mktemp("keras2")
    np.save(folder / "picture.npy", np.random.default_rng(1).random((1, 16, 16, 3), np.float32))
    script = Path(__file__).with_name("write_nets.py")
    # In a process of its own: Keras 2 and 3 in one would share registries.
    command = [sys.executable, str(script), str(folder)]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    ended = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return folder


_ENDINGS = (".h5", ".keras", "_saved")
_FILES = (*product(_NETS, _ENDINGS), *product(["convnext"], _ENDINGS[:2]))


@pytest.mark.parametrize(("net", "ending"), _FILES)
def test_computes_what_keras_2_did(written: Path, net: str, ending: str) -> None:
    model = load_model(str(written / f"{net}{ending}"), _RANGE).model
    expected = np.load(written / f"{net}.npy")
    tolerance = 1e-3 if net == "mixed" else 1e-6
    assert np.allclose(model(np.load(written / "picture.npy")), expected, atol=tolerance)
    # Layers, not one opaque signature.
    assert len(model.layers) > 2


@pytest.mark.parametrize("ending", [".h5", ".keras", "_saved"])
@pytest.mark.parametrize(("net", "code"), _OWN.items())
def test_what_the_user_gives_for_a_layer_is_taken(
    written: Path, tmp_path: Path, net: str, code: str, ending: str
) -> None:
    (tmp_path / "own.py").write_text(code)
    options = replace(_RANGE, custom_objects=tmp_path / "own.py")
    model = load_model(str(written / f"{net}{ending}"), options).model
    expected = np.load(written / f"{net}.npy")
    assert np.allclose(model(np.load(written / "picture.npy")), expected, atol=1e-6)
    assert len(model.layers) == 4


@pytest.mark.parametrize("net", _OWN)
def test_a_saved_model_without_it_stays_a_signature(written: Path, net: str) -> None:
    model = load_model(str(written / f"{net}_saved"), _RANGE).model
    expected = np.load(written / f"{net}.npy")
    assert np.allclose(model(np.load(written / "picture.npy")), expected, atol=1e-6)
    assert len(model.layers) == 2


def test_functions_for_layers_that_a_saved_model_has_not(written: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("LAMBDAS = {'other': abs}")
    options = replace(_RANGE, custom_objects=tmp_path / "own.py")
    with pytest.raises(UsageError, match=r"LAMBDAS must name .*\(twice\)\. Received: other"):
        load_model(str(written / "own_function_saved"), options)


def test_a_saved_model_whose_metadata_lie_stays_a_signature(written: Path) -> None:
    """Its weights belong to another architecture: what would be built is another network."""
    folder = written / "nested_saved"
    metadata = folder / saved_model_layers.METADATA
    kept = metadata.read_bytes()
    assert b"3, 3" in kept
    try:
        metadata.write_bytes(kept.replace(b'"linear"', b'"tanh"  '))
        assert len(load_model(str(folder), _RANGE).model.layers) == 2
        metadata.write_bytes(kept[: len(kept) // 2])
        assert len(load_model(str(folder), _RANGE).model.layers) == 2
    finally:
        metadata.write_bytes(kept)


def _with_operators(path: Path, operators: list[Json]) -> Any:
    """Write a Keras 2 file whose convolution is followed by operators of TensorFlow 2.0 to 2.3.

    Returns:
        The network up to the first operator.
    """
    image = keras.Input((8, 8, 3), name="image")
    before = layers.Conv2D(2, 3, padding="same", bias_initializer="uniform", name="conv")(image)
    mask = layers.Conv2D(1, 1, activation="sigmoid", name="mask")
    keras.Model(image, mask(before)).save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        made = config["config"]["layers"]
        for layer in made:
            layer.pop("module", None)
            layer.pop("registered_name", None)
        made[0]["config"]["batch_input_shape"] = made[0]["config"].pop("batch_shape")
        made[2]["inbound_nodes"] = [[[operators[-1]["name"], 0, 0, {}]]]
        made[2:2] = operators
        file.attrs["model_config"] = json.dumps(config)
    return keras.Model(image, before), mask


def _operator(
    op: str, inputs: list[str], constants: Json | None = None, attributes: Json | None = None
) -> Json:
    name = f"tf_op_layer_{op}"
    definition = {"name": op, "op": op, "input": inputs, "attr": attributes or {}}
    return {
        "class_name": "TensorFlowOpLayer",
        "name": name,
        "config": {"name": name, "node_def": definition, "constants": constants or {}},
        "inbound_nodes": [[[source, 0, 0, {}] for source in inputs]],
    }


def test_operators_of_older_versions(tmp_path: Path) -> None:
    half = {"half_pixel_centers": {"b": True}}
    operators = [
        _operator("Mul", ["conv"], {"1": 3.0}),
        _operator("Sub", ["tf_op_layer_Mul"], {"0": 1.0}),
        _operator("AddV2", ["tf_op_layer_Sub", "conv"]),
        _operator("ResizeBilinear", ["tf_op_layer_AddV2"], {"1": [16, 16]}, half),
        _operator(
            "Mean", ["tf_op_layer_ResizeBilinear"], {"1": [1, 2]}, {"keep_dims": {"b": True}}
        ),
        _operator(
            "ConcatV2", ["tf_op_layer_ResizeBilinear", "tf_op_layer_ResizeBilinear"], {"2": 1}
        ),
        _operator("Relu6", ["tf_op_layer_ConcatV2"]),
        _operator("Maximum", ["tf_op_layer_Relu6", "tf_op_layer_Mean"]),
    ]
    path = tmp_path / "old.h5"
    before, mask = _with_operators(path, operators)
    picture = np.random.default_rng(2).random((1, 8, 8, 3), np.float32)
    y = before(picture)
    large = keras.ops.image.resize((1 - y * 3) + y, (16, 16))
    mean = keras.ops.mean(large, axis=(1, 2), keepdims=True)
    z = keras.ops.maximum(keras.ops.relu6(keras.ops.concatenate([large, large], 1)), mean)
    assert np.allclose(load_model(str(path), _RANGE).model(picture), mask(z), atol=1e-6)


@pytest.mark.parametrize(
    "operator",
    [
        _operator("FFT", ["conv"]),
        # It samples at other points than a resize of Keras 3.
        _operator("ResizeBilinear", ["conv"], {"1": [16, 16]}, {"align_corners": {"b": True}}),
    ],
)
def test_an_unknown_operator_is_named(tmp_path: Path, operator: Json) -> None:
    path = tmp_path / "old.h5"
    _with_operators(path, [operator])
    op = operator["config"]["node_def"]["op"]
    with pytest.raises(UsageError, match=rf"Received: layer tf_op_layer_{op}, which calls {op}\."):
        load_model(str(path), _RANGE)

"""Repairs of a saved architecture before Keras builds it: Lambda layers, Keras 2, half floats.

A Lambda layer of a saved model holds Python bytecode. That is never run nor even decoded: a
function from the user's file takes its place, or the model is refused.
"""

from __future__ import annotations

import copy
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py

from portrait_tflite.convert.loading.archive import CONFIG, KERAS_SUFFIX, WEIGHTS
from portrait_tflite.convert.loading.custom_objects import CustomObjects, FunctionLayer
from portrait_tflite.convert.loading.keras2 import is_keras2, mend_keras2, walk_layers
from portrait_tflite.convert.loading.keras2_attention import rename_sublayers
from portrait_tflite.convert.loading.single_precision import in_single_precision
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Json

_BYTECODE = "__lambda__"
_PLACEHOLDER = "PortraitTfliteFunction"


def repair_config(path: Path, config: Json, custom: CustomObjects) -> Json:
    """Return `config` in float32, with functions for its Lambda layers, without Keras 2 leftovers.

    Raises:
        UsageError: It holds code that the user's file does not replace, or that file names
            Lambda layers that there are not.
    """
    repaired: Json = in_single_precision(copy.deepcopy(config))
    if is_keras2(repaired):
        mend_keras2(repaired)
    layers = list(walk_layers(repaired))
    _check_lambdas(path, [layer for layer in layers if layer["class_name"] == "Lambda"], custom)
    for layer in layers:
        if layer["class_name"] == "Lambda" and _name(layer) in custom.lambdas:
            _replace_lambda(layer)
    _refuse_bytecode(path, repaired)
    return repaired


def write_repaired(path: Path, config: Json, folder: Path) -> Path:
    """Copy the model file into `folder` with another architecture; the weights stay as they are."""
    copied = folder / path.name
    text = json.dumps(config)
    if path.suffix.lower() == KERAS_SUFFIX:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(copied, "w") as target:
            for member in source.infolist():
                data = text.encode() if member.filename == CONFIG else source.read(member)
                if member.filename == WEIGHTS:
                    data = _with_names_of_keras3(data)
                target.writestr(member.filename, data)
        return copied
    shutil.copyfile(path, copied)
    with h5py.File(copied, "r+") as file:
        file.attrs["model_config"] = text
    return copied


def _with_names_of_keras3(weights: bytes) -> bytes:
    held = io.BytesIO(weights)
    try:
        with h5py.File(held, "r+") as file:
            rename_sublayers(file)
    except OSError:  # Keras says what is wrong with it
        return weights
    return held.getvalue()


def placeholder_classes(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """Return the custom objects by which Keras builds the layers that `repair_config` put in."""

    class Placeholder(FunctionLayer):
        @classmethod
        def from_config(cls, config: dict[str, Any]) -> FunctionLayer:
            name = config["name"]
            return FunctionLayer(functions[name], config["arguments"], name=name)

    return {_PLACEHOLDER: Placeholder}


def _name(layer: Json) -> str:
    return str(layer["config"].get("name", layer.get("name", "unnamed")))


def _check_lambdas(path: Path, lambdas: list[Json], custom: CustomObjects) -> None:
    names = [_name(layer) for layer in lambdas]
    unknown = sorted(set(custom.lambdas) - set(names))
    if unknown:
        raise UsageError(
            f"LAMBDAS must name Lambda layers of {path} ({', '.join(names) or 'it has none'}). "
            f"Received: {', '.join(unknown)}."
        )
    missing = [
        _name(layer)
        for layer in lambdas
        if _name(layer) not in custom.lambdas and not _is_known(layer, custom)
    ]
    if missing:
        example = ", ".join(f'"{name}": function' for name in missing)
        raise UsageError(
            f"{path} is refused: its Lambda layers ({', '.join(missing)}) hold Python code, which "
            "is not run.\nWrite what they do into a file with "
            f"LAMBDAS = {{{example}}} and give it by --custom-objects FILE.py."
        )


def _is_known(layer: Json, custom: CustomObjects) -> bool:
    """Tell whether a Lambda layer names, rather than holds, a function that the user's file has."""
    function = layer["config"].get("function")
    if isinstance(function, dict) and function.get("class_name") == "function":
        function = function.get("config")
    return isinstance(function, str) and function in custom.classes


def _replace_lambda(layer: Json) -> None:
    config = layer["config"]
    kept = {"name": _name(layer), "arguments": config.get("arguments") or {}}
    layer.update(class_name=_PLACEHOLDER, config=kept)
    if "registered_name" in layer:  # Keras 3
        layer.update(module=None, registered_name=_PLACEHOLDER)


def _refuse_bytecode(path: Path, config: Json) -> None:
    """Refuse code anywhere else, e.g. as a layer's activation."""
    for layer in walk_layers(config):
        held = [v for v in layer["config"].values() if isinstance(v, dict)]
        if any(value.get("class_name") == _BYTECODE for value in held):
            raise UsageError(
                f"{path} is refused: layer {_name(layer)} holds Python code, which is not run. "
                "Save the model with a named function there."
            )

"""The layers of a SavedModel that Keras 2 wrote: it keeps the architecture beside the graph.

Rebuilt from layers, the network can be rewritten; as a signature it is one opaque op.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.keras.protobuf import saved_metadata_pb2

from portrait_tflite.convert.loading.custom_objects import CustomObjects
from portrait_tflite.convert.loading.keras2 import CLASSES
from portrait_tflite.convert.loading.repair import placeholder_classes, repair_config
from portrait_tflite.convert.loading.single_precision import in_single_precision
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Json

METADATA = "keras_metadata.pb"
# Of the largest magnitude, against the signature; which may compute in half floats.
_TOLERANCE, _NARROW_TOLERANCE = 1e-4, 2e-2
_SEED = 20240


def rebuild(
    folder: Path, loaded: Any, signature: Any, picture: str, objects: CustomObjects
) -> keras.Model | None:
    """Rebuild the Keras model of a SavedModel from its metadata and variables.

    Args:
        folder: Of the SavedModel.
        loaded: What `tf.saved_model.load` gave.
        signature: What the rebuilt network must compute.
        picture: Its input that is the picture.
        objects: The user's own classes, and functions of Lambda layers.

    Returns:
        The network; None where there is no metadata, or where what was built of it is another
        network than the signature.

    Raises:
        UsageError: The functions that the user gave are not those of its Lambda layers.
    """
    config = _read_architecture(folder)
    if config is None:
        return None
    try:
        repaired = repair_config(folder, config, objects)
        classes = {**CLASSES, **objects.classes, **placeholder_classes(objects.lambdas)}
        model = keras.models.model_from_json(json.dumps(repaired), classes)
        model.set_weights([np.asarray(variable) for variable in loaded.variables])
        narrow = in_single_precision(config) != config
        tolerance = _NARROW_TOLERANCE if narrow else _TOLERANCE
        same = _computes(model, signature, picture, tolerance)
    except UsageError:
        if objects.lambdas:  # they are wrong, or not all that it needs
            raise
        return None
    # Whatever Keras 3 does not understand of it: the signature is there still.
    except Exception:
        return None
    return model if same else None


def _read_architecture(folder: Path) -> Json | None:
    path = folder / METADATA
    if not path.is_file():
        return None
    metadata = saved_metadata_pb2.SavedMetadata()
    try:
        metadata.ParseFromString(path.read_bytes())
        root = next(node for node in metadata.nodes if node.node_path == "root")
        held = json.loads(root.metadata)
    # The protobuf's DecodeError moves between its versions.
    except Exception:
        return None
    config = _plain(held.get("config"))
    if not isinstance(config, dict) or "layers" not in config:
        return None  # a subclass, which only its own code can build
    return {"class_name": held["class_name"], "module": "keras", "config": config}


def _plain(tree: Any) -> Any:
    """Undo how Keras 2 wrote tuples."""
    if isinstance(tree, dict):
        if tree.get("class_name") == "__tuple__":
            return _plain(tree["items"])
        return {key: _plain(value) for key, value in tree.items() if key != "shared_object_id"}
    return [_plain(value) for value in tree] if isinstance(tree, list) else tree


def _computes(model: keras.Model, signature: Any, picture: str, tolerance: float) -> bool:
    rng = np.random.default_rng(_SEED)
    shapes = ([1, *(size or 64 for size in tensor.shape[1:])] for tensor in model.inputs)
    arrays = [rng.random(shape, np.float32) for shape in shapes]
    # One input may be called otherwise in the signature; of several each by its layer's name.
    names = [picture] if len(arrays) == 1 else [tensor.name for tensor in model.inputs]
    expected = _arrays(signature(**{n: tf.constant(a) for n, a in zip(names, arrays, strict=True)}))
    found = _arrays(model(arrays if len(arrays) > 1 else arrays[0]))
    if len(expected) != len(found):
        return False
    pairs = zip(_by_size(expected), _by_size(found), strict=True)
    return all(_near(one, other, tolerance) for one, other in pairs)


def _arrays(outputs: Any) -> list[Any]:
    return [np.asarray(output, np.float32) for output in keras.tree.flatten(outputs)]


def _by_size(arrays: Sequence[Any]) -> list[Any]:
    """Order outputs: a signature gives them by name, a model by its own order."""
    return sorted(arrays, key=lambda array: (array.shape, float(array.sum())))


def _near(one: Any, other: Any, tolerance: float) -> bool:
    magnitude = max(float(np.abs(one).max(initial=0.0)), 1e-6)
    return bool(one.shape == other.shape and np.abs(one - other).max() <= tolerance * magnitude)

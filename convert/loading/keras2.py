"""Architectures that Keras 2 wrote, in the words of Keras 3.

What changed between the two: names of modules, precision policies, initializers, the numbering of
calls of a nested Sequential, names with slashes, `hard_sigmoid`, MultiHeadAttention, and TensorFlow
functions between layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keras import layers
from keras.src.applications import convnext

from portrait_tflite.convert.loading.keras2_attention import ATTENTION, mend_attention
from portrait_tflite.convert.loading.keras2_functions import TensorFlowFunction, hard_sigmoid
from portrait_tflite.convert.loading.keras2_operators import OPERATOR_LAYERS, as_function_layer
from portrait_tflite.vocabulary import Json

# Only training needs them, the weights being in the file; and their Keras 2 forms do not load.
_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
# Parameters that Keras 3 has not, with the only value that means what Keras 3 does.
_GONE = {"groups": 1, "noise_shape": None, "time_major": False, "implementation": 1}
# Layers that Keras 3 does not let be frozen by a parameter.
_NEVER_TRAINED = frozenset({"SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"})
_HARD_SIGMOID = "keras2_hard_sigmoid"
_MODELS = {"Functional": "keras.src.models.functional", "Model": "keras.src.models.functional"}
_NESTED = frozenset({"Sequential", *_MODELS})

CLASSES: dict[str, Any] = {
    # Of the library `efficientnet`, whose encoders others build on; at inference it does nothing.
    "FixedDropout": layers.Dropout,
    "TensorFlowFunction": TensorFlowFunction,
    _HARD_SIGMOID: hard_sigmoid,
    # Keras's own, which it finds by name in the files of Keras 3 alone.
    "LayerScale": convnext.LayerScale,
    "StochasticDepth": convnext.StochasticDepth,
}


def walk_layers(node: Any) -> Iterator[Json]:
    """Yield every layer's dict, those of nested models and wrappers too."""
    if isinstance(node, dict):
        if isinstance(node.get("class_name"), str) and isinstance(node.get("config"), dict):
            yield node
        for value in node.values():
            yield from walk_layers(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk_layers(value)


def is_keras2(config: Json) -> bool:
    """Tell whether Keras 2 wrote an architecture."""
    return any(
        "batch_input_shape" in layer["config"] or _of_keras2(layer) for layer in walk_layers(config)
    )


def mend_keras2(config: Json) -> None:
    """Turn an architecture that Keras 2 wrote into one that Keras 3 reads, in place.

    Raises:
        UsageError: It calls a TensorFlow function that is not known here.
    """
    for layer in list(walk_layers(config)):
        _mend_layer(layer)
    for model in list(_models(config)):
        if "input_layers" in model["config"]:
            _mend_graph(model["config"])
    _state_module(config)


def _state_module(model: Json) -> None:
    """Say where Keras 3 has a model's class: in an archive it asks for that, elsewhere never."""
    if "module" in model:
        model["module"] = _MODELS.get(model["class_name"], "keras")
        model["registered_name"] = model["class_name"]


def _of_keras2(layer: Json) -> bool:
    """Tell whether a layer has no module, or one that Keras 3 has not; tensors never have one."""
    if layer["class_name"].startswith("__"):
        return False
    return "module" not in layer or ".engine." in str(layer["module"])


def _models(config: Json) -> Iterator[Json]:
    return (layer for layer in walk_layers(config) if "layers" in layer["config"])


def _mend_layer(layer: Json) -> None:
    config = layer["config"]
    for key in [key for key in config if key.endswith(_TRAINING_ONLY)]:
        del config[key]
    for key, harmless in _GONE.items():
        if key in config and config[key] == harmless:
            del config[key]
    if layer["class_name"] in _NEVER_TRAINED:
        config.pop("trainable", None)
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    if config.get("activation") == "hard_sigmoid":
        config["activation"] = _HARD_SIGMOID
    policy = config.get("dtype")
    if isinstance(policy, dict) and policy.get("class_name") in ("Policy", "PolicyV1"):
        config["dtype"] = policy["config"]["name"]


def _mend_graph(graph: Json) -> None:
    """Mend the layers of a functional model, and who calls whom."""
    for layer in graph["layers"]:
        if layer["class_name"] in OPERATOR_LAYERS:
            as_function_layer(layer)
            layer["registered_name"] = None
        if layer["class_name"] == ATTENTION:
            mend_attention(layer)
        if layer["class_name"] in _MODELS:
            _state_module(layer)
        elif layer.get("registered_name") is None:  # none of the user's own
            layer.pop("module", None)
            layer.pop("registered_name", None)
    _number_from_zero(graph)
    _rename(graph)


def _number_from_zero(graph: Json) -> None:
    """Let the first call of a nested model be its call 0; Keras 2 counted its own as well.

    Of a graph's outputs Keras 3 alone still counts a nested functional model's calls from 1.
    """
    references, outputs = list(_references(graph)), list(_find_references(graph["output_layers"]))
    for layer in graph["layers"]:
        if layer["class_name"] not in _NESTED:
            continue
        own = [reference for reference in references if reference[0] == layer["name"]]
        shift = max((r[1] for r in own), default=0) - (len(layer["inbound_nodes"]) - 1)
        for reference in own:
            reference[1] -= max(shift, 0)
        if layer["class_name"] in _MODELS:
            for reference in outputs:
                reference[1] += reference[0] == layer["name"]


def _rename(graph: Json) -> None:
    """Take the slashes out of names: Keras 3 makes paths of them."""
    for reference in _references(graph):
        reference[0] = reference[0].replace("/", "_")
    for layer in graph["layers"]:
        layer["name"] = layer["name"].replace("/", "_")
        layer["config"]["name"] = str(layer["config"].get("name", layer["name"])).replace("/", "_")


def _references(graph: Json) -> Iterator[list[Any]]:
    """Yield every `[layer, call, tensor, …]` of a functional model, as the lists that they are."""
    nodes = [layer.get("inbound_nodes", []) for layer in graph["layers"]]
    seen: set[int] = set()
    for part in (nodes, graph["input_layers"], graph["output_layers"]):
        for reference in _find_references(part):
            if id(reference) not in seen:
                seen.add(id(reference))
                yield reference


def _find_references(tree: Any) -> Iterator[list[Any]]:
    if isinstance(tree, dict):
        for value in tree.values():
            yield from _find_references(value)
    elif isinstance(tree, list):
        if len(tree) >= 3 and isinstance(tree[0], str) and isinstance(tree[1], int):
            yield tree
        else:
            for value in tree:
                yield from _find_references(value)

"""Keras 2's MultiHeadAttention: its configuration, its calls and its weights, for Keras 3."""

from __future__ import annotations

from typing import Any

import h5py

from portrait_tflite.vocabulary import Json

ATTENTION = "MultiHeadAttention"
# What Keras 3 learns of the call. Robust masking is how it always masks.
_GONE = ("query_shape", "key_shape", "value_shape", "softmax_robust_masking")
_BEHIND_THE_QUERY = ("value", "key")
# An archive names the sublayers by attributes, which are public in Keras 3.
_SUBLAYERS = ("query_dense", "key_dense", "value_dense", "output_dense")


def mend_attention(layer: Json) -> None:
    """Leave out of a layer's dict, in place, what Keras 3 has no parameter for."""
    for key in _GONE:
        layer["config"].pop(key, None)
    # Of the query alone, where Keras 3 asks for the value's shape, too.
    layer.pop("build_config", None)
    layer["inbound_nodes"] = [
        _as_arguments(node) if isinstance(node, list) else node
        for node in layer.get("inbound_nodes", [])
    ]


def rename_sublayers(weights: h5py.File) -> None:
    """Give the sublayers in an archive's weights, in place, the names that Keras 3 looks for."""
    groups: list[str] = []
    weights.visit(groups.append)
    for path in groups:
        parent, _, name = path.rpartition("/")
        public = f"{parent}/{name.removeprefix('_')}"
        if name.removeprefix("_") in _SUBLAYERS and public not in weights:
            weights.move(path, public)


def _as_arguments(node: list[Any]) -> Json:
    """Write a call in the words of Keras 3, whose older ones have no tensors by keyword.

    Weights lie in an `.h5` in the order of the layers, which is that of the tensors here: as they
    were written in Keras 2; arguments, then keywords by the alphabet in Keras 3.
    """
    args = [_tensor(reference) for reference in node]
    kwargs = {key: _tensor(value) for key, value in (node[0][3] if node[0][3:] else {}).items()}
    for key in _BEHIND_THE_QUERY:
        if list(kwargs) == sorted(kwargs) or next(iter(kwargs)) != key:
            break
        args.append(kwargs.pop(key))
    return {"args": args, "kwargs": kwargs}


def _tensor(value: Any) -> Any:
    """Return a tensor's record for `[layer, call, tensor, …]`, other values as they are."""
    if not isinstance(value, list) or len(value) < 3 or not isinstance(value[0], str):
        return value
    # Keras looks the tensor up by its history; shape and type are not asked for.
    held = {"shape": [], "dtype": "float32", "keras_history": value[:3]}
    return {"class_name": "__keras_tensor__", "config": held}

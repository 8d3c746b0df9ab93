"""A network in float64: what float32 rounds away of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.graph import Frames, Graph, Node, Value, as_arrays, evaluate, replaced
from portrait_tflite.convert.loading.opened import is_composite


def outputs_in_double(graph: Graph, frames: Frames) -> list[NDArray[np.float64]] | None:
    """Compute a network's outputs with layers and tensors of float64.

    Args:
        graph: As read from a model: of layers and `keras.ops`.
        frames: One array `[n, h, w, c]` per input.

    Returns:
        None where a part of it has no float64: a SavedModel, a layer that nobody can look into.
    """
    arrays = frames if isinstance(frames, tuple) else (frames,)
    doubles = tuple(array.astype(np.float64) for array in arrays)
    try:
        doubled = _doubled(graph)
        results = as_arrays(evaluate(doubled.outputs, doubled.feed(doubles)))
    except Exception:  # whatever a user's own layer raises in a dtype that it was not written for
        return None
    return results if all(result.dtype == np.float64 for result in results) else None


def _doubled(graph: Graph) -> Graph:
    made: dict[Node, Any] = {}

    def replace(old: Value, kept: Value, _: dict[Value, Value]) -> Value:
        if old.node.op is None:
            return kept
        if old.node not in made:
            made[old.node] = dataclasses.replace(kept.node, op=_in_double(old.node.op))
        return Value(made[old.node], kept.index)

    return replaced(graph, replace)


def _in_double(op: Any) -> Any:
    """Return a layer with the same weights in float64; what has no weights is as it is."""
    if not isinstance(op, keras.layers.Layer):
        return op
    if is_composite(op) or isinstance(op, keras.layers.TFSMLayer):
        raise TypeError(f"{op.name} computes in float32 inside")
    layer = type(op).from_config({**op.get_config(), "dtype": "float64"})
    layer.build_from_config(op.get_build_config())
    layer.set_weights(op.get_weights())
    return layer

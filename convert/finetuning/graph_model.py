"""A graph as a Keras model, and a copy of it with weights of its own."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import Graph, Node, Value, replaced
from portrait_tflite.convert.rewrites.keras.site import Array
from portrait_tflite.images import Floats

Tensor = Any


class GraphModel(keras.Model):
    """Runs a graph as a Keras model.

    Its `call` takes no `training`: dropout rests and batch normalization keeps its statistics.

    Args:
        graph: The network.
        trained: The layers whose weights belong to the model.
    """

    def __init__(self, graph: Graph, trained: Collection[Any] = ()) -> None:
        super().__init__()
        self._graph = graph
        self._trained = list(trained)

    def call(self, image: Tensor) -> Tensor:
        return self._graph(image)


def teacher_of(graph: Graph) -> keras.Model:
    """Return the network as it came; it is never trained."""
    model = GraphModel(graph)
    model.compile(jit_compile=False)  # compiling takes longer than it gains
    return model


def masks_of(model: keras.Model, inputs: Floats, batch_size: int) -> Array:
    """Run a model on `batch_size` inputs, or fewer, which are filled up.

    A batch of another size would have the model traced again for batches of any size, which not
    every graph can be: it was made for one of known size.
    """
    missing = batch_size - len(inputs)
    filled = np.concatenate([inputs, inputs[-1:].repeat(missing, axis=0)]) if missing else inputs
    return np.asarray(model.predict_on_batch(filled), np.float32)[: len(inputs)]


def weights_digest(graph: Graph) -> str:
    """Digest all weights of a graph."""
    digest = hashlib.sha256()
    for node in graph.nodes():
        for weight in getattr(node.op, "weights", ()):
            digest.update(np.asarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return digest.hexdigest()


def with_own_weights(graph: Graph) -> tuple[Graph, list[Any]]:
    """Copy a graph's layers, since graphs before and after rewriting share theirs.

    Returns:
        The graph on the copies, and the copies. A layer that cannot be copied (a subclassed model,
        a layer without a configuration) stays shared, and is not among them.
    """
    copies: dict[int, Any] = {}
    nodes: dict[Node, Node] = {}

    def replace(old: Value, kept: Value, _: dict[Value, Value]) -> Value:
        if old.node not in nodes:
            copy = _copied(old.node, copies)
            nodes[old.node] = dataclasses.replace(kept.node, op=copy) if copy else kept.node
        return Value(nodes[old.node], old.index)

    copied = replaced(graph, replace)
    return copied, [copy for copy in copies.values() if copy is not None]


def _copied(node: Node, copies: dict[int, Any]) -> Any | None:
    op = node.op
    if not isinstance(op, keras.layers.Layer) or isinstance(op, keras.Model) or not op.weights:
        return None
    if id(op) not in copies:
        try:
            copy = type(op).from_config(op.get_config())
            dataclasses.replace(node, op=copy)([keras.KerasTensor(v.shape) for v in node.inputs])
            copy.set_weights(op.get_weights())
            copy.trainable = True
        except (NotImplementedError, TypeError, ValueError):
            copy = None  # a user's layer without a configuration
        copies[id(op)] = copy
    return copies[id(op)]

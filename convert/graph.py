"""A Keras network as an immutable graph that rewrites can replace parts of.

Replacing a node makes new nodes downstream, so that the graph before a rewrite can still be
evaluated and compared. Calling a `Graph` runs it, eagerly or inside `tf.function`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.dilated_transposed import as_convolution, is_dilated_transposed
from portrait_tflite.convert.loading.opened import has_own_call, is_composite, open_part
from portrait_tflite.convert.network_inputs import INPUT_NAME, keras_ends
from portrait_tflite.convert.values import (
    Node,
    Slot,
    Tensor,
    Value,
    apply_op,
    as_arrays,
    batch_one,
    evaluate,
    filler,
    map_tree,
    topological,
)

__all__ = [
    "Ends",
    "Frames",
    "Graph",
    "Node",
    "NotWalkableError",
    "Value",
    "apply_op",
    "as_arrays",
    "evaluate",
    "replaced",
    "trace",
]

Frames = NDArray[np.float32] | tuple[NDArray[np.float32], ...]
"""One array `[n, h, w, c]` per input of a graph; a lone one is the picture's."""

OUTPUT_NAME = "mask"


@dataclass(frozen=True)
class Ends:
    """What a network takes and gives besides picture and mask.

    Attributes:
        beside: Names of its further inputs, in their order.
        fed_back: Names of the outputs that are kept besides the mask, by their numbers.
    """

    beside: tuple[str, ...] = ()
    fed_back: Mapping[int, str] = field(default_factory=dict)


class NotWalkableError(Exception):
    """The model is no graph of layers (a subclassed model, say)."""


@dataclass(frozen=True)
class Graph:
    """A network: from `input`, and what else it takes, to `output`.

    Attributes:
        input: The picture, `[1, h, w, c]`.
        output: The mask, `[1, h', w', k]`.
        beside: What it takes besides: what it remembers of the last picture, or anything else.
        fed_back: What it gives besides, for the next picture.
        output_names: Of the mask and of these, in files.
    """

    input: Value
    output: Value
    beside: tuple[Value, ...] = ()
    fed_back: tuple[Value, ...] = ()
    output_names: tuple[str, ...] = (OUTPUT_NAME,)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The picture and what is beside it."""
        return (self.input, *self.beside)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs, in files."""
        return tuple(value.node.name for value in self.inputs)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The mask and what is fed back."""
        return (self.output, *self.fed_back)

    def nodes(self) -> list[Node]:
        """List the inputs and every node that the outputs need, inputs before users."""
        return topological([value.node for value in (*self.inputs, *self.outputs)])

    def uses(self) -> Counter[Value]:
        """Count how often each tensor is used, the graph's outputs included."""
        counts = Counter(value for node in self.nodes() for value in node.inputs)
        counts.update(self.outputs)
        return counts

    def feed(self, frames: Frames | tuple[Tensor, ...]) -> dict[Value, Tensor]:
        """Map each input to its tensor of `frames`; a lone tensor is the picture."""
        tensors = frames if isinstance(frames, tuple) else (frames,)
        return dict(zip(self.inputs, tensors, strict=True))

    def __call__(self, *frames: Tensor) -> Any:
        """Run the network on one tensor `[n, h, w, c]` per input.

        Returns:
            The mask; with what is fed back, all.
        """
        results = evaluate(self.outputs, self.feed(frames))
        return results[0] if len(results) == 1 else tuple(results)


def trace(model: keras.Model, output_index: int = 0, ends: Ends | None = None) -> Graph:
    """Read a functional or sequential model as a graph; nested models are laid open.

    So are subclassed models and layers whose `call` takes symbolic tensors. One that cannot be
    walked stays one node, whose `op` it is.

    Args:
        model: The picture is its first input, of known size; the batch becomes 1.
        output_index: Which of its outputs is the mask.
        ends: What it takes and gives besides; None where it gives nothing else.

    Raises:
        NotWalkableError: The model was not built from layers called on tensors.
    """
    functional = _functional(model)
    names = [end.name for end in keras_ends(functional.inputs[1:])]
    ends = ends or Ends(tuple(names))
    sources = [
        Node(name, None, (), (), {}, (batch_one(tensor.shape),)).output
        for name, tensor in zip((INPUT_NAME, *ends.beside), functional.inputs, strict=True)
    ]
    outputs = _trace_functional(functional, sources)
    return Graph(
        sources[0],
        outputs[output_index],
        tuple(sources[1:]),
        tuple(outputs[index] for index in ends.fed_back),
        (OUTPUT_NAME, *ends.fed_back.values()),
    )


def replaced(graph: Graph, replace: Callable[[Value, Value, dict[Value, Value]], Value]) -> Graph:
    """Rebuild a graph with some tensors computed otherwise.

    Args:
        replace: Called for every tensor, inputs before users, with the old tensor, the same in
            the rebuilt graph, and the map from old to new tensors so far; returns the new tensor.
    """
    new: dict[Value, Value] = {}
    for node in graph.nodes():
        inputs = tuple(new[value] for value in node.inputs)
        kept = node if inputs == node.inputs else dataclasses.replace(node, inputs=inputs)
        for index in range(len(node.shapes)):
            old = Value(node, index)
            new[old] = replace(old, Value(kept, index), new)
    return dataclasses.replace(
        graph,
        input=new[graph.input],
        output=new[graph.output],
        beside=tuple(new[value] for value in graph.beside),
        fed_back=tuple(new[value] for value in graph.fed_back),
    )


def _functional(model: Any) -> Any:
    own = has_own_call(model)
    if isinstance(model, keras.Sequential):
        model = model._functional
    if own or not hasattr(model, "operations") or not getattr(model, "inputs", None):
        raise NotWalkableError(getattr(model, "name", type(model).__name__))
    return model


def _trace_functional(model: Any, sources: Sequence[Value]) -> list[Value]:
    """Trace a functional model whose inputs are `sources`."""
    known: dict[int, Value] = {
        id(tensor): source for tensor, source in zip(model.inputs, sources, strict=True)
    }
    for keras_node in _keras_nodes(model, known):
        outputs = _trace_call(keras_node, [known[id(t)] for t in keras_node.input_tensors])
        known.update((id(t), v) for t, v in zip(keras_node.outputs, outputs, strict=True))
    return [known[id(tensor)] for tensor in model.outputs]


def _trace_call(keras_node: Any, inputs: list[Value]) -> list[Value]:
    operation = keras_node.operation
    slots = {id(t): Slot(i) for i, t in enumerate(keras_node.input_tensors)}

    def to_slot(item: Any) -> Any:
        return slots[id(item)] if id(item) in slots else _in_single_precision(item)

    args = map_tree(to_slot, tuple(keras_node.arguments.args))
    kwargs = map_tree(to_slot, dict(keras_node.arguments.kwargs))
    if is_composite(operation) and (opened := _opened(keras_node, args, kwargs)):
        return _trace_functional(opened, inputs)
    shapes = tuple(batch_one(t.shape) for t in keras_node.outputs)
    node = Node(operation.name, operation, tuple(inputs), args, kwargs, shapes)
    # Nothing here could be held against what TensorFlow does not run.
    if is_dilated_transposed(operation):
        return [as_convolution(node)]
    return [Value(node, index) for index in range(len(shapes))]


def _in_single_precision(item: Any) -> Any:
    """Narrow a float64 number of NumPy, which makes float64 of whatever it is multiplied with."""
    if isinstance(item, np.float64):
        return float(item)
    wide = isinstance(item, np.ndarray) and item.dtype == np.float64
    return item.astype(np.float32) if wide else item


def _opened(keras_node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a nested network as a functional model; None where it cannot be walked."""
    try:
        return _functional(keras_node.operation)
    except NotWalkableError:
        pass

    def fill(tensors: Sequence[Tensor]) -> tuple[Any, Any]:
        return map_tree(filler(tensors), args), map_tree(filler(tensors), kwargs)

    return open_part(keras_node.operation, keras_node.input_tensors, fill)


def _keras_nodes(model: Any, known: dict[int, Value]) -> list[Any]:
    """List the Keras nodes between the known tensors and the outputs, inputs first."""
    ordered: list[Any] = []
    seen: set[int] = set()
    stack = [(tensor, False) for tensor in model.outputs]
    while stack:
        tensor, expanded = stack.pop()
        if id(tensor) in known:
            continue
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if expanded:
            if id(node) not in seen:
                seen.add(id(node))
                ordered.append(node)
            continue
        if id(node) in seen:
            continue
        stack.append((tensor, True))
        stack.extend((inner, False) for inner in node.input_tensors)
    return ordered

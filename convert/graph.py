"""A Keras network as an immutable graph that rewrites can replace parts of.

A `Value` is one tensor, a `Node` one call of a layer. Nothing is ever changed: replacing a node
makes new nodes downstream, so that the graph before a rewrite can still be evaluated and compared.
Calling a `Graph` runs it, eagerly or inside `tf.function`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

Tensor = Any  # a backend tensor or an array
Operation = Any  # a Keras layer, a `keras.ops` operation, a function of tensors; all untyped


class NotWalkableError(Exception):
    """The model is no graph of layers (a subclassed model, say)."""


@dataclass(frozen=True)
class _Slot:
    """Stands for the `index`-th input tensor in a call's arguments."""

    index: int


@dataclass(frozen=True, eq=False, repr=False)
class Node:
    """One call of an operation.

    Attributes:
        name: Name of the layer that the user knows it by.
        op: What is called; None for an input of the graph.
        inputs: Its input tensors, in the order of the slots.
        args: Positional arguments with slots in place of tensors.
        kwargs: Keyword arguments, likewise.
        shapes: Shapes of its outputs, batch 1.
    """

    name: str
    op: Operation
    inputs: tuple[Value, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def output(self) -> Value:
        """Its first output."""
        return Value(self, 0)

    def __repr__(self) -> str:
        return f"Node({self.name!r}, {self.shapes})"

    def __call__(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Call the operation on `tensors`, one per input; always a list of outputs."""
        assert self.op is not None
        fill = _filler(tensors)
        result = self.op(*_map(fill, self.args), **_map(fill, self.kwargs))
        return list(keras.tree.flatten(result))  # a SavedModel's signature gives a dict


@dataclass(frozen=True)
class Value:
    """Output `index` of `node`."""

    node: Node
    index: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.shapes[self.index]


def apply_op(name: str, op: Operation, *inputs: Value | list[Value]) -> Value:
    """Add a call of `op` on top of `inputs`; a list is passed to `op` as one list of tensors.

    Returns:
        Its output; the shape is inferred by calling `op` symbolically.
    """
    flat: list[Value] = []
    args: list[Any] = []
    for item in inputs:
        members = item if isinstance(item, list) else [item]
        slots = [_Slot(len(flat) + i) for i in range(len(members))]
        flat.extend(members)
        args.append(slots if isinstance(item, list) else slots[0])
    symbolic = [keras.KerasTensor(value.shape) for value in flat]
    fill = _filler(symbolic)
    result = op(*_map(fill, tuple(args)))
    return Node(name, op, tuple(flat), tuple(args), {}, (_batch_one(result.shape),)).output


@dataclass(frozen=True)
class Graph:
    """A network: from `input` to `output`.

    Attributes:
        input: The picture, `[1, h, w, c]`.
        output: The mask, `[1, h', w', k]`.
    """

    input: Value
    output: Value

    def nodes(self) -> list[Node]:
        """List every node that the output needs, inputs before users."""
        return _topological([self.output.node])

    def uses(self) -> Counter[Value]:
        """Count how often each tensor is used, the graph's output included."""
        counts = Counter(value for node in self.nodes() for value in node.inputs)
        counts[self.output] += 1
        return counts

    def __call__(self, image: Tensor) -> Tensor:
        """Run the network on `[n, h, w, c]`."""
        return evaluate([self.output], {self.input: image})[0]


def evaluate(wanted: Sequence[Value], given: dict[Value, Tensor]) -> list[Tensor]:
    """Compute `wanted` from the tensors `given`; nodes behind given tensors are not run."""
    known = dict(given)
    for node in _topological([v.node for v in wanted if v not in known], stop=known):
        if all(Value(node, i) in known for i in range(len(node.shapes))):
            continue
        results = node([known[value] for value in node.inputs])
        known.update((Value(node, i), result) for i, result in enumerate(results))
    return [known[value] for value in wanted]


def trace(model: keras.Model, output_index: int = 0) -> Graph:
    """Read a functional or sequential model as a graph; nested models are laid open.

    A nested model that cannot be walked stays one node, whose `op` is a `keras.Model`.

    Args:
        model: One image input of known size; the batch becomes 1.
        output_index: Which of its outputs the graph ends in.

    Raises:
        NotWalkableError: The model was not built from layers called on tensors.
    """
    functional = _functional(model)
    image = functional.inputs[0]
    source = Node("image", None, (), (), {}, (_batch_one(image.shape),)).output
    outputs = _trace_functional(functional, [source])
    return Graph(source, outputs[output_index])


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
    return Graph(new[graph.input], new[graph.output])


def _functional(model: Any) -> Any:
    if isinstance(model, keras.Sequential):
        model = model._functional
    if not hasattr(model, "operations") or not getattr(model, "inputs", None):
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
    if isinstance(operation, keras.Model):
        try:
            return _trace_functional(_functional(operation), inputs)
        except NotWalkableError:
            pass  # it stays one node
    slots = {id(t): _Slot(i) for i, t in enumerate(keras_node.input_tensors)}

    def to_slot(item: Any) -> Any:
        return slots.get(id(item), item)

    arguments = keras_node.arguments
    shapes = tuple(_batch_one(t.shape) for t in keras_node.outputs)
    node = Node(
        operation.name,
        operation,
        tuple(inputs),
        _map(to_slot, tuple(arguments.args)),
        _map(to_slot, dict(arguments.kwargs)),
        shapes,
    )
    return [Value(node, index) for index in range(len(shapes))]


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


def _topological(ends: Iterable[Node], stop: dict[Value, Tensor] | None = None) -> list[Node]:
    """List the nodes below `ends`, inputs first, without going behind the tensors of `stop`."""
    stop = stop or {}
    ordered: dict[Node, None] = {}
    stack = [(node, False) for node in reversed(list(ends))]
    while stack:
        node, expanded = stack.pop()
        if node in ordered:
            continue
        if expanded:
            ordered[node] = None
            continue
        stack.append((node, True))
        stack.extend((v.node, False) for v in reversed(node.inputs) if v not in stop)
    return list(ordered)


def _batch_one(shape: Sequence[int | None]) -> tuple[int, ...]:
    return (1, *(int(size) if size is not None else -1 for size in shape[1:]))


def _filler(tensors: Sequence[Tensor]) -> Callable[[Any], Any]:
    return lambda item: tensors[item.index] if isinstance(item, _Slot) else item


def _map(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply `function` to the leaves of nested lists, tuples and dicts."""
    if isinstance(tree, dict):
        return {key: _map(function, item) for key, item in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_map(function, item) for item in tree)
    return function(tree)


def as_arrays(tensors: Iterable[Tensor]) -> list[np.ndarray[Any, Any]]:
    """Convert backend tensors to arrays."""
    return [np.asarray(keras.ops.convert_to_numpy(tensor)) for tensor in tensors]

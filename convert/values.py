"""The tensors of an immutable network and the calls that make them.

A `Value` is one tensor, a `Node` one call of a layer. Nothing is ever changed: replacing a node
makes new nodes downstream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

Tensor = Any  # a backend tensor or an array
Operation = Any  # a Keras layer, a `keras.ops` operation, a function of tensors; all untyped


@dataclass(frozen=True)
class Slot:
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
        """Call the operation on `tensors`, one per input, as at inference; a list of outputs."""
        assert self.op is not None
        fill = filler(tensors)
        kwargs = map_tree(fill, self.kwargs)
        if isinstance(self.op, keras.Layer):
            # As a network does at inference. Unsaid, the first layer inside that has a default of
            # its own (Resizing: True) decides for all that are called behind it.
            kwargs = {"training": False, **kwargs}
        result = self.op(*map_tree(fill, self.args), **kwargs)
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
        slots = [Slot(len(flat) + i) for i in range(len(members))]
        flat.extend(members)
        args.append(slots if isinstance(item, list) else slots[0])
    symbolic = [keras.KerasTensor(value.shape) for value in flat]
    fill = filler(symbolic)
    result = op(*map_tree(fill, tuple(args)))
    return Node(name, op, tuple(flat), tuple(args), {}, (batch_one(result.shape),)).output


def evaluate(wanted: Sequence[Value], given: dict[Value, Tensor]) -> list[Tensor]:
    """Compute `wanted` from the tensors `given`; nodes behind given tensors are not run."""
    known = dict(given)
    for node in topological([v.node for v in wanted if v not in known], stop=known):
        if all(Value(node, i) in known for i in range(len(node.shapes))):
            continue
        results = node([known[value] for value in node.inputs])
        known.update((Value(node, i), result) for i, result in enumerate(results))
    return [known[value] for value in wanted]


def topological(ends: Iterable[Node], stop: dict[Value, Tensor] | None = None) -> list[Node]:
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


def batch_one(shape: Sequence[int | None]) -> tuple[int, ...]:
    return (1, *(int(size) if size is not None else -1 for size in shape[1:]))


def filler(tensors: Sequence[Tensor]) -> Callable[[Any], Any]:
    return lambda item: tensors[item.index] if isinstance(item, Slot) else item


def map_tree(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply `function` to the leaves of nested lists, tuples and dicts."""
    if isinstance(tree, dict):
        return {key: map_tree(function, item) for key, item in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map_tree(function, item) for item in tree)
    return function(tree)


def as_arrays(tensors: Iterable[Tensor]) -> list[np.ndarray[Any, Any]]:
    """Convert backend tensors to arrays."""
    return [np.asarray(keras.ops.convert_to_numpy(tensor)) for tensor in tensors]

"""Parts of a graph that compute each number of a tensor from that number of another one alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.delegates.rule import op_set
from portrait_tflite.convert.graph import Node, Value, as_arrays, evaluate
from portrait_tflite.convert.rewrites.keras.added_layers import is_elementwise
from portrait_tflite.convert.rewrites.keras.site import Array, Uses

# Far more than anybody writes for one activation: GELU has 9.
_MOST_NODES = 32

_LAYERS = (
    *(keras.layers.Add, keras.layers.Average, keras.layers.ELU, keras.layers.LeakyReLU),
    *(keras.layers.Maximum, keras.layers.Minimum, keras.layers.Multiply, keras.layers.ReLU),
    *(keras.layers.Rescaling, keras.layers.Subtract),
)
_OPERATIONS = op_set("""
    Abs Absolute Add Cast Celu Clip Divide DivideNoNan Elu Erf Erfc Exp Expm1 Gelu Greater
    GreaterEqual HardShrink HardSigmoid HardSilu HardTanh LeakyRelu Less LessEqual Log Log1p
    LogSigmoid Logaddexp LogicalAnd LogicalNot LogicalOr Maximum Minimum Multiply Negative OnesLike
    Power Reciprocal Relu ReLU Relu6 Rsqrt Selu Sigmoid Sign Silu SoftShrink Softplus Softsign
    SparsePlus SparseSigmoid Sqrt Square Squareplus Subtract Tanh TanhShrink Threshold TrueDivide
    Where ZerosLike
""")


@dataclass(frozen=True)
class Region:
    """Nodes that make a tensor of `source`, each number of it alone.

    Attributes:
        source: The tensor that they compute from.
        nodes: Inputs before users; the last one makes the tensor.
        per_channel: Whether they hold a number of their own for each channel.
    """

    source: Value
    nodes: tuple[Node, ...]
    per_channel: bool

    def compute(self, points: Array) -> Array:
        """Compute what is made of numbers `[n]`.

        Returns:
            `[n, c]`; c is 1 unless `per_channel`.
        """
        shape = self.source.shape
        channels = shape[-1] if self.per_channel else 1
        column = points.astype(np.float32).reshape(-1, *[1] * (len(shape) - 1))
        fed = np.repeat(column, channels, axis=-1)
        (result,) = as_arrays(
            evaluate([self.nodes[-1].output], {self.source: keras.ops.convert_to_tensor(fed)})
        )
        return result.reshape(len(points), channels)


def regions_before(value: Value, uses: Uses) -> list[Region]:
    """List the parts that make `value` of one tensor, the largest first.

    What else reads a tensor between needs it as it is: there is none beyond.
    """
    found = [region for region in _regions(value) if _closed(region, value, uses)]
    return found[::-1]


def _regions(value: Value) -> Iterator[Region]:
    """Walk back from `value`; wherever all of it comes from one tensor, there is a region."""
    order = {node: position for position, node in enumerate(_ordered(value))}
    taken: list[Node] = []
    frontier = {value}
    while len(taken) < _MOST_NODES:
        last = max(frontier, key=lambda one: order[one.node])
        if not _is_pointwise(last, value.shape):
            return
        taken.append(last.node)
        frontier = (frontier - {last}) | set(last.node.inputs)
        if not frontier:
            return
        if len(frontier) == 1:
            nodes = tuple(taken[::-1])
            yield Region(next(iter(frontier)), nodes, any(_per_channel(node) for node in nodes))


def _ordered(value: Value) -> list[Node]:
    """List the nodes that may belong to a region, inputs before users, and those before them."""
    ordered: dict[Node, None] = {}
    stack = [(value, False)]
    while stack:
        one, expanded = stack.pop()
        if one.node in ordered:
            continue
        inner = _is_pointwise(one, value.shape)
        if expanded or not inner:
            ordered[one.node] = None
            continue
        stack.append((one, True))
        stack.extend((source, False) for source in one.node.inputs)
    return list(ordered)


def _is_pointwise(value: Value, shape: tuple[int, ...]) -> bool:
    node = value.node
    if node.op is None or len(node.shapes) != 1 or not _is_known(node.op):
        return False
    alike = all(one.shape == shape for one in (value, *node.inputs))
    return alike and all(_is_per_channel(item, shape[-1]) for item in _constants(node))


def _is_known(op: Any) -> bool:
    if isinstance(op, keras.layers.Activation):
        return is_elementwise(op.activation)
    if isinstance(op, keras.layers.Layer):
        return type(op) in _LAYERS
    # The user's own operation may have any name.
    ours = isinstance(op, keras.Operation) and type(op).__module__.startswith("keras.")
    return ours and type(op).__name__ in _OPERATIONS


def _constants(node: Node) -> list[Any]:
    """List what a call is given besides tensors, and what the layer multiplies by."""
    given = keras.tree.flatten((node.args, node.kwargs))
    if isinstance(node.op, keras.layers.Rescaling):
        given += [np.asarray(node.op.scale), np.asarray(node.op.offset)]
    return [item for item in given if hasattr(item, "shape")]


def _is_per_channel(constant: Any, channels: int) -> bool:
    shape = tuple(constant.shape)
    size = int(np.prod(shape))
    return size == 1 or (size == shape[-1] == channels)


def _per_channel(node: Node) -> bool:
    return any(int(np.prod(tuple(item.shape))) > 1 for item in _constants(node))


def _closed(region: Region, value: Value, uses: Uses) -> bool:
    inner = {node.output for node in region.nodes} - {value}
    reads = [read for node in region.nodes for read in node.inputs]
    return all(reads.count(one) == uses[one] for one in inner)

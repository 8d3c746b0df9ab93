"""Pairs of linear ops between which channels can be scaled without a change of the function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.quantize.remedies.linear_ops import NONE, RELU, LinearOp, linear_ops

# f(s · x) = s · f(x) for every s > 0, channel for channel.
_SCALES_THROUGH = frozenset(
    {
        "AVERAGE_POOL_2D",
        "LEAKY_RELU",
        "MAX_POOL_2D",
        "PAD",
        "RELU",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
    }
)
# RELU6 is none: its bound would be another one for every channel.
_HOMOGENEOUS = frozenset({NONE, RELU})


@dataclass(frozen=True, eq=False)
class Chain:
    """Two linear ops and what lies between.

    Attributes:
        first: Gives the channels.
        second: Reads them.
        tensors: Between the two, in their order; each has one reader.
    """

    first: LinearOp
    second: LinearOp
    tensors: tuple[int, ...]


def find_chains(model: schema.ModelT) -> list[Chain]:
    """Find the chains of a float file, in its order.

    Given:  linear → [ReLU, pooling, padding, resizing]* → linear, each read by the next alone
    """
    graph = model.subgraphs[0]
    nodes = list_nodes(model)
    readers: dict[int, list[Node]] = {}
    for node in nodes:
        for operand in node.given():
            readers.setdefault(operand.index, []).append(node)
    ends = set(indices(graph.outputs))
    single = {n: r[0] for n, r in readers.items() if len(r) == 1 and n not in ends}
    linear = {op.node.index: op for op in linear_ops(model)}
    return [chain for op in linear.values() for chain in _from(op, single, linear)]


def _from(
    first: LinearOp, single: Mapping[int, Node], linear: Mapping[int, LinearOp]
) -> Iterator[Chain]:
    tensors, node, at = [first.output], first.node, first.output
    while _homogeneous(node) and at in single:
        node = single[at]
        if node.index in linear:
            second = linear[node.index]
            if second.source == at and _reads_each_channel(second, first):
                yield Chain(first, second, tuple(tensors))
            return
        if node.op not in _SCALES_THROUGH or node.given()[0].index != at:
            return
        if _moves_channels(node):
            return
        at = node.outputs[0].index
        tensors.append(at)


def _homogeneous(node: Node) -> bool:
    return int(node.option("fusedActivationFunction", NONE)) in _HOMOGENEOUS


def _moves_channels(node: Node) -> bool:
    # A PAD may pad channels.
    return node.given()[0].shape[-1] != node.outputs[0].shape[-1]


def _reads_each_channel(second: LinearOp, first: LinearOp) -> bool:
    """Refuse groups, and dense layers on something flattened: their inputs are no channels."""
    channels = first.node.outputs[0].shape[-1]
    weights = second.node.inputs[1]
    assert weights is not None
    if second.depthwise:
        return weights.shape[-1] % channels == 0
    return weights.shape[-1] == channels

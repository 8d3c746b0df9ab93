"""Ops that only move numbers: what is done to each number may as well be done before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

# The largest of some numbers is the same one before and after what keeps their order; a PAD's
# zeros stay zeros.
_MOVES = frozenset({"DEPTH_TO_SPACE", "MAX_POOL_2D", "PAD", "RESHAPE", "SPACE_TO_DEPTH"})


@dataclass(frozen=True)
class Chain:
    """An op, and what moves its numbers.

    Attributes:
        producer: The op that computes.
        moves: The ops behind it, in their order; nobody else reads what is between them.
    """

    producer: Node
    moves: tuple[Node, ...]


def chain_before(model: schema.ModelT, tensor: int) -> Chain | None:
    """Walk back from a tensor over moves to the op that computes; None where others read along."""
    moves: list[Node] = []
    while count_readers(model, tensor) == 1:
        producer = producer_of(model, tensor)
        if producer is None or len(producer.outputs) != 1:
            return None
        if producer.op not in _MOVES or producer.option("fusedActivationFunction", 0):
            return Chain(producer, tuple(reversed(moves)))
        moves.append(producer)
        tensor = producer.given()[0].index
    return None


def repeat_chain(
    built: Replacement, model: schema.ModelT, chain: Chain, producer: Op, like: Operand
) -> None:
    """Add the chain once more, with another producer and all its tensors of the form of `like`.

    The last op writes the replaced op's output; the first chain is dead then.
    """
    nodes: Sequence[Node] = (chain.producer, *chain.moves)
    source = -1
    for node in nodes:
        inputs = indices(model.subgraphs[0].operators[node.index].inputs)
        op = producer
        if node is not chain.producer:
            op, inputs[0] = Op(node.op, node.version, node.options), source
        last = node is nodes[-1]
        target = None if last else built.tensor(node.outputs[0].shape, like)
        built.op(op, inputs, target)
        source = -1 if target is None else target

"""A place of a graph on its own: the few ops from some tensors to others, as a file that runs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Node, read_node
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused


@dataclass(frozen=True)
class Place:
    """A rewritten place before and after.

    Attributes:
        before: The ops of the place as a file.
        after: The same after the change; None where a source passes in the output's place.
        sources: Numbers of the tensors that it reads, in the order of the files' inputs.
        exact: Whether not a byte may change.
        observed: Whether it is judged on what the tensors hold on pictures alone.
        passed: Which source passes where `after` is None.
        aligns_kernels: Whether both kernel sets are to agree better; the output's scale may move.
    """

    before: bytes
    after: bytes | None
    sources: tuple[int, ...]
    exact: bool = True
    observed: bool = False
    passed: int = 0
    aligns_kernels: bool = False


def cut_out(model: schema.ModelT, sources: Sequence[int], targets: Sequence[int]) -> bytes:
    """Write the ops that lead from `sources` to `targets`, which become inputs and outputs."""
    graph = model.subgraphs[0]
    part = copy.copy(graph)
    part.operators = _operators_between(graph, sources, targets)
    part.tensors = [copy.copy(tensor) for tensor in graph.tensors]
    part.inputs = np.array(sources, np.int32)
    part.outputs = np.array(targets, np.int32)
    alone = schema.ModelT(
        version=model.version,
        operatorCodes=list(model.operatorCodes),
        subgraphs=[part, *map(_copied, model.subgraphs[1:])],
        buffers=list(model.buffers),
    )
    drop_unused(alone)
    return serialize(alone)


def _copied(graph: schema.SubGraphT) -> schema.SubGraphT:
    """Copy a graph that a WHILE or IF calls: pruning numbers its tensors and buffers anew."""
    alone = copy.copy(graph)
    alone.tensors = [copy.copy(tensor) for tensor in graph.tensors]
    alone.operators = [copy.copy(operator) for operator in graph.operators]
    return alone


def redirect(model: schema.ModelT, old: int, new: int) -> None:
    """Let every op that reads tensor `old` read `new`."""
    for operator in model.subgraphs[0].operators:
        operator.inputs = _replaced(operator.inputs, old, new)


def count_readers(model: schema.ModelT, tensor: int) -> int:
    """Count the uses of a tensor, those as an output of the graph too."""
    graph = model.subgraphs[0]
    uses = sum(indices(operator.inputs).count(tensor) for operator in graph.operators)
    return uses + indices(graph.outputs).count(tensor)


def computed_inputs(model: schema.ModelT, node: Node) -> tuple[int, ...]:
    """List the tensors that an op computes from: no constants, packed as float16 or not."""
    return tuple(o.index for o in node.given() if not o.constant and not _unpacked(model, o.index))


def producer_of(model: schema.ModelT, tensor: int) -> Node | None:
    """Find the op that writes a tensor."""
    operators = enumerate(model.subgraphs[0].operators)
    found = (position for position, o in operators if tensor in indices(o.outputs))
    position = next(found, None)
    return None if position is None else read_node(model, position)


def readers_of(model: schema.ModelT, tensor: int) -> list[Node]:
    """List the ops that read a tensor."""
    operators = enumerate(model.subgraphs[0].operators)
    return [read_node(model, position) for position, o in operators if tensor in indices(o.inputs)]


def is_output(model: schema.ModelT, tensor: int) -> bool:
    """Tell whether a tensor is an output of the graph."""
    return tensor in indices(model.subgraphs[0].outputs)


def _unpacked(model: schema.ModelT, tensor: int) -> bool:
    producer = producer_of(model, tensor)
    return producer is not None and producer.op == "DEQUANTIZE" and producer.given()[0].constant


def _operators_between(
    graph: schema.SubGraphT, sources: Sequence[int], targets: Sequence[int]
) -> list[Any]:
    wanted, given = set(targets), set(sources)
    kept = []
    for operator in reversed(graph.operators):
        if wanted.isdisjoint(indices(operator.outputs)):
            continue
        wanted.update(set(indices(operator.inputs)) - given)
        kept.append(copy.copy(operator))
    return kept[::-1]


def _replaced(vector: Any, old: int, new: int) -> Any:
    if vector is None:
        return None
    return np.array([new if index == old else index for index in indices(vector)], np.int32)

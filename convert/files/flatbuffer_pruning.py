"""Drop what nothing in a `.tflite` refers to any more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, op_name

# Run for what they do, not for what they return.
_SIDE_EFFECTS = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "HASHTABLE_IMPORT", "VAR_HANDLE"})


def drop_unused(model: schema.ModelT) -> None:
    """Drop ops whose results nobody reads, then tensors, buffers and op codes without a user."""
    for number, graph in enumerate(model.subgraphs):
        _drop_dead_operators(model, graph)
        _drop_tensors(model, graph, number)
    _drop_op_codes(model)
    _drop_buffers(model)


def _drop_dead_operators(model: schema.ModelT, graph: schema.SubGraphT) -> None:
    read = set(indices(graph.outputs))
    kept = []
    for operator in reversed(graph.operators):
        name = op_name(model.operatorCodes[operator.opcodeIndex])
        if read.isdisjoint(indices(operator.outputs)) and name not in _SIDE_EFFECTS:
            continue
        read.update(indices(operator.inputs))
        kept.append(operator)
    graph.operators = kept[::-1]


def _drop_tensors(model: schema.ModelT, graph: schema.SubGraphT, number: int) -> None:
    signatures = [s for s in model.signatureDefs or [] if s.subgraphIndex == number]
    entries = [entry for s in signatures for entry in (*(s.inputs or ()), *(s.outputs or ()))]
    used = {*indices(graph.inputs), *indices(graph.outputs), *(e.tensorIndex for e in entries)}
    for operator in graph.operators:
        used.update(indices(operator.inputs), indices(operator.outputs))
        used.update(indices(operator.intermediates))
    used.discard(-1)
    new = _renumbering(used)
    graph.tensors = [graph.tensors[old] for old in new]
    graph.inputs, graph.outputs = _renumber(graph.inputs, new), _renumber(graph.outputs, new)
    for entry in entries:
        entry.tensorIndex = new[entry.tensorIndex]
    for operator in graph.operators:
        operator.inputs = _renumber(operator.inputs, new)
        operator.outputs = _renumber(operator.outputs, new)
        operator.intermediates = _renumber(operator.intermediates, new)


def _drop_op_codes(model: schema.ModelT) -> None:
    operators = [operator for graph in model.subgraphs for operator in graph.operators]
    new = _renumbering({int(operator.opcodeIndex) for operator in operators})
    model.operatorCodes = [model.operatorCodes[old] for old in new]
    for operator in operators:
        operator.opcodeIndex = new[operator.opcodeIndex]


def _drop_buffers(model: schema.ModelT) -> None:
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    records = list(model.metadata or [])
    used = {0, *(tensor.buffer for tensor in tensors), *(record.buffer for record in records)}
    used.update(indices(model.metadataBuffer))
    new = _renumbering(used)
    model.buffers = [model.buffers[old] for old in new]
    for holder in (*tensors, *records):
        holder.buffer = new[holder.buffer]
    model.metadataBuffer = _renumber(model.metadataBuffer, new)


def _renumbering(used: Iterable[int]) -> dict[int, int]:
    """Map old numbers to new ones, in the old order."""
    return {old: number for number, old in enumerate(sorted(used))}


def _renumber(vector: Any, new: dict[int, int]) -> Any:
    if vector is None:
        return None
    return np.array([new.get(old, -1) for old in indices(vector)], np.int32)

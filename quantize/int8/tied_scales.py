"""Tensors that are tied to one scale in int8 by the ops between them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.quantize.int8.moves import ONE_SCALE
from portrait_tflite.quantize.int8.tensor_ranges import Range, activation_tensors


def tied_tensors(model: schema.ModelT) -> list[list[int]]:
    """Group the activation tensors of a float file by the scale that they have in common."""
    tensors = activation_tensors(model)
    root = {number: number for number in tensors}

    def find(number: int) -> int:
        while root[number] != number:
            number = root[number]
        return number

    for node in list_nodes(model):
        if node.op in ONE_SCALE:
            touched = [o.index for o in (*node.given(), *node.outputs) if o.index in root]
            for other in touched[1:]:
                root[find(other)] = find(touched[0])
    groups: dict[int, list[int]] = {}
    for number in tensors:
        groups.setdefault(find(number), []).append(number)
    return list(groups.values())


def tied_ranges(model: schema.ModelT, ranges: Mapping[int, Range]) -> dict[int, Range]:
    """Give tensors of one scale one range, which holds all of theirs; inputs keep their own.

    `TFLiteConverter` does so by itself, one op after the other; where many concatenations read the
    same tensors, as in dense blocks, it ends up with two scales for one of them, and gives up.
    """
    kept = {*indices(model.subgraphs[0].inputs)}
    tied = dict(ranges)
    for group in tied_tensors(model):
        known = [number for number in group if number in ranges and number not in kept]
        if known:
            whole = reduce(Range.joined, (ranges[number] for number in known))
            tied |= dict.fromkeys(known, whole)
    return tied

"""Tensors that have one scale: what must be changed where one of them gets another."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.xnnpack_ops import BIAS, DATA_INPUTS, ONE_SCALE
from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.place import (
    is_output,
    producer_of,
    readers_of,
)
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import form_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rescaled_constants import same_values

# Ops whose tensors all have one scale, in the built-in kernels or in XNNPACK.
_TIES = ONE_SCALE | {"CONCATENATION", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR"}


@dataclass(frozen=True)
class ScaleGroup:
    """Computed tensors that ops tie to one scale, and who else touches them.

    Attributes:
        tensors: Their numbers.
        ties: The ops between them, whose constants have that scale, too.
        writers: The ops that compute into the group.
        readers: The ops that read from it.
        ends: Whether one of them is an input or output of the graph.
    """

    tensors: frozenset[int]
    ties: tuple[Node, ...]
    writers: tuple[Node, ...]
    readers: tuple[Node, ...]
    ends: bool

    def rescale(self, model: schema.ModelT, built: Replacement, scale: float) -> None:
        """Give the group another scale: its tensors, its constants and its readers' biases.

        Args:
            model: It is changed in place.
            built: Where constants are added.
            scale: A number of single precision.
        """
        graph = model.subgraphs[0]
        ratio = 1.0
        for index in self.tensors:
            graph.tensors[index] = tensor = copy.copy(graph.tensors[index])
            tensor.quantization = copy.copy(tensor.quantization)
            ratio = scale / float(tensor.quantization.scale[0])
            tensor.quantization.scale = np.array([scale], np.float32)
        for node in self.ties:
            for operand in tied_operands(node):
                if operand.constant:
                    _replace(model, built, node, operand.index, ratio)
        for node in self.readers:
            bias = bias_of(node)
            if bias is not None:
                _replace(model, built, node, bias.index, ratio)


def scale_group(model: schema.ModelT, tensor: int) -> ScaleGroup:
    """Collect what is tied to the scale of a tensor."""
    tensors, open_ends = {tensor}, [tensor]
    ties: dict[int, Node] = {}
    writers: dict[int, Node] = {}
    readers: dict[int, Node] = {}
    ends = False
    while open_ends:
        index = open_ends.pop()
        producer = producer_of(model, index)
        ends |= producer is None or is_output(model, index)
        touching = [(writers, producer)] if producer is not None else []
        touching += [(readers, reader) for reader in readers_of(model, index)]
        for found, node in touching:
            if not _is_tie(node, index):
                found[node.index] = node
                continue
            ties[node.index] = node
            computed = {o.index for o in tied_operands(node) if not o.constant}
            open_ends += computed - tensors
            tensors |= computed
    return ScaleGroup(
        frozenset(tensors),
        tuple(ties.values()),
        tuple(writers.values()),
        tuple(readers.values()),
        ends,
    )


def tied_operands(node: Node) -> tuple[Operand, ...]:
    """List the tensors of a tie that have its scale."""
    positions = DATA_INPUTS.get(node.op, (0,))
    given = node.given()
    inputs = given if node.op == "CONCATENATION" else tuple(given[p] for p in positions)
    return (*inputs, *node.outputs)


def bias_of(node: Node) -> Operand | None:
    """Return the bias of an op, whose scale is the product of its input's and its filter's."""
    position = BIAS.get(node.op, len(node.inputs))
    return node.inputs[position] if position < len(node.inputs) else None


def _is_tie(node: Node, tensor: int) -> bool:
    tied = tied_operands(node) if node.op in _TIES else ()
    return any(o.index == tensor for o in tied) and len({form_of(o) for o in tied}) == 1


def _replace(
    model: schema.ModelT, built: Replacement, node: Node, constant: int, ratio: float
) -> None:
    operator = model.subgraphs[0].operators[node.index]
    added = same_values(model, built, constant, ratio)
    operator.inputs = np.array(
        [added if index == constant else index for index in indices(operator.inputs)], np.int32
    )

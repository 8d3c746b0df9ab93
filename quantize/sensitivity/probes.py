"""One op of a float network, or what it gives, as the int8 file has it."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand, list_nodes
from portrait_tflite.convert.rewrites.flatbuffer.place import cut_out
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import copy_graph
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.int8_steps import rounded
from portrait_tflite.quantize.int8.moves import MOVES
from portrait_tflite.quantize.sensitivity.tails import Tail, Tails
from portrait_tflite.runtime import open_model


class Probes:
    """Puts single steps of a quantization into the float network that it was made from.

    Only one thing is int8 at a time. With one thing in float at a time, a network that several
    tensors ruin would look ruined whichever of them is spared.

    Args:
        data: The float32 `.tflite`.
        quantized: The int8 file that was made of it, or of another with its ops: same names.
    """

    def __init__(self, data: bytes, quantized: bytes) -> None:
        self._model = read_model(data)
        self._quantized = read_model(quantized)
        self._tails = Tails(self._model)
        partners = {node.tensor: node for node in list_nodes(self._quantized)}
        self.pairs: Mapping[int, tuple[Node, Node]] = {
            node.index: (node, partners[node.tensor])
            for node in list_nodes(self._model)
            if node.tensor in partners and partners[node.tensor].op == node.op
        }

    def open(self, index: int) -> Probe:
        """Open an op and what is behind it, by its position."""
        node, partner = self.pairs[index]
        return Probe(
            node,
            None if partner.outputs[0].dtype != "int8" or _only_moves(partner) else partner,
            self.constants(index),
            self._tails.open(index, node.outputs[0].index),
        )

    def constants(self, index: int) -> bytes | None:
        """Write an op alone with the constants of the int8 file; None where it has none."""
        node, partner = self.pairs[index]
        rounded = {
            place: self._values(int8)
            for place, (ours, int8) in enumerate(zip(node.inputs, partner.inputs, strict=False))
            if ours and int8 and ours.constant and ours.dtype == "float32" and int8.scale
        }
        if not rounded:
            return None
        model = copy_graph(self._model)
        operator = model.subgraphs[0].operators[node.index]
        taken = np.array(operator.inputs, np.int32)
        for place, values in rounded.items():
            taken[place] = _add_constant(model, int(taken[place]), values)
        operator.inputs = taken
        return cut_out(model, _computed(node), [node.outputs[0].index])

    def _values(self, operand: Operand) -> Floats:
        """Return what an int8 constant stands for."""
        stored = self._quantized.subgraphs[0].tensors[operand.index]
        scale = np.asarray(stored.quantization.scale, np.float32)
        points = np.asarray(stored.quantization.zeroPoint, np.float32)
        assert operand.data is not None
        values = operand.data.view(operand.dtype).reshape(operand.shape).astype(np.float32)
        if scale.size > 1:
            along = [1] * values.ndim
            along[stored.quantization.quantizedDimension] = -1
            scale, points = scale.reshape(along), points.reshape(along)
        return (values - points) * scale


class Probe:
    """One op and what is behind it.

    Args:
        node: The op in the float file.
        rounded: The op in the int8 file; None where it rounds nothing.
        alone: The op with the constants of the int8 file; None where it has none.
        tail: What is behind it.
    """

    def __init__(self, node: Node, rounded: Node | None, alone: bytes | None, tail: Tail) -> None:
        self._node = node
        self._rounded = rounded
        self._alone = open_model(alone) if alone else None
        self._tail = tail

    def by_constants(self, held: Mapping[int, Floats]) -> list[Floats] | None:
        """Return the network's outputs where only the op's constants are int8.

        Args:
            held: Every activation tensor of the float file, by its number, on a picture.

        Returns:
            None where the op has no constants in int8.
        """
        if self._alone is None:
            return None
        (values,) = self._alone.run(*(held[number] for number in _computed(self._node)))
        return self._tail.outputs(held, values)

    def by_output(self, held: Mapping[int, Floats]) -> list[Floats] | None:
        """Return the network's outputs where only what the op gives is rounded to int8.

        Returns:
            None where that is not rounded, or was before it already.
        """
        if self._rounded is None:
            return None
        given = self._rounded.outputs[0]
        exact = held[self._node.outputs[0].index]
        return self._tail.outputs(held, rounded(exact, given.scale, given.zero_point))


def _computed(node: Node) -> list[int]:
    """Number what an op reads of the picture, each tensor once."""
    return list(dict.fromkeys(o.index for o in node.given() if not o.constant))


def _only_moves(node: Node) -> bool:
    """Tell whether an int8 op gives the steps that it was given."""
    steps = {(o.scale, o.zero_point) for o in (*node.given(), *node.outputs) if o.scale}
    return node.op in MOVES and len(steps) == 1 and node.op != "RESIZE_BILINEAR"


def _add_constant(model: schema.ModelT, like: int, values: Floats) -> int:
    """Add a constant tensor, since another op may read the one that it is like."""
    graph = model.subgraphs[0]
    tensor = copy.copy(graph.tensors[like])
    model.buffers.append(schema.BufferT(data=values.astype(np.float32).view(np.uint8).ravel()))
    tensor.buffer = len(model.buffers) - 1
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1

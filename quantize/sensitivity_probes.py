"""A float network with one op, or one tensor of it, as the int8 file has it."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, op_code_index, read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand, list_nodes
from portrait_tflite.convert.rewrites.flatbuffer.place import redirect
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import copy_graph
from portrait_tflite.images import Floats
from portrait_tflite.quantize.ranged_network import MOVES


class Probes:
    """Puts single steps of a quantization into the float file that it was made from.

    Only one thing is int8 at a time. With one thing in float at a time, a network that several
    tensors ruin would look ruined whichever of them is spared.

    Args:
        data: The float32 `.tflite`.
        quantized: The int8 file that was made of it, or of another with its ops: same names.
    """

    def __init__(self, data: bytes, quantized: bytes) -> None:
        self._model = read_model(data)
        self._ends = set(indices(self._model.subgraphs[0].outputs))
        self._quantized = read_model(quantized)
        partners = {node.tensor: node for node in list_nodes(self._quantized)}
        self.pairs: Mapping[int, tuple[Node, Node]] = {
            node.index: (node, partners[node.tensor])
            for node in list_nodes(self._model)
            if node.tensor in partners and partners[node.tensor].op == node.op
        }

    def constants(self, index: int) -> bytes | None:
        """Give an op the constants of the int8 file; None where it has none."""
        node, partner = self.pairs[index]
        model = copy_graph(self._model)
        graph = model.subgraphs[0]
        rounded = {
            place: self._values(int8)
            for place, (ours, int8) in enumerate(zip(node.inputs, partner.inputs, strict=False))
            if ours and int8 and ours.constant and ours.dtype == "float32" and int8.scale
        }
        if not rounded:
            return None
        taken = np.array(graph.operators[index].inputs, np.int32)
        for place, values in rounded.items():
            taken[place] = _add_constant(model, int(taken[place]), values)
        graph.operators[index].inputs = taken
        return serialize(model)

    def output(self, index: int) -> bytes | None:
        """Round what an op gives; None where that is not rounded, or was before it already."""
        node, partner = self.pairs[index]
        given, int8 = node.outputs[0], partner.outputs[0]
        if int8.dtype != "int8" or not int8.scale or _only_moves(partner):
            return None
        model = copy_graph(self._model)
        graph = model.subgraphs[0]
        stored, rounded = (copy.copy(graph.tensors[given.index]) for _ in range(2))
        stored.name, stored.type = f"{given.name}/int8".encode(), schema.TensorType.INT8
        stored.quantization = schema.QuantizationParametersT(
            scale=np.array([int8.scale], np.float32),
            zeroPoint=np.array([int8.zero_point], np.int64),
        )
        rounded.name = f"{given.name}/rounded".encode()
        first = len(graph.tensors)
        graph.tensors += [stored, rounded]
        redirect(model, given.index, first + 1)
        if given.index in self._ends:
            graph.outputs = np.where(graph.outputs == given.index, first + 1, graph.outputs)
        steps = [("QUANTIZE", given.index, first), ("DEQUANTIZE", first, first + 1)]
        graph.operators[index + 1 : index + 1] = [_step(model, *step) for step in steps]
        return serialize(model)

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


def _step(model: schema.ModelT, op: str, source: int, target: int) -> schema.OperatorT:
    return schema.OperatorT(
        opcodeIndex=op_code_index(model, op, 1),
        inputs=np.array([source], np.int32),
        outputs=np.array([target], np.int32),
    )

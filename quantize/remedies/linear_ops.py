"""Convolutions and dense layers of a float file: their weights by channel, read and written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.images import Floats

NONE, RELU = (
    schema.ActivationFunctionType.NONE,
    schema.ActivationFunctionType.RELU,
)
_FLOAT32 = schema.TensorType.FLOAT32
# Positions of source, weights and bias among the inputs.
_PLACES = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}


@dataclass(frozen=True, eq=False)
class LinearOp:
    """A convolution or dense layer with constant weights.

    Attributes:
        node: The op.
        source: Number of the tensor that it reads.
    """

    node: Node
    source: int

    @property
    def weights(self) -> int:
        """Number of its weights in the file that was listed."""
        weights = self.node.inputs[_PLACES[self.node.op][1]]
        assert weights is not None
        return weights.index

    @property
    def output(self) -> int:
        """Number of what it gives."""
        return self.node.outputs[0].index

    @property
    def depthwise(self) -> bool:
        """Whether each output channel sees one input channel."""
        return self.node.op == "DEPTHWISE_CONV_2D"

    @property
    def groups(self) -> int:
        """Into how many parts its input channels are divided, each with its own outputs."""
        source, weights = (
            next(o.shape[-1] for o in self.node.given() if o.index == number)
            for number in (self.source, self.weights)
        )
        return int(source if self.depthwise else max(source // weights, 1))

    @property
    def activation(self) -> int:
        """The schema's number of its fused activation."""
        return int(self.node.option("fusedActivationFunction", NONE))

    def by_output(self, weights: Floats) -> Floats:
        """View weights as `[o, everything else]`."""
        return weights.reshape(-1, weights.shape[-1]).T if self.depthwise else _flat(weights)

    def scale_outputs(self, weights: Floats, factors: Floats) -> Floats:
        """Multiply what gives each output channel."""
        if self.depthwise:
            return weights * factors
        return weights * factors.reshape(-1, *[1] * (weights.ndim - 1))

    def scale_inputs(self, weights: Floats, factors: Floats) -> Floats:
        """Multiply what reads each input channel."""
        # Depthwise: one input channel is read by a row of output channels.
        return weights * np.repeat(factors, weights.shape[-1] // factors.size)


def linear_ops(model: schema.ModelT) -> list[LinearOp]:
    """List the ops whose weights and bias are constants, in their order."""
    found = []
    for node in list_nodes(model):
        if node.op not in _PLACES:
            continue
        source, weights, bias = (
            node.inputs[place] if place < len(node.inputs) else None for place in _PLACES[node.op]
        )
        if source is None or source.constant or weights is None or weights.dtype != "float32":
            continue
        if weights.constant and (bias is None or bias.constant):
            found.append(LinearOp(node, source.index))
    return found


def read_weights(model: schema.ModelT, op: LinearOp) -> Floats:
    """Read weights: `[o, h, w, i]`, depthwise `[1, h, w, o]`, dense `[o, i]`."""
    return _read(model, _input(model, op, _PLACES[op.node.op][1]))


def read_bias(model: schema.ModelT, op: LinearOp) -> Floats:
    """Read a bias `[o]`; zeros where there is none."""
    number = _input(model, op, _PLACES[op.node.op][2])
    channels = op.node.outputs[0].shape[-1]
    return np.zeros(channels, np.float32) if number < 0 else _read(model, number)


def write_weights(model: schema.ModelT, op: LinearOp, values: Floats) -> None:
    """Change the weights of an op in place; others that share them keep theirs."""
    _write(model, op, _PLACES[op.node.op][1], values, "weights")


def write_bias(model: schema.ModelT, op: LinearOp, values: Floats) -> None:
    """Change or add the bias of an op in place; others that share it keep theirs."""
    _write(model, op, _PLACES[op.node.op][2], values, "bias")


def _read(model: schema.ModelT, number: int) -> Floats:
    tensor = model.subgraphs[0].tensors[number]
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
    return data.view(np.float32).reshape(indices(tensor.shape)).copy()


def _write(model: schema.ModelT, op: LinearOp, place: int, values: Floats, what: str) -> None:
    graph = model.subgraphs[0]
    data = np.ascontiguousarray(values, np.float32).view(np.uint8).ravel()
    # Equal constants share a buffer, and ops may share a tensor: only this op's changes.
    model.buffers.append(schema.BufferT(data=data))
    number = _input(model, op, place)
    if number < 0 or _readers(graph, number) > 1:
        name = f"{op.node.tensor}/{what}".encode()
        shape = np.array(values.shape, np.int32)
        graph.tensors.append(schema.TensorT(shape=shape, name=name, type=_FLOAT32))
        number = len(graph.tensors) - 1
        operator = graph.operators[op.node.index]
        inputs = [*indices(operator.inputs), -1][: max(place + 1, len(operator.inputs))]
        inputs[place] = number
        operator.inputs = np.array(inputs, np.int32)
    graph.tensors[number].buffer = len(model.buffers) - 1


def _input(model: schema.ModelT, op: LinearOp, place: int) -> int:
    """Number of an input as it is now; -1 where it is left out."""
    inputs = indices(model.subgraphs[0].operators[op.node.index].inputs)
    return inputs[place] if place < len(inputs) else -1


def _readers(graph: schema.SubGraphT, number: int) -> int:
    reading = sum(indices(operator.inputs).count(number) for operator in graph.operators)
    return reading + indices(graph.outputs).count(number)


def _flat(weights: Floats) -> Floats:
    return weights.reshape(len(weights), -1)

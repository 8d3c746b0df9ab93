"""Transposed convolutions that are to stay in float.

`TFLiteConverter`'s quantizer is told names of ops. It joins the name of a TRANSPOSE_CONV with that
of its weights, and finds it under neither; where it does find it, it leaves the op in float and
quantizes the weights all the same.
"""

from __future__ import annotations

import copy
from collections.abc import Collection

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import text
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes

_WEIGHTS = 1  # place among the inputs


def name_weights_as_ops(model: schema.ModelT, names: Collection[str]) -> None:
    """Give weights the name of what their op gives: two that are the same stay one.

    Args:
        model: A float file; changed in place.
        names: Of the outputs whose ops are to stay in float; other kinds are left alone.
    """
    for node in _transposed(model):
        if node.tensor in names:
            _put_weights(model, node, _weights(model, node), node.tensor)


def put_weights_back(made: schema.ModelT, model: schema.ModelT) -> None:
    """Give ops that stayed in float the weights that they had, and their outputs the names.

    Args:
        made: The file as it was quantized; changed in place.
        model: The float file, as `name_weights_as_ops` left it.
    """
    before = {node.tensor: node for node in _transposed(model)}
    for node in _transposed(made):
        named = text(_weights(made, node).name)
        if node.outputs[0].dtype == "float32" and named in before:
            exact = _weights(model, before[named])
            made.buffers.append(copy.copy(model.buffers[exact.buffer]))
            weights = copy.copy(exact)
            weights.buffer = len(made.buffers) - 1
            _put_weights(made, node, weights, f"{named}/weights")
            made.subgraphs[0].tensors[node.outputs[0].index].name = named.encode()


def _transposed(model: schema.ModelT) -> list[Node]:
    return [node for node in list_nodes(model) if node.op == "TRANSPOSE_CONV"]


def _weights(model: schema.ModelT, node: Node) -> schema.TensorT:
    operand = node.inputs[_WEIGHTS]
    assert operand is not None
    return model.subgraphs[0].tensors[operand.index]


def _put_weights(model: schema.ModelT, node: Node, weights: schema.TensorT, name: str) -> None:
    """Let an op read a copy of the weights: other ops may read the same."""
    graph = model.subgraphs[0]
    weights = copy.copy(weights)
    weights.name = name.encode()
    graph.tensors.append(weights)
    operator = graph.operators[node.index]
    operator.inputs = np.array(operator.inputs, np.int32)
    operator.inputs[_WEIGHTS] = len(graph.tensors) - 1

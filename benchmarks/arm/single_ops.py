"""Cuts a `.tflite` into one file per op, so that each op can be counted alone.

What XNNPACK makes one step of stays together: a PAD with the convolution behind it, a float ReLU
with the op before it. Ops on constants alone (weights stored as float16) run once at start-up;
they go into the file of the op that reads them and are no cost of their own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.files.flatbuffer_pruning import drop_unused
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.convert.mending.xnnpack_steps import constant_nodes, group_steps
from portrait_tflite.vocabulary import Delegate


@dataclass(frozen=True)
class SingleOp:
    """One op, or what XNNPACK makes one step of, as a file of its own.

    Attributes:
        op: Its builtin name; several are joined by `+`.
        layer: The Keras layer of its output where the file tells, else the tensor's name.
        data: The `.tflite`.
    """

    op: str
    layer: str
    data: bytes


def cut_ops(model: bytes, delegate: Delegate) -> list[SingleOp]:
    """Cut a file into its ops, in their order.

    Raises:
        UsageError: It is no whole `.tflite`.
    """
    parsed = read_model(model)
    nodes = list_nodes(parsed)
    layer_of = name_layers(parsed)
    constant = constant_nodes(nodes)
    moving = [node for node in nodes if node.index not in constant]
    return [
        SingleOp(
            op="+".join(node.op for node in group),
            layer=layer_of(group[-1].tensor) or group[-1].tensor,
            data=_cut(parsed, group, constant),
        )
        for group in group_steps(moving, fuse=delegate is Delegate.XNNPACK)
    ]


def _cut(model: schema.ModelT, group: Sequence[Node], constant: dict[int, Node]) -> bytes:
    sources = [n for n in constant.values() if _feeds(n, group, constant)]
    chosen = [*sources, *group]
    made = {operand.index for node in chosen for operand in node.outputs}
    given = {operand.index: operand for node in group for operand in node.given()}
    inputs = [i for i, operand in given.items() if not operand.constant and i not in made]
    outputs = [operand.index for operand in group[-1].outputs]
    graph = model.subgraphs[0]
    part = schema.ModelT(
        version=model.version, operatorCodes=list(model.operatorCodes), buffers=list(model.buffers)
    )
    part.subgraphs = [
        schema.SubGraphT(
            tensors=[copy.copy(tensor) for tensor in graph.tensors],
            operators=[copy.copy(graph.operators[node.index]) for node in chosen],
            inputs=np.array(inputs, np.int32),
            outputs=np.array(outputs, np.int32),
        )
    ]
    drop_unused(part)
    return serialize(part)


def _feeds(source: Node, group: Sequence[Node], constant: dict[int, Node]) -> bool:
    """Tell whether a group reads what `source` makes, directly or through other constants."""
    wanted = {operand.index for node in group for operand in node.given()}
    for node in reversed(constant.values()):
        if wanted & {operand.index for operand in node.outputs}:
            wanted |= {operand.index for operand in node.given()}
    return any(operand.index in wanted for operand in source.outputs)

"""What lies about a picture that is pooled for its maximum takes no range of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork


def with_pool_borders(network: RangedNetwork) -> RangedNetwork:
    """Raise a border that no maximum ever comes from to the least that the picture holds.

    Given:  x (−2 to 3) → PADV2(−inf) (−inf to 3) → MAX_POOL_2D
    Result: x (−2 to 3) → PADV2(−2) (−2 to 3) → MAX_POOL_2D

    Networks that came from PyTorch pad so, and keras-hub's. Each window reaches into the picture,
    and int8 holds nothing below its range: the maxima stay.
    """
    model = read_model(network.data)
    nodes, ranges = list_nodes(model), dict(network.ranges)
    for node in nodes:
        if node.op != "PADV2" or not _is_no_maximum(node, nodes):
            continue
        source, _, border = node.given()
        # A border above is part of what is pooled.
        if source.index in ranges and stored_values(border)[0] <= ranges[source.index].low:
            ranges[node.outputs[0].index] = ranges[source.index]
            _fill(model, node, ranges[source.index].low)
    changed = ranges != network.ranges
    return replace(network, data=serialize(model), ranges=ranges) if changed else network


def _is_no_maximum(node: Node, nodes: Sequence[Node]) -> bool:
    """Tell whether only maximum poolings read it whose windows are wider than the border."""
    if len(node.given()) != 3 or not all(operand.constant for operand in node.given()[1:]):
        return False
    amounts = node.given()[1]
    widest = stored_values(amounts).reshape(amounts.shape).max(axis=1)
    output = node.outputs[0].index
    readers = [n for n in nodes if any(operand.index == output for operand in n.given())]
    return bool(readers) and all(
        reader.op == "MAX_POOL_2D"
        and len(widest) == 4
        and not widest[[0, 3]].any()
        and widest[1] < reader.option("filterHeight")
        and widest[2] < reader.option("filterWidth")
        for reader in readers
    )


def _fill(model: schema.ModelT, node: Node, value: float) -> None:
    """Let a PADV2 fill its border with another number; ops that share the old one keep it."""
    graph = model.subgraphs[0]
    model.buffers.append(schema.BufferT(data=np.array([value], np.float32).view(np.uint8)))
    graph.tensors.append(
        schema.TensorT(
            shape=np.zeros(0, np.int32),
            name=f"{node.tensor}/border".encode(),
            type=schema.TensorType.FLOAT32,
            buffer=len(model.buffers) - 1,
        )
    )
    operator = graph.operators[node.index]
    inputs = indices(operator.inputs)
    operator.inputs = np.array([*inputs[:2], len(graph.tensors) - 1], np.int32)

"""Apply XNNPACK's rules to a whole graph, in the order in which it looks at the ops.

Source: LiteRT, `tflite/delegates/xnnpack/xnnpack_delegate.cc` (`PrepareOpsToDelegate`), read at
commit f674577 (August 2026).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.partitions import find_partitions
from portrait_tflite.convert.delegates.rule import Refusal, Rule, first_broken
from portrait_tflite.convert.delegates.site import Site
from portrait_tflite.convert.delegates.xnnpack import XNNPACK_FATAL_RULES, XNNPACK_RULES
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes

# Ops that read float16 weights as they are.
_READ_HALF = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_FOLLOWS = Refusal(
    "it unpacks weights of an op that is itself outside", "mend that op; this one follows it"
)


@dataclass(frozen=True)
class Prediction:
    """What a delegate makes of a graph.

    Attributes:
        refused: Why each op that stays outside does, by its position.
        partitions: The positions of the ops in each call of the delegate.
        fatal: Why the runtime does not even load the file with the delegate, by the op's position.
    """

    refused: dict[int, Refusal]
    partitions: tuple[tuple[int, ...], ...]
    fatal: dict[int, Refusal]


@np.errstate(all="ignore")  # broken scales have no ratio
def predict_xnnpack(model: schema.ModelT, rules: Sequence[Rule] = XNNPACK_RULES) -> Prediction:
    """Predict which ops of the first subgraph XNNPACK takes, and in how many partitions."""
    nodes = list_nodes(model)
    tensors = model.subgraphs[0].tensors
    unpacking = _find_unpacking(nodes)
    halved = frozenset(t for t, node in unpacking.items() if _stays_half(node, nodes))
    unpacked = frozenset(unpacking)
    refused: dict[int, Refusal] = {}
    fatal: dict[int, Refusal] = {}
    for node in nodes:
        if node.outputs and node.outputs[0].index in unpacking:
            continue
        site = Site(node, tensors, unpacked, halved)
        if found := first_broken(rules, site):
            refused[node.index] = found
        elif found := first_broken(XNNPACK_FATAL_RULES, site):
            fatal[node.index] = found
    readers = [nodes[index] for index in refused]  # a DENSIFY does not follow its DEQUANTIZE
    for tensor, node in unpacking.items():
        if any(_reads(reader, tensor) for reader in readers):
            refused[node.index] = _FOLLOWS
    inside = {node.index for node in nodes} - refused.keys()
    return Prediction(dict(sorted(refused.items())), find_partitions(nodes, inside), fatal)


def _find_unpacking(nodes: Sequence[Node]) -> dict[int, Node]:
    """Find the ops that unpack weights, which XNNPACK does once and for all, by what they write."""
    found: dict[int, Node] = {}
    for node in nodes:
        if _unpacks(node, found):
            found[node.outputs[0].index] = node
    return found


def _unpacks(node: Node, unpacked: Collection[int]) -> bool:
    """Whether it turns packed weights to float32, or sparse ones, which may be packed, to dense."""
    if node.op not in {"DENSIFY", "DEQUANTIZE"} or len(node.given()) != 1 or not node.outputs:
        return False
    source, target = node.given()[0], node.outputs[0]
    if node.op == "DENSIFY":
        return source.constant and target.dtype == source.dtype
    packed = source.dtype == "float16" or (source.dtype == "int8" and source.channels > 0)
    given = source.constant or source.index in unpacked
    return given and packed and target.dtype == "float32"


def _stays_half(node: Node, nodes: Sequence[Node]) -> bool:
    if node.given()[0].dtype != "float16":
        return False
    tensor = node.outputs[0].index
    readers = [other for other in nodes if _reads(other, tensor)]
    return all(r.op in _READ_HALF and r.given()[0].index != tensor for r in readers)


def _reads(node: Node, tensor: int) -> bool:
    return any(operand.index == tensor for operand in node.given())

"""Apply XNNPACK's rules to a whole graph, in the order in which it looks at the ops.

Source: LiteRT, `tflite/delegates/xnnpack/xnnpack_delegate.cc` (`PrepareOpsToDelegate`), read at
commit f674577 (August 2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.partitions import find_partitions
from portrait_tflite.convert.delegates.rule import Refusal, Rule, first_broken
from portrait_tflite.convert.delegates.site import Site
from portrait_tflite.convert.delegates.xnnpack import XNNPACK_FATAL_RULES, XNNPACK_RULES
from portrait_tflite.convert.flatbuffer_nodes import Node, list_nodes

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


def predict_xnnpack(model: schema.ModelT, rules: Sequence[Rule] = XNNPACK_RULES) -> Prediction:
    """Predict which ops of the first subgraph XNNPACK takes, and in how many partitions."""
    nodes = list_nodes(model)
    tensors = model.subgraphs[0].tensors
    unpacking = {n.outputs[0].index: n for n in nodes if _unpacks(n)}
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
    for tensor, node in unpacking.items():
        if any(_reads(nodes[index], tensor) for index in refused):
            refused[node.index] = _FOLLOWS
    inside = {node.index for node in nodes} - refused.keys()
    return Prediction(dict(sorted(refused.items())), find_partitions(nodes, inside), fatal)


def _unpacks(node: Node) -> bool:
    """Whether it turns weights in the file to float32, which XNNPACK does once and for all."""
    if node.op != "DEQUANTIZE" or len(node.given()) != 1:
        return False
    source, target = node.given()[0], node.outputs[0]
    packed = source.dtype == "float16" or (source.dtype == "int8" and source.channels > 0)
    return source.constant and packed and target.dtype == "float32"


def _stays_half(node: Node, nodes: Sequence[Node]) -> bool:
    if node.given()[0].dtype != "float16":
        return False
    tensor = node.outputs[0].index
    readers = [other for other in nodes if _reads(other, tensor)]
    return all(r.op in _READ_HALF and r.given()[0].index != tensor for r in readers)


def _reads(node: Node, tensor: int) -> bool:
    return any(operand.index == tensor for operand in node.given())

"""What a whole `.tflite` will cost, as the sum of its ops in a cost table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.costs.costed_nodes import costed_ops, looked_up, precision_of_node
from portrait_tflite.convert.costs.costed_op import BUILTIN, INT8, CostedOp
from portrait_tflite.convert.delegates.xnnpack_prediction import predict_xnnpack
from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.files.flatbuffer_lookups import find_lookups
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.mending.xnnpack_steps import constant_nodes, group_steps


@dataclass(frozen=True)
class Prediction:
    """The cost of one inference.

    Attributes:
        cycles: Of all ops that the table knows, and of the call of the runtime.
        unknown: Kinds of ops that it does not know, sorted; nothing is added for them.
    """

    cycles: float
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """What runs as one: an op, with a PAD before it or a clamp behind it.

    Attributes:
        nodes: Its ops.
        precision: `int8` or `float32`: what it computes in.
        cycles: What it costs by the table.
        unknown: Kinds of ops that the table does not know; nothing is added for them.
    """

    nodes: tuple[Node, ...]
    precision: str
    cycles: float
    unknown: tuple[str, ...] = ()


def predict(data: bytes, table: CostTable, outside: Collection[int] | None = None) -> Prediction:
    """Predict what one inference of a `.tflite` costs on the table's target, with XNNPACK.

    Args:
        data: The file.
        table: Of the target.
        outside: Positions of the ops that XNNPACK leaves, where the runtime was asked; None for
            what its rules say.

    Raises:
        UsageError: It is no whole `.tflite`.
    """
    model = read_model(data)
    if outside is None:
        outside = predict_xnnpack(model).refused
    return predict_nodes(list_nodes(model), table, outside, indices(model.subgraphs[0].outputs))


def predict_nodes(
    nodes: Sequence[Node],
    table: CostTable,
    outside: Collection[int],
    outputs: Collection[int],
) -> Prediction:
    """Predict the same of ops that were read already; arguments as of `cost_steps`."""
    steps = cost_steps(nodes, table, outside, outputs)
    unknown = {kind for step in steps for kind in step.unknown}
    return Prediction(table.call + sum(step.cycles for step in steps), tuple(sorted(unknown)))


def cost_steps(
    nodes: Sequence[Node],
    table: CostTable,
    outside: Collection[int],
    outputs: Collection[int],
) -> list[Step]:
    """Cost the ops of a graph, in their order; what runs once at start-up is left away.

    Args:
        nodes: The ops.
        table: What they cost.
        outside: Positions of those that XNNPACK leaves to the built-in kernels.
        outputs: Tensors that are outputs of the graph.
    """
    constant = constant_nodes(nodes)
    moving = [node for node in nodes if node.index not in constant]
    rows = find_lookups(moving, outside, outputs)
    taken = {node.index for row in rows for node in row}
    groups = group_steps([node for node in moving if node.index not in taken])
    steps = [_group_step(group, table, outside) for group in groups]
    steps += [_step(row, [looked_up(row)], INT8, table) for row in rows]
    return sorted(steps, key=lambda step: step.nodes[0].index)


def _group_step(group: Sequence[Node], table: CostTable, outside: Collection[int]) -> Step:
    # The others of a step cost nothing: a PAD before it, a clamp behind it.
    node = group[-1] if group[0].op == "PAD" else group[0]
    precision = precision_of_node(node)
    ops = list(costed_ops(node))
    if node.index in outside:
        ops = [replace(op, kind=BUILTIN.get(op.kind, op.kind)) for op in ops]
    return _step(group, ops, precision, table)


def _step(nodes: Sequence[Node], ops: Sequence[CostedOp], precision: str, table: CostTable) -> Step:
    known = [op for op in ops if table.knows(op.kind, precision)]
    unknown = {f"{op.kind} in {precision}" for op in ops if op not in known}
    cycles = sum(table.op_cost(op, precision) for op in known)
    return Step(tuple(nodes), precision, cycles, tuple(sorted(unknown)))

"""What a whole `.tflite` will cost, as the sum of its ops in a cost table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from portrait_tflite.convert.cost_table import CostTable
from portrait_tflite.convert.costed_op import FLOAT32, INT8, CostedOp, copied
from portrait_tflite.convert.flatbuffer import read_model
from portrait_tflite.convert.flatbuffer_nodes import Node, Operand, list_nodes
from portrait_tflite.convert.xnnpack_steps import constant_nodes, group_steps

_CHANNEL_KINDS = {"ADD": "ADD_CHANNELS", "SUB": "ADD_CHANNELS", "MUL": "MUL_CHANNELS"}
_SAME_COST = {"SLICE": "STRIDED_SLICE", "PADV2": "PAD", "RELU_N1_TO_1": "RELU6"}


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


def predict(model: bytes, table: CostTable) -> Prediction:
    """Predict what one inference of a `.tflite` costs on the table's target, with XNNPACK.

    Raises:
        UsageError: It is no whole `.tflite`.
    """
    steps = list(cost_steps(list_nodes(read_model(model)), table))
    unknown = {kind for step in steps for kind in step.unknown}
    return Prediction(table.call + sum(step.cycles for step in steps), tuple(sorted(unknown)))


def cost_steps(nodes: Sequence[Node], table: CostTable) -> Iterator[Step]:
    """Cost the ops of a graph, in their order; what runs once at start-up is left away."""
    constant = constant_nodes(nodes)
    for group in group_steps([node for node in nodes if node.index not in constant]):
        # The others of a step cost nothing: a PAD before it, a clamp behind it.
        node = group[-1] if group[0].op == "PAD" else group[0]
        precision = precision_of_node(node)
        ops = list(costed_ops(node)) if node.inputs and node.outputs else [_shapeless(node)]
        known = [op for op in ops if table.knows(op.kind, precision)]
        unknown = {f"{op.kind} in {precision}" for op in ops if op not in known}
        cycles = sum(table.op_cost(op, precision) for op in known)
        yield Step(tuple(group), precision, cycles, tuple(sorted(unknown)))


def precision_of_node(node: Node) -> str:
    """Tell the precision in which the table has an op."""
    operands = [*(o for o in node.given() if not o.constant), *node.outputs]
    return INT8 if operands and "int8" in operands[0].dtype else FLOAT32


def costed_ops(node: Node) -> Iterator[CostedOp]:
    """Yield an op as its cost sees it: one, or one per input where it copies each."""
    yield from _READERS.get(node.op, _elementwise)(node)


def _convolution(node: Node) -> Iterator[CostedOp]:
    source, weights = node.given()[:2]
    yield _sized(node, node.outputs[0], source, weights.shape[1:3], _stride(node))


def _transposed(node: Node) -> Iterator[CostedOp]:
    _, weights, source, *bias = node.given()
    # XNNPACK leaves it to the built-in kernels, whose cost the table does not hold.
    kind = f"{node.op} outside of XNNPACK" if bias and len(bias[0].shape) > 1 else None
    yield _sized(node, node.outputs[0], source, weights.shape[1:3], _stride(node), kind)


def _dense(node: Node) -> Iterator[CostedOp]:
    source, target = node.given()[0], node.outputs[0]
    rows = target.size // target.shape[-1]
    yield CostedOp(node.op, rows, 1, source.size // rows, target.shape[-1])


def _pool(node: Node) -> Iterator[CostedOp]:
    window = (node.option("filterHeight", 1), node.option("filterWidth", 1))
    yield _sized(node, node.outputs[0], node.given()[0], window, _stride(node))


def _mean(node: Node) -> Iterator[CostedOp]:
    yield _sized(node, node.given()[0], node.given()[0])


def _concatenation(node: Node) -> Iterator[CostedOp]:
    axis = node.option("axis", -1) % max(1, len(node.outputs[0].shape))
    for source in node.given():
        runs = prod(source.shape[:axis])
        yield copied(abs(runs), abs(source.size // max(1, runs)))


def _rearranged(node: Node) -> Iterator[CostedOp]:
    block = node.option("blockSize", 1)
    yield _sized(node, node.outputs[0], node.given()[0], stride=block)


def _elementwise(node: Node) -> Iterator[CostedOp]:
    source, target = node.given()[0], node.outputs[0]
    kind = _SAME_COST.get(node.op, node.op)
    others = [o.size for o in node.given() if 1 < o.size < target.size]
    if others and node.op in _CHANNEL_KINDS:
        kind = _CHANNEL_KINDS[node.op]
    yield _sized(node, target, source, kind=kind)


def _sized(
    node: Node,
    target: Operand,
    source: Operand,
    kernel: tuple[int, ...] = (1, 1),
    stride: int = 1,
    kind: str | None = None,
) -> CostedOp:
    """Make an op of the size of `target`, whose last dimension is its channels."""
    channels = target.shape[-1] if target.shape else 1
    positions = abs(target.size) // max(1, channels)  # a size of -1, known at run time, counts once
    return CostedOp(
        kind=kind or node.op,
        height=positions,
        width=1,
        channels_in=source.shape[-1] if source.shape else 1,
        channels_out=channels,
        kernel=(kernel[0], kernel[1]),
        stride=stride,
    )


def _stride(node: Node) -> int:
    return int(node.option("strideH", 1))


def _shapeless(node: Node) -> CostedOp:
    return CostedOp(node.op, 1, 1, 1, 1)  # a call of another graph, and the like


_READERS: dict[str, Callable[[Node], Iterator[CostedOp]]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _pool,
    "AVERAGE_POOL_2D": _pool,
    "MEAN": _mean,
    "CONCATENATION": _concatenation,
    "DEPTH_TO_SPACE": _rearranged,
}

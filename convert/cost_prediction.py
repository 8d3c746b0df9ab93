"""What a whole `.tflite` will cost, as the sum of its ops in a cost table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from portrait_tflite.convert.cost_table import CostTable
from portrait_tflite.convert.costed_op import FLOAT32, INT8, CostedOp
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


def predict(model: bytes, table: CostTable) -> Prediction:
    """Predict what one inference of a `.tflite` costs on the table's target, with XNNPACK.

    Raises:
        UsageError: It is no whole `.tflite`.
    """
    nodes = list_nodes(read_model(model))
    constant = constant_nodes(nodes)
    cycles, unknown = float(table.call), set()
    for group in group_steps([node for node in nodes if node.index not in constant]):
        # The others of a step cost nothing: a PAD before it, a clamp behind it.
        node = group[-1] if group[0].op == "PAD" else group[0]
        precision = INT8 if "int8" in _first_activation(node).dtype else FLOAT32
        for op in _costed_ops(node):
            if table.knows(op.kind, precision):
                cycles += table.op_cost(op, precision)
            else:
                unknown.add(f"{op.kind} in {precision}")
    return Prediction(cycles, tuple(sorted(unknown)))


def _costed_ops(node: Node) -> Iterator[CostedOp]:
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
    for source in node.given():
        yield _sized(node, source, source)


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


def _first_activation(node: Node) -> Operand:
    return next((o for o in node.given() if not o.constant), node.outputs[0])


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

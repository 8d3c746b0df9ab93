"""The ops of a `.tflite` as their cost sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from portrait_tflite.convert.costs.costed_broadcasts import BROADCASTING, broadcast_kind
from portrait_tflite.convert.costs.costed_copies import (
    concatenated,
    gathered,
    packed,
    split,
    unpacked,
)
from portrait_tflite.convert.costs.costed_op import FLOAT32, INT8, CostedOp
from portrait_tflite.convert.costs.costed_reductions import REDUCTIONS, reduced
from portrait_tflite.convert.delegates.fewer_dimensions import merge_dimensions
from portrait_tflite.convert.delegates.site import numbers
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand

_SAME_COST = {
    "CEIL": "FLOOR",
    "LOGICAL_OR": "LOGICAL_AND",
    "PADV2": "PAD",
    "RELU_N1_TO_1": "RELU6",
    "ROUND": "FLOOR",
    "SLICE": "STRIDED_SLICE",
}


def precision_of_node(node: Node) -> str:
    """Tell the precision in which the table has an op: of its numbers, whatever chooses them.

    Ops of truth values alone are those of a float32 network, too, and stand there.
    """
    operands = [*(o for o in node.given() if not o.constant), *node.outputs]
    numbers = [o.dtype for o in operands if o.dtype != "bool"]
    return INT8 if numbers and "int8" in numbers[0] else FLOAT32


def costed_ops(node: Node) -> Iterator[CostedOp]:
    """Yield an op as its cost sees it: one, or one per input where it copies each."""
    if not (node.inputs and node.outputs):  # a call of another graph, and the like
        yield CostedOp(node.op, 1, 1, 1, 1)
    else:
        yield from _READERS.get(node.op, _elementwise)(node)


def looked_up(row: Sequence[Node]) -> CostedOp:
    """Return what a row of ops is of which XNNPACK makes one look-up: as a LOGISTIC of bytes is."""
    return CostedOp("LOGISTIC", abs(row[-1].outputs[0].size), 1, 1, 1)


def _convolution(node: Node) -> Iterator[CostedOp]:
    source, weights = node.given()[:2]
    op = _sized(node, node.outputs[0], source, weights.shape[1:3], _stride(node))
    # A file may be damaged, and say nothing of its weights.
    read = abs(weights.shape[-1]) if node.op == "CONV_2D" and weights.shape else op.channels_in
    groups = op.channels_in // max(1, read)
    if groups <= 1:
        yield op
    # XNNPACK takes its depthwise kernels where each group has one channel and makes one.
    elif groups == op.channels_in == op.channels_out:
        yield replace(op, kind="DEPTHWISE_CONV_2D")
    else:
        units = op.channels_out // groups
        yield from [replace(op, channels_in=read, channels_out=units)] * groups


def _transposed(node: Node) -> Iterator[CostedOp]:
    _, weights, source = node.given()[:3]
    op = _sized(node, node.outputs[0], source, weights.shape[1:3], _stride(node))
    yield replace(op, stride_columns=int(node.option("strideW", 1)))


def _transpose(node: Node) -> Iterator[CostedOp]:
    source, order = node.given()[:2]
    axes = [axis % max(1, len(source.shape)) for axis in numbers(order).tolist()]
    merged, moved = merge_dimensions(source.shape, axes) if source.shape else ((), ())
    sizes = [abs(size) for size in merged]  # -1 stands for one
    if list(moved) == sorted(moved):
        yield _sized(node, node.outputs[0], source, kind="RESHAPE")
        return
    last = len(sizes) - 1
    length = 1
    if moved[-1] == last:  # so many numbers stay together
        length = sizes[last]
        last, moved = last - 1, moved[:-1]
    runs = abs(source.size) // max(1, length)
    stride = min(sizes[last], sizes[moved[-1]])
    yield CostedOp(node.op, runs, 1, length, length, stride=stride)


def _dense(node: Node) -> Iterator[CostedOp]:
    source, target = node.given()[0], node.outputs[0]
    units = target.shape[-1] if target.shape else 1
    rows = max(1, abs(target.size) // max(1, units))
    yield CostedOp(node.op, rows, 1, abs(source.size) // rows, units)


def _matrix_product(node: Node) -> Iterator[CostedOp]:
    source, target = node.given()[0], node.outputs[0]
    if len(source.shape) < 2 or len(target.shape) < 2:  # a file that is damaged
        yield from _elementwise(node)
        return
    rows, units = map(abs, target.shape[-2:])
    depth = source.shape[-2 if node.option("adjX", False) else -1]
    products = abs(target.size) // max(1, rows * units)
    yield from [CostedOp(node.op, rows, 1, abs(depth), units)] * products


def _pool(node: Node) -> Iterator[CostedOp]:
    window = (node.option("filterHeight", 1), node.option("filterWidth", 1))
    yield _sized(node, node.outputs[0], node.given()[0], window, _stride(node))


def _broadcast(node: Node) -> Iterator[CostedOp]:
    yield _sized(node, node.outputs[0], node.given()[0], kind=broadcast_kind(node))


def _magnitude(node: Node) -> Iterator[CostedOp]:
    source, target = node.given()[0], node.outputs[0]
    kind = "ABS" if source.scale == target.scale else "ABS_RESCALED"  # wherever their zeros are
    yield _sized(node, target, source, kind=kind)


def _cast(node: Node) -> Iterator[CostedOp]:
    source, target = node.given()[0], node.outputs[0]
    kinds = (source.dtype,) if target.dtype == "float32" else ("to", target.dtype)
    yield _sized(node, target, source, kind="_".join(("CAST", *kinds)).upper())


def _rearranged(node: Node) -> Iterator[CostedOp]:
    block = node.option("blockSize", 1)
    yield _sized(node, node.outputs[0], node.given()[0], stride=block)


def _elementwise(node: Node) -> Iterator[CostedOp]:
    kind = _SAME_COST.get(node.op, node.op)
    yield _sized(node, node.outputs[0], node.given()[0], kind=kind)


def _sized(
    node: Node,
    target: Operand,
    source: Operand,
    kernel: tuple[int, ...] = (1, 1),
    stride: int = 1,
    kind: str | None = None,
) -> CostedOp:
    """Make an op of the size of `target`, whose last dimension is its channels.

    What a file does not say counts once.
    """
    channels = target.shape[-1] if target.shape else 1
    positions = abs(target.size) // max(1, channels)  # -1 stands for a size
    rows, columns = kernel or (1, 1)
    return CostedOp(
        kind=kind or node.op,
        height=positions,
        width=1,
        channels_in=source.shape[-1] if source.shape else 1,
        channels_out=channels,
        kernel=(rows, columns),
        stride=stride,
    )


def _stride(node: Node) -> int:
    return int(node.option("strideH", 1))


_READERS: dict[str, Callable[[Node], Iterator[CostedOp]]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _dense,
    "BATCH_MATMUL": _matrix_product,
    "MAX_POOL_2D": _pool,
    "AVERAGE_POOL_2D": _pool,
    "ABS": _magnitude,
    "CAST": _cast,
    "CONCATENATION": concatenated,
    "DEPTH_TO_SPACE": _rearranged,
    "GATHER": gathered,
    "PACK": packed,
    "SPLIT": split,
    "TRANSPOSE": _transpose,
    "UNPACK": unpacked,
    **dict.fromkeys(REDUCTIONS, reduced),
    **dict.fromkeys(BROADCASTING, _broadcast),
}

"""Which neighbouring ops XNNPACK makes one step of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from portrait_tflite.convert.files.flatbuffer_nodes import Node

_PADDED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_CLAMPS = frozenset({"RELU", "RELU6", "RELU_N1_TO_1"})
_CLAMPED = frozenset(
    {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "FULLY_CONNECTED"}
    | {"MAX_POOL_2D", "MUL", "SUB", "TRANSPOSE_CONV"}
)


def constant_nodes(nodes: Sequence[Node]) -> dict[int, Node]:
    """Find the ops that read constants alone, by index: they run once, at start-up."""
    found: dict[int, Node] = {}
    known: set[int] = set()
    for node in nodes:
        if all(operand.constant or operand.index in known for operand in node.given()):
            found[node.index] = node
            known.update(operand.index for operand in node.outputs)
    return found


def group_steps(nodes: Sequence[Node], *, fuse: bool = True) -> Iterator[list[Node]]:
    """Group a PAD with the convolution behind it, and a float ReLU with the op before it.

    Args:
        nodes: Ops in their order, without those on constants alone.
        fuse: Whether XNNPACK is at work; else every op is a step of its own.
    """
    readers = Counter(operand.index for node in nodes for operand in node.given())
    group: list[Node] = []
    for node in nodes:
        if group and not (fuse and _is_one_step(group[-1], node, readers)):
            yield group
            group = []
        group.append(node)
    if group:
        yield group


def _is_one_step(first: Node, second: Node, readers: Counter[int]) -> bool:
    if not second.given() or first.outputs[0].index != second.given()[0].index:
        return False
    if readers[first.outputs[0].index] > 1:
        return False
    if first.op == "PAD":
        return second.op in _PADDED
    return first.op in _CLAMPED and second.op in _CLAMPS and first.outputs[0].dtype == "float32"

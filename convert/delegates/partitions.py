"""Which ops the runtime puts together into one call of a delegate.

Source: LiteRT, `tflite/graph_info.cc` (PartitionGraphIntoIndependentNodeSubsets), read at commit
f674577 (August 2026).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from portrait_tflite.convert.flatbuffer_nodes import Node

# Ops that run other graphs: what else these change cannot be told from the op.
_CALLS = frozenset({"CALL_ONCE", "IF", "WHILE"})


def find_partitions(nodes: Sequence[Node], inside: Collection[int]) -> tuple[tuple[int, ...], ...]:
    """Group the ops inside a delegate; each group is one call of it.

    A group takes every op of its side whose inputs are there, then the other side has its turn.

    Args:
        nodes: Ops in their order.
        inside: Positions of those that the delegate takes.
    """
    waiting = {operand.index for node in nodes for operand in node.outputs}
    left = list(nodes)
    groups: list[tuple[int, ...]] = []
    while left:
        side = _side_of_next(left, waiting, inside)
        if side is None:  # a loop: the file is broken, which the runtime will say
            break
        group = _collect(left, waiting, inside, side)
        left = [node for node in left if node.index not in group]
        if side:
            groups.append(tuple(sorted(group)))
    return tuple(groups)


def _side_of_next(
    left: Sequence[Node], waiting: Collection[int], inside: Collection[int]
) -> bool | None:
    ready = (node for node in left if _ready(node, waiting, left))
    return next((node.index in inside for node in ready), None)


def _collect(
    left: Sequence[Node], waiting: set[int], inside: Collection[int], side: bool
) -> set[int]:
    group: set[int] = set()
    grown = True
    while grown:
        grown = False
        for node in left:
            rest = [other for other in left if other.index not in group]
            mine = (node.index in inside) is side and node.index not in group
            if mine and _ready(node, waiting, rest):
                group.add(node.index)
                waiting.difference_update(operand.index for operand in node.outputs)
                grown = True
    return group


def _ready(node: Node, waiting: Collection[int], left: Sequence[Node]) -> bool:
    if any(operand.index in waiting for operand in node.given()):
        return False
    if not _ordered(node):
        return True
    return not any(_ordered(other) and other.index < node.index for other in left)


def _ordered(node: Node) -> bool:
    """Whether it changes more than its outputs: such ops keep their order."""
    given = (*node.given(), *node.outputs)
    return node.op in _CALLS or any(operand.dtype == "resource" for operand in given)

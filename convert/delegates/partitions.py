"""Which ops the runtime puts together into one call of a delegate.

Source: LiteRT, `tflite/graph_info.cc` (PartitionGraphIntoIndependentNodeSubsets), read at commit
f674577 (August 2026).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from portrait_tflite.convert.files.flatbuffer_nodes import Node

# Ops that run other graphs: what else these change cannot be told from the op.
_CALLS = frozenset({"CALL_ONCE", "IF", "WHILE"})


class _Op(NamedTuple):
    """What of an op decides when it can run: read once, asked thousands of times."""

    position: int
    reads: frozenset[int]
    writes: frozenset[int]
    inside: bool
    ordered: bool


def find_partitions(nodes: Sequence[Node], inside: Collection[int]) -> tuple[tuple[int, ...], ...]:
    """Group the ops inside a delegate; each group is one call of it.

    A group takes every op of its side whose inputs are there, then the other side has its turn.

    Args:
        nodes: Ops in their order.
        inside: Positions of those that the delegate takes.
    """
    left = [_read(node, inside) for node in nodes]
    waiting = {tensor for op in left for tensor in op.writes}
    groups: list[tuple[int, ...]] = []
    while left:
        side = next((op.inside for op in left if _ready(op, waiting, left)), None)
        if side is None:  # a loop: the file is broken, which the runtime will say
            break
        group = _collect(left, waiting, side)
        left = [op for op in left if op.position not in group]
        if side:
            groups.append(tuple(sorted(group)))
    return tuple(groups)


def _read(node: Node, inside: Collection[int]) -> _Op:
    given = node.given()
    # Such an op changes more than its outputs.
    ordered = node.op in _CALLS or any(o.dtype == "resource" for o in (*given, *node.outputs))
    return _Op(
        node.index,
        frozenset(o.index for o in given),
        frozenset(o.index for o in node.outputs),
        node.index in inside,
        ordered,
    )


def _collect(left: Sequence[_Op], waiting: set[int], side: bool) -> set[int]:
    group: set[int] = set()
    open_ops = [op for op in left if op.inside is side]
    grown = True
    while grown:
        grown = False
        for op in open_ops:
            if op.position not in group and _ready(op, waiting, left, group):
                group.add(op.position)
                waiting -= op.writes
                grown = True
    return group


def _ready(
    op: _Op, waiting: Collection[int], left: Sequence[_Op], done: Collection[int] = ()
) -> bool:
    if not op.reads.isdisjoint(waiting):
        return False
    # Ops that change more than their outputs keep their order.
    return not op.ordered or not any(
        other.ordered and other.position < op.position and other.position not in done
        for other in left
    )

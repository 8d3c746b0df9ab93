"""Comparisons and choices by which of their operands are read again and again.

The built-in kernels merge dimensions that are broadcast alike and loop over what is left: the cost
of a number depends on how long the innermost loop is, not on which comparison it is.
"""

from __future__ import annotations

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand

COMPARISONS = ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL")


def broadcast_kind(node: Node) -> str:
    """Name what a comparison or a SELECT is for its cost, as of `CostedOp.kind`.

    A SELECT whose condition is broadcast costs that, whatever is done with its numbers.
    """
    kind = "GREATER" if node.op in COMPARISONS else "SELECT"
    size = abs(node.outputs[0].size)
    smaller = [o for o in node.given() if abs(o.size) < size]
    rows = [o for o in smaller if abs(o.size) > 1]
    if not smaller:
        return kind
    if not rows:
        return f"{kind}_SCALAR"
    return f"{kind}_POSITIONS" if _is_per_position(node, rows[0]) else f"{kind}_CHANNELS"


def _is_per_position(node: Node, broadcast: Operand) -> bool:
    if node.op in COMPARISONS:
        return broadcast.shape[-1] == 1
    return broadcast is node.given()[0]

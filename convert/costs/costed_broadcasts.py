"""Ops of several tensors by which of them are read again and again.

Kernels merge dimensions that are broadcast alike and loop over what is left: the cost of a number
depends on how long the innermost loop is. Between comparisons it does not differ, nor between a sum
and a difference.
"""

from __future__ import annotations

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand

_COMPARISONS = ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL")
_CHOICES = ("SELECT", "SELECT_V2")
_KINDS = {
    **dict.fromkeys(_COMPARISONS, "GREATER"),
    **dict.fromkeys(_CHOICES, "SELECT"),
    **dict.fromkeys(("ADD", "SUB"), "ADD"),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), "MAXIMUM"),
    "MUL": "MUL",
}
# Counted each of itself where nothing is broadcast.
_APART = frozenset({"MAXIMUM", "MINIMUM", "SUB"})
BROADCASTING = tuple(_KINDS)


def broadcast_kind(node: Node) -> str:
    """Name what an op of `BROADCASTING` is for its cost, as of `CostedOp.kind`.

    A SELECT whose condition is broadcast costs that, whatever is done with its numbers.
    """
    inputs = node.given()
    if node.op == "MUL" and len({o.index for o in inputs}) == 1:
        return "SQUARE"
    size = abs(node.outputs[0].size)
    smaller = [o for o in inputs if abs(o.size) < size]
    rows = [o for o in smaller if abs(o.size) > 1]
    if not smaller:
        return node.op if node.op in _APART else _KINDS[node.op]
    if not rows:
        return f"{_KINDS[node.op]}_SCALAR"
    ending = "POSITIONS" if _is_per_position(node, rows[0]) else "CHANNELS"
    return f"{_KINDS[node.op]}_{ending}"


def _is_per_position(node: Node, broadcast: Operand) -> bool:
    if node.op in _CHOICES:
        return broadcast is node.given()[0]
    return broadcast.shape[-1] == 1

"""Rows of ops on single bytes, which XNNPACK computes once for all 256 and then looks up.

Source: XNNPACK, `src/subgraph.c` (`xnn_subgraph_fuse_unary_quantized_into_lut`), read at its state
of August 2026 and seen in the counts of LiteRT 2.3.0: DEQUANTIZE, HARD_SWISH and QUANTIZE together
cost as much as one LOGISTIC.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from portrait_tflite.convert.delegates.xnnpack_ops import BINARY, UNARY
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand

_BYTES = frozenset({"int8", "uint8"})
_MOST = 10  # XNN_MAX_UNARY_FUSION_NODES


def find_lookups(
    nodes: Sequence[Node], outside: Collection[int] = (), outputs: Collection[int] = ()
) -> list[list[Node]]:
    """Find the rows of two ops and more that become one look-up.

    Args:
        nodes: All ops, in their order.
        outside: Positions of the ops that XNNPACK does not take.
        outputs: Tensors that are outputs of the graph: they must be there in the end.
    """
    inside = [node for node in nodes if node.index not in outside]
    readers: dict[int, list[Node]] = {}
    for node in nodes:
        for index in {operand.index for operand in node.given()}:  # a square reads one twice
            readers.setdefault(index, []).append(node)
    found: list[list[Node]] = []
    taken: set[int] = set()
    for node in inside:
        if node.index in taken:
            continue
        row = _row_from(node, readers, {n.index for n in inside}, set(outputs))
        if len(row) > 1:
            found.append(row)
            taken.update(n.index for n in row)
    return found


def _row_from(
    first: Node, readers: Mapping[int, list[Node]], inside: set[int], outputs: set[int]
) -> list[Node]:
    source = _single_source(first, set())
    if source is None or source.dtype not in _BYTES:
        return []
    row, values = [first], {source.index}
    while len(row) < _MOST:
        last = row[-1].outputs[0]
        values.add(last.index)
        next_ones = readers.get(last.index, [])
        if len(next_ones) != 1 or last.index in outputs or next_ones[0].index not in inside:
            break
        if _single_source(next_ones[0], values) is None:
            break
        row.append(next_ones[0])
    # The table holds bytes.
    while row and row[-1].outputs[0].dtype not in _BYTES:
        row.pop()
    return row


def _single_source(node: Node, values: set[int]) -> Operand | None:
    """Return what an op is a function of, number by number; None where it is of several tensors."""
    operands = node.given()
    if node.op in UNARY and len(operands) == 1:
        return operands[0]
    if node.op not in BINARY or len(operands) != 2:
        return None
    computed = [o for o in operands if not o.constant]
    if len(computed) == 1 and all(o.size == 1 for o in operands if o.constant):
        return computed[0]
    return operands[0] if all(o.index in values for o in operands) else None

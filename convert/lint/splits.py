"""A rule about delegates: ops that XNNPACK leaves outside cut the net into pieces."""

from __future__ import annotations

from collections.abc import Iterator

from portrait_tflite.convert.delegates.partitions import find_partitions
from portrait_tflite.convert.lint.net import Net
from portrait_tflite.convert.lint.rule import Found
from portrait_tflite.vocabulary import LintChange, OutsideOp


def splitting_ops(net: Net) -> Iterator[Found]:
    """Find the kinds of ops without which XNNPACK would take the net in fewer pieces."""
    outside = {op.index for op in net.xnnpack.outside}
    pieces = _pieces(net, outside)
    for kind in dict.fromkeys(op.op for op in net.xnnpack.outside):
        ops = [op for op in net.xnnpack.outside if op.op == kind]
        left = _pieces(net, outside - {op.index for op in ops})
        if left < pieces:
            yield Found(
                places=tuple(dict.fromkeys(op.layer or op.tensor for op in ops)),
                finding=f"{len(ops)} {kind} cut the net: {pieces} partitions, {left} without them",
                mcycles=net.cost_of({op.index for op in ops}),
                changes=(LintChange(ops[0].fix, _worth(ops)),),
            )


def _pieces(net: Net, outside: set[int]) -> int:
    return len(find_partitions(net.nodes, {node.index for node in net.nodes} - outside))


def _worth(ops: list[OutsideOp]) -> float | None:
    known = [op.worth_mcycles for op in ops if op.worth_mcycles is not None]
    return sum(known) if len(known) == len(ops) else None

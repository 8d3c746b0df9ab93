"""Reductions as their cost sees them: along the channels, or along what lies before them."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.delegates.site import numbers
from portrait_tflite.convert.files.flatbuffer_nodes import Node

REDUCTIONS = ("ARG_MAX", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "SUM")
_SAME_COST = {"REDUCE_MIN": "REDUCE_MAX", "SUM": "MEAN"}


def reduced(node: Node) -> Iterator[CostedOp]:
    """Yield a reduction, once for each block that is reduced of itself.

    Axes that are not neighbours count as if all positions were reduced.
    """
    source, *rest = node.given()
    kind = _SAME_COST.get(node.op, node.op)
    shape = [abs(size) for size in source.shape] or [1]  # -1 stands for a size
    found = sorted({int(axis) % len(shape) for axis in numbers(rest[0])}) if rest else []
    axes = found if found and found[-1] - found[0] < len(found) else [*range(len(shape) - 1)]
    if axes and axes[-1] == len(shape) - 1:
        runs, length = prod(shape[: axes[0]]), prod(shape[axes[0] :])
        yield CostedOp(f"{kind}_CHANNELS", runs, 1, length, length)
    else:
        first, end = (axes[0], axes[-1] + 1) if axes else (0, 0)
        depth = prod(shape[end:])
        blocks = prod(shape[:first])
        yield from [CostedOp(kind, prod(shape[first:end]), 1, depth, depth)] * blocks

"""Ops that copy parts of tensors as their cost sees them: runs of numbers that stay together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from portrait_tflite.convert.costs.costed_op import CostedOp, copied
from portrait_tflite.convert.delegates.site import numbers
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand


def concatenated(node: Node) -> Iterator[CostedOp]:
    """Yield a copy for each input."""
    axis = node.option("axis", -1) % max(1, len(node.outputs[0].shape))
    yield from _copies(node.given(), axis, "CONCATENATION")


def split(node: Node) -> Iterator[CostedOp]:
    """Yield a copy for each output: the same moves as those of a CONCATENATION."""
    axes, source = node.given()[:2]
    axis = next(iter(numbers(axes).tolist()), -1) % max(1, len(source.shape))
    yield from _copies(node.outputs, axis, "CONCATENATION")


def packed(node: Node) -> Iterator[CostedOp]:
    """Yield a copy for each input, before which the new dimension stands."""
    axis = node.option("axis", 0) % max(1, len(node.outputs[0].shape))
    yield from _copies(node.given(), axis, "PACK")


def unpacked(node: Node) -> Iterator[CostedOp]:
    """Yield a copy for each output: the same moves as those of a PACK."""
    axis = node.option("axis", 0) % max(1, len(node.given()[0].shape))
    yield from _copies(node.outputs, axis, "PACK")


def gathered(node: Node) -> Iterator[CostedOp]:
    """Yield a copy of as many runs as indices are looked up."""
    source, target = node.given()[0], node.outputs[0]
    axis = node.option("axis", 0) % max(1, len(source.shape))
    length = max(1, abs(prod(source.shape[axis + 1 :])))
    yield copied(abs(target.size) // length, length, "GATHER")


def _copies(parts: Sequence[Operand], axis: int, kind: str) -> Iterator[CostedOp]:
    for part in parts:
        runs = prod(part.shape[:axis])
        yield copied(abs(runs), abs(part.size // max(1, runs)), kind)

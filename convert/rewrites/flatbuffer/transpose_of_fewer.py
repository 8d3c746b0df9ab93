"""TRANSPOSE of five dimensions or more between two RESHAPE → TRANSPOSE of four at most."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.fewer_dimensions import merge_dimensions
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.place import count_readers, producer_of
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_MOST = 4  # dimensions of the GPU delegate
_Step = tuple[tuple[int, ...], tuple[int, ...]]


class TransposeOfFewer(FlatbufferRewrite):
    """Move numbers by transposes of four dimensions: the GPU delegate has no more.

    Given:
        y = RESHAPE(TRANSPOSE(RESHAPE(x)))    # rank 5 or more between the two; x and y of 4 at most

    Result:
        y = RESHAPE(TRANSPOSE(RESHAPE(x)))    # what stays side by side is one dimension; where
                                              # more than 4 are left, one TRANSPOSE after another

    Channel and pixel shuffles, and windows of attention, as other frameworks' converters spell
    them.
    """

    name = "transpose_of_fewer"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match the RESHAPE behind the transpose."""
        moved = _alone(model, node, "RESHAPE", "TRANSPOSE")
        spread = moved and _alone(model, moved, "TRANSPOSE", "RESHAPE")
        if moved is None or spread is None or len(moved.outputs[0].shape) <= _MOST:
            return None
        source, order = spread.given()[0], moved.given()[1]
        shapes = (source.shape, moved.given()[0].shape, node.outputs[0].shape)
        if max(map(len, shapes[::2])) > _MOST or any(-1 in shape for shape in shapes):
            return None
        if order.data is None:
            return RefusedOp(node.tensor, "which dimensions change places is computed")
        axes = stored_values(order).tolist()
        steps = transposes(*merge_dimensions(moved.given()[0].shape, axes))
        reason = "the same numbers come to the same places"
        return Match(reason, (source, steps), sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put a reshape and a transpose for each step; what was there is dead then."""
        source, steps = match.details
        built = Replacement(model, node)
        value: int = source.index
        for shape, order in steps:
            value = _transposed(built, source, value, shape, order)
        built.reshape(value, node.outputs[0].shape)
        built.finish()


def transposes(shape: Sequence[int], order: Sequence[int]) -> tuple[_Step, ...]:
    """Take a transpose apart into some of four dimensions at most.

    Each brings the next dimension of the result behind those that are in their place.

    Returns:
        Shape and order of each; none where nothing moves.
    """
    # The first one is the batch, which the GPU delegate leaves where it is.
    ones = max(0, _MOST - len(shape))
    shape = (1,) * ones + tuple(shape)
    order = (*range(ones), *(axis + ones for axis in order))
    dimensions = list(range(len(shape)))
    if len(shape) == _MOST and order[0] == 0 and list(order) != dimensions:
        return ((shape, order),)
    steps: list[_Step] = []
    for place, wanted in enumerate(order):
        found = dimensions.index(wanted)
        if found != place:
            parts = (dimensions[:place], dimensions[place:found], [wanted], dimensions[found + 1 :])
            sizes = tuple(prod(shape[d] for d in part) for part in parts)
            steps.append((sizes, (0, 2, 1, 3)))
            dimensions = [*parts[0], *parts[2], *parts[1], *parts[3]]
    return tuple(steps)


def _alone(model: schema.ModelT, node: Node, op: str, before: str) -> Node | None:
    """Return the op before, of one kind, that nothing but `node`, of another, reads."""
    if node.op != op:
        return None
    source = node.given()[0].index
    producer = producer_of(model, source)
    only = producer is not None and producer.op == before and count_readers(model, source) == 1
    return producer if only else None


def _transposed(
    built: Replacement, like: Operand, value: int, shape: Sequence[int], order: Sequence[int]
) -> int:
    spread = built.tensor(shape, like)
    built.reshape(value, shape, spread)
    moved = built.tensor([shape[axis] for axis in order], like)
    version = 2 if like.dtype in LIMITS else 1
    axes = built.constant(np.array(order, np.int32))
    built.op(Op("TRANSPOSE", version, schema.TransposeOptionsT()), [spread, axes], moved)
    return moved

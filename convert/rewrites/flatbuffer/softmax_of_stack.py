"""SOFTMAX over a stack of five dimensions → the same of four."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.copies import join
from portrait_tflite.convert.rewrites.flatbuffer.place import producer_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.convert.rewrites.flatbuffer.stack_parts import (
    MOST_DIMENSIONS,
    MOST_PARTS,
    BuiltParts,
    Cut,
    Part,
    StackReader,
    computed_sources,
)


@dataclass(frozen=True)
class _Scores:
    """What a SOFTMAX compares: the parts of a stack along a dimension of the result."""

    softmax: Node
    parts: tuple[Part, ...]
    axis: int


class SoftmaxOfStack(FlatbufferRewrite):
    """Share out among the parts of a stack at four dimensions: the GPU delegate has no fifth.

    Given:
        y = TRANSPOSE(SOFTMAX(TRANSPOSE(PACK(a, b, …))))    # over the stack, which comes last for
                                                            # it, or is there already; rank 5

    Result:
        s = CONCATENATION(RESHAPE(a), RESHAPE(b), …)                 # [1, before, parts, behind]
        y = RESHAPE(TRANSPOSE(SOFTMAX(TRANSPOSE(s))))

    What reads y reads parts of it (StackToParts), and the RESHAPE to five dimensions goes with it.
    """

    name = "softmax_of_stack"
    before_int8 = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match the last op of a SOFTMAX over one of five dimensions."""
        rank = len(node.outputs[0].shape) if node.outputs else 0
        if node.op not in {"SOFTMAX", "TRANSPOSE"} or rank != MOST_DIMENSIONS + 1:
            return None
        found = _chain(model, node)
        if found is None or found[1].dtype != "float32" or not found[1].sized:
            return None
        softmax, stack, axis = found
        parts = StackReader(model).read(stack, axis)
        stacked = parts is not None and not any(isinstance(part, Cut) for part in parts)
        if parts is None or not stacked or not 2 <= len(parts) <= MOST_PARTS:
            return RefusedOp(node.tensor, "what it compares is no stack of 2 to 16 tensors")
        sources = computed_sources(model, parts)
        scores = _Scores(softmax, tuple(parts), axis)
        return Match("the same numbers are compared", scores, sources=sources) if sources else None

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the parts side by side, the SOFTMAX between two transposes, and the RESHAPE."""
        scores: _Scores = match.details
        shape, axis = node.outputs[0].shape, scores.axis
        lines = (1, prod(shape[:axis]), len(scores.parts), prod(shape[axis + 1 :]))
        built = BuiltParts(Replacement(model, node))
        single = (*lines[:2], 1, lines[3])
        given = [built.shaped(built.add(part), part.shape, single) for part in scores.parts]
        both = built.replacement.float_tensor(lines)
        like = node.outputs[0]
        join(built.replacement, [(number, single) for number in given], 2, like, both)
        turned = _turned(built.replacement, both, lines)
        shares = built.replacement.float_tensor((*lines[:2], lines[3], lines[2]))
        softmax = Op("SOFTMAX", scores.softmax.version, copy.copy(scores.softmax.options))
        built.replacement.op(softmax, [turned], shares)
        back = _turned(built.replacement, shares, (*lines[:2], lines[3], lines[2]))
        built.replacement.reshape(back, shape)
        built.replacement.finish()


def _turned(built: Replacement, source: int, shape: Sequence[int]) -> int:
    """Add a TRANSPOSE that exchanges the last two dimensions."""
    made = built.float_tensor((*shape[:2], shape[3], shape[2]))
    order = built.constant(np.array((0, 1, 3, 2), np.int32))
    built.op(Op("TRANSPOSE", 1, schema.TransposeOptionsT()), [source, order], made)
    return made


def _chain(model: schema.ModelT, node: Node) -> tuple[Node, Operand, int] | None:
    """Return the SOFTMAX that ends at an op, what it compares, and along which dimension."""
    last = MOST_DIMENSIONS
    source = node.given()[0]
    before = producer_of(model, source.index)
    if node.op == "SOFTMAX":
        # Between two transposes, the second one is the last op.
        return None if before is not None and before.op == "TRANSPOSE" else (node, source, last)
    softmax = before
    if softmax is None or softmax.op != "SOFTMAX":
        return None
    there = producer_of(model, softmax.given()[0].index)
    if there is None or there.op != "TRANSPOSE":
        return None
    order = _order(node)
    axis = order.index(last) if order else last
    exchanged = list(range(last + 1))
    exchanged[axis], exchanged[last] = last, axis
    return (softmax, there.given()[0], axis) if order == exchanged == _order(there) else None


def _order(node: Node) -> list[int]:
    """Return which dimensions a TRANSPOSE takes; none where that is computed."""
    order = node.given()[1]
    return [] if order.data is None else [int(n) % order.size for n in stored_values(order)]

"""What is made of stacked tensors → the same of the tensors, which needs no fifth dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
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
    Part,
    StackReader,
    computed_sources,
    is_picture,
)

_ADD = Op("ADD", 1, schema.AddOptionsT())
_JOINED_BY = {
    "MEAN": _ADD,
    "REDUCE_MAX": Op("MAXIMUM", 1, schema.MaximumMinimumOptionsT()),
    "REDUCE_MIN": Op("MINIMUM", 1, schema.MaximumMinimumOptionsT()),
    "SUM": _ADD,
}


@dataclass(frozen=True)
class _Use:
    """What an op makes of a stack.

    Attributes:
        axis: The dimension of the stack.
        taken: Which part each of its outputs is; none where it reduces them all to one.
    """

    stack: Operand
    axis: int
    taken: tuple[int, ...] = ()


class StackToParts(FlatbufferRewrite):
    """Reduce a stack, or take it apart, part by part: the GPU delegate has no fifth dimension.

    Given:
        s = PACK(a, b, …)    # or CONCATENATION(RESHAPE(a), …); rank 5
        y = SUM(MUL(s, w))   # over the stack; or MEAN, REDUCE_MAX, REDUCE_MIN, of any ops on
                             # single numbers
        y, z, … = UNPACK(s)  # or STRIDED_SLICE of one part

    Result:
        y = ADD(MUL(a, w₁), MUL(b, w₂), …)    # w₁ = RESHAPE(SLICE(w)), of what is no stack
        y = a, z = b, …

    So selective kernels (SKNet), dynamic convolutions and fusions by attention weigh their
    branches. Before int8, too: nothing is copied into a stack then.
    """

    name = "stack_to_parts"
    reorders_sums = True
    before_int8 = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match what leaves four dimensions of five."""
        use = _use(node)
        if use is None or use.stack.dtype != "float32" or not use.stack.sized:
            return None
        parts = StackReader(model).read(use.stack, use.axis)
        whole = use.taken or all(is_picture(model, part) for part in parts or ())
        if parts is None or not whole:
            return RefusedOp(node.tensor, "what it reads is no stack of tensors")
        if not 2 <= len(parts) <= MOST_PARTS:
            return RefusedOp(node.tensor, f"{len(parts)} parts; it takes 2 to {MOST_PARTS} apart")
        wanted = [parts[at] for at in use.taken] or parts
        sources = computed_sources(model, wanted)
        if not sources:
            return None
        if use.taken:
            return Match("the same numbers", wanted, sources=sources)
        reason = f"the same numbers of {len(parts)} tensors, one after the other"
        return Match(reason, parts, exact=False, sources=sources)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the ops of every part, and what joins them; what was there is dead then."""
        parts: Sequence[Part] = match.details
        built = BuiltParts(Replacement(model, node))
        numbers = [built.add(part) for part in parts]
        if node.op in _JOINED_BY:
            _join(built.replacement, node, numbers)
        else:
            for number, target in zip(numbers, node.outputs, strict=True):
                built.replacement.reshape(number, target.shape, target.index)
        built.replacement.finish()


def _join(built: Replacement, node: Node, numbers: Sequence[int]) -> None:
    steps = [(_JOINED_BY[node.op], number) for number in numbers[1:]]
    if node.op == "MEAN":
        share = built.constant(np.array([1 / len(numbers)], np.float32))
        steps.append((Op("MUL", 1, schema.MulOptionsT()), share))
    joined = numbers[0]
    for op, number in steps[:-1]:
        made = built.float_tensor(node.outputs[0].shape)
        built.op(op, [joined, number], made)
        joined = made
    built.op(steps[-1][0], [joined, steps[-1][1]])


def _use(node: Node) -> _Use | None:
    """Read what an op makes of a stack; None where it is none that drops its dimension."""
    if not node.given() or not node.outputs:
        return None
    stack, *numbers = node.given()
    rank = len(stack.shape)
    if not rank - 1 == len(node.outputs[0].shape) == MOST_DIMENSIONS:
        return None
    if node.op == "UNPACK":
        return _Use(stack, int(node.option("axis", 0)) % rank, tuple(range(len(node.outputs))))
    if any(one.data is None for one in numbers):
        return None
    if node.op in _JOINED_BY and len(numbers) == 1 and numbers[0].size == 1:
        return _Use(stack, int(stored_values(numbers[0])[0]) % rank)
    return _of_slice(node) if node.op == "STRIDED_SLICE" and len(numbers) == 3 else None


def _of_slice(node: Node) -> _Use | None:
    """Read a slice that takes all of one index of one dimension."""
    stack, begin, _, strides = node.given()
    shrunk = int(node.option("shrinkAxisMask", 0))
    axis = shrunk.bit_length() - 1
    if shrunk != 1 << axis or node.option("ellipsisMask", 0) or node.option("newAxisMask", 0):
        return None
    rest = (*stack.shape[:axis], *stack.shape[axis + 1 :])
    forward = np.delete(stored_values(strides), axis)
    if node.outputs[0].shape != rest or np.any(forward < 0):
        return None
    return _Use(stack, axis, (int(stored_values(begin)[axis]) % stack.shape[axis],))

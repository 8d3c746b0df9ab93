"""A sum over stacked tensors → the sum of the tensors, which needs no fifth dimension."""

from __future__ import annotations

from collections.abc import Sequence
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
    Computed,
    Held,
    Number,
    Part,
    Scores,
    Share,
    StackReader,
    sources_of,
)

_ADD = Op("ADD", 1, schema.AddOptionsT())
_JOINED_BY = {
    "MEAN": _ADD,
    "REDUCE_MAX": Op("MAXIMUM", 1, schema.MaximumMinimumOptionsT()),
    "REDUCE_MIN": Op("MINIMUM", 1, schema.MaximumMinimumOptionsT()),
    "SUM": _ADD,
}


class StackToParts(FlatbufferRewrite):
    """Reduce a stack part by part: the GPU delegate has no fifth dimension.

    Given:
        s = PACK(a, b, …)    # or CONCATENATION(RESHAPE(a), …); rank 5
        y = SUM(MUL(s, w))   # over the stack; or MEAN, REDUCE_MAX, REDUCE_MIN, of any ops on
                             # single numbers

    Result:
        y = ADD(MUL(a, w₁), MUL(b, w₂), …)    # w₁ = RESHAPE(SLICE(w)), of what is no stack

    So selective kernels (SKNet), dynamic convolutions and fusions by attention weigh their
    branches. Before int8, too: nothing is copied into a stack then.
    """

    name = "stack_to_parts"
    reorders_sums = True
    before_int8 = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a reduction over one of five dimensions."""
        if node.op not in _JOINED_BY or len(node.given()) != 2:
            return None
        stack, axes = node.given()
        target = node.outputs[0]
        if stack.dtype != "float32" or len(stack.shape) <= MOST_DIMENSIONS or axes.data is None:
            return None
        if axes.size != 1 or len(target.shape) > MOST_DIMENSIONS or not stack.sized:
            return None
        parts = StackReader(model).read(stack, int(stored_values(axes)[0]) % len(stack.shape))
        if parts is None:
            return RefusedOp(node.tensor, "what it reduces is no stack of tensors")
        if not 2 <= len(parts) <= MOST_PARTS:
            return RefusedOp(node.tensor, f"{len(parts)} parts; it takes 2 to {MOST_PARTS} apart")
        sources = dict.fromkeys(s.index for part in parts for s in sources_of(part))
        computed = tuple(index for index in sources if not _is_fixed(model, index))
        reason = f"the same numbers of {len(parts)} tensors, one after the other"
        return Match(reason, parts, exact=False, sources=computed) if computed else None

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the ops of every part, and what joins them; what was there is dead then."""
        target = node.outputs[0]
        built = _Built(Replacement(model, node), target)
        numbers = [built.add(part) for part in match.details]
        steps = [(_JOINED_BY[node.op], number) for number in numbers[1:]]
        if node.op == "MEAN":
            share = built.replacement.constant(np.array([1 / len(numbers)], np.float32))
            steps.append((Op("MUL", 1, schema.MulOptionsT()), share))
        joined = numbers[0]
        for op, number in steps[:-1]:
            joined = built.step(op, joined, number)
        built.replacement.op(steps[-1][0], [joined, steps[-1][1]])
        built.replacement.finish()


class _Built:
    """The ops of the parts; what several of them read is there once."""

    def __init__(self, replacement: Replacement, target: Operand) -> None:
        self.replacement = replacement
        self._target = target
        self._made: dict[Part | Scores, int] = {}

    def add(self, part: Part | Scores) -> int:
        """Add what computes a part, and return its tensor."""
        if part not in self._made:
            self._made[part] = self._add(part)
        return self._made[part]

    def step(self, op: Op, one: int, other: int) -> int:
        """Add an op on two tensors of the output's shape."""
        made = self.replacement.float_tensor(self._target.shape)
        self.replacement.op(op, [one, other], made)
        return made

    def _add(self, part: Part | Scores) -> int:
        if isinstance(part, Number):
            return self.replacement.constant(part.values)
        if isinstance(part, Scores):
            return self._shares(part)
        if isinstance(part, Share):
            line = (1, 1, 1, prod(part.shape))
            like = self._target
            share = self.replacement.cut(self.add(part.scores), (0, 0, part.at, 0), line, like)
            return self._shaped(share, line, part.shape)
        if isinstance(part, Computed):
            inputs = [self.add(one) for one in part.of]
            made = self.replacement.float_tensor(part.shape)
            self.replacement.op(part.op, inputs, made)
            return made
        if isinstance(part, Held):
            return self._shaped(part.source.index, part.source.shape, part.shape)
        lines = (1, part.outer, part.count, part.inner)
        spread = self._shaped(part.source.index, part.source.shape, lines)
        size = (1, part.outer, 1, part.inner)
        cut = self.replacement.cut(spread, (0, 0, part.at, 0), size, part.source)
        return self._shaped(cut, size, part.shape)

    def _shares(self, scores: Scores) -> int:
        """Add the SOFTMAX, and give what it computes as `[1, 1, count, size of a part]`."""
        size, count = prod(scores.of[0].shape), len(scores.of)
        line = (1, 1, 1, size)
        lines = [self._shaped(self.add(part), part.shape, line) for part in scores.of]
        both = self.replacement.float_tensor((1, 1, count, size))
        join(self.replacement, [(number, line) for number in lines], 2, self._target, both)
        turned = self._turned(both, (1, 1, size, count))
        shares = self.replacement.float_tensor((1, 1, size, count))
        self.replacement.op(scores.op, [turned], shares)
        return self._turned(shares, (1, 1, count, size))

    def _turned(self, number: int, shape: Sequence[int]) -> int:
        made = self.replacement.float_tensor(shape)
        order = self.replacement.constant(np.array((0, 1, 3, 2), np.int32))
        self.replacement.op(Op("TRANSPOSE", 1, schema.TransposeOptionsT()), [number, order], made)
        return made

    def _shaped(self, number: int, shape: Sequence[int], wanted: Sequence[int]) -> int:
        if tuple(shape) == tuple(wanted):
            return number
        made = self.replacement.float_tensor(wanted)
        self.replacement.reshape(number, wanted, made)
        return made


def _is_fixed(model: schema.ModelT, index: int) -> bool:
    producer = producer_of(model, index)
    inputs = {int(number) for number in model.subgraphs[0].inputs}
    return producer is None and index not in inputs

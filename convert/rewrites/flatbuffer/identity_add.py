"""int8 ADD or SUB of a dead operand → QUANTIZE or nothing."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.place import is_output
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import (
    QUANTIZE,
    QUANTIZE_RATIO,
    form_of,
)
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import (
    EVERY_INT8,
    Int8s,
    Op,
    run_alone,
)

# XNNPACK's limits for each operand of an int8 ADD [V: xnnpack_delegate.cc, VisitBinaryNode].
ADD_RATIO = (2.0**-10, 2.0**8)

LOST_SKIP = "a skip that int8 has lost: the other operand never reaches half a step"
# Such as what keeps a variance from 0, or a mean of next to nothing.
_LOST_NUMBER = "a number that never reaches half a step"


class IdentityAdd(FlatbufferRewrite):
    """Drop an addition whose one operand cannot move the sum by half a step.

    Given:
        y = ADD(x, skip)    # int8; no value of the skip is more than half a step of y
        y = SUB(x, skip)    # likewise, as of a normalization whose mean is next to nothing

    Result:
        y = x               # where scale and zero point are the same, and y is no output
        y = QUANTIZE(x)     # otherwise

    Below 2^-10 of y's scale XNNPACK refuses the skip besides. All 65,536 pairs of values are tried
    on the built-in kernels. The skip connection is dead: int8 has already lost it, and whoever
    trained the network should be told.
    """

    name = "identity_add"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an int8 addition or subtraction that ignores one operand."""
        if node.op not in ("ADD", "SUB") or len(node.given()) != 2 or len(node.inputs) != 2:
            return None
        first, second = node.given()
        target = node.outputs[0]
        # A float or 16-bit sum loses nothing of the kind.
        if any(o.dtype != "int8" or not o.scale for o in (first, second, target)):
            return None
        refused = [not _in_range(o.scale / target.scale, ADD_RATIO) for o in (first, second)]
        dead = refused if any(refused) else [_is_silent(o, target) for o in (first, second)]
        if not any(dead):
            return None
        found = self._without(model, node, dead)
        # What XNNPACK takes may stay as it is: nobody has to be told why.
        return found if any(refused) or isinstance(found, Match) else None

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Let the living operand pass, requantized."""
        built = Replacement(model, node)
        built.op(QUANTIZE, [match.details])
        built.finish()

    def _without(self, model: schema.ModelT, node: Node, dead: list[bool]) -> Match | RefusedOp:
        operands, target = node.given(), node.outputs[0]
        # What is left would have to change its sign.
        if dead[0] and node.op == "SUB":
            return RefusedOp(node.tensor, "nothing is left to subtract from")
        # Neither of them is the one that carries on.
        if all(dead):
            return RefusedOp(node.tensor, "XNNPACK refuses the scales of both operands")
        alive = 1 if dead[0] else 0
        source = operands[alive]
        # The living operand would have to be broadcast.
        if source.shape != target.shape:
            return RefusedOp(node.tensor, "the operand that carries on is broadcast")
        # XNNPACK would refuse the QUANTIZE in its turn.
        if not _in_range(source.scale / target.scale, QUANTIZE_RATIO):
            return RefusedOp(node.tensor, "XNNPACK takes no QUANTIZE of this scale ratio")
        return self._judge(model, node, alive)

    @staticmethod
    def _judge(model: schema.ModelT, node: Node, alive: int) -> Match | RefusedOp:
        operands, target = node.given(), node.outputs[0]
        sums = _all_sums(node, operands, target, alive)  # [alive, dead]
        passed = sums[:, :1]
        moved = int(np.count_nonzero(sums != passed))
        # The skip is heard after all.
        if moved:
            return RefusedOp(node.tensor, f"the small operand moves {moved} of 65,536 sums")
        skip = node.op == "ADD" and not operands[1 - alive].constant
        reason = LOST_SKIP if skip else _LOST_NUMBER
        source = operands[alive].index
        # Of another scale the same integers stand for other numbers.
        same = form_of(operands[alive]) == form_of(target) and not is_output(model, target.index)
        if same and np.array_equal(passed[:, 0], EVERY_INT8):
            return Match(reason, bypass=source)
        requantized = run_alone(QUANTIZE, [EVERY_INT8], [operands[alive]], target)
        # ADD rounds twice where QUANTIZE rounds once.
        if not np.array_equal(passed[:, 0], requantized):
            return RefusedOp(node.tensor, "QUANTIZE rounds some values differently")
        return Match(reason, source)


def _all_sums(node: Node, operands: tuple[Operand, ...], target: Operand, alive: int) -> Int8s:
    """Add every pair of values; rows are the living operand's, columns the dead one's."""
    rows, columns = np.meshgrid(EVERY_INT8, EVERY_INT8, indexing="ij")
    pair = [rows.ravel(), columns.ravel()]
    values = pair if alive == 0 else pair[::-1]
    add = Op(node.op, node.version, node.options)
    return run_alone(add, values, operands, target).reshape(rows.shape)


def _is_silent(operand: Operand, target: Operand) -> bool:
    """Whether no value of an operand is more than half a step of the sum."""
    farthest = max(127 - operand.zero_point, operand.zero_point + 128)
    return bool(farthest * operand.scale / target.scale <= 0.5)


def _in_range(ratio: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= ratio < limits[1]

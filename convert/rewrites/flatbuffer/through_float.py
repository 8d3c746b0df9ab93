"""Integer ops that XNNPACK has in float alone → DEQUANTIZE, the op, QUANTIZE."""

from __future__ import annotations

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import real_values
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import LIMITS, QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_SINGLE = frozenset(
    {"ABS", "AVERAGE_POOL_2D", "EXP", "GELU", "HARD_SWISH", "LOG", "NEG", "QUANTIZE", "RSQRT"}
    | {"RELU", "RELU6", "RELU_N1_TO_1", "SOFTMAX", "SQRT"}
)
_PAIRS = frozenset({"DIV", "MAXIMUM", "MINIMUM", "PRELU", "SQUARED_DIFFERENCE"})

UNPACK = Op("DEQUANTIZE", 2)


class ThroughFloat(FlatbufferRewrite):
    """Compute in float what XNNPACK has in float alone.

    Given:
        y = SOFTMAX(x)                           # int8 or uint8; or HARD_SWISH, PRELU, a padded
                                                 # AVERAGE_POOL_2D, …
        y = QUANTIZE(x)                          # from uint8 to int8, or back

    Result:
        y = QUANTIZE(SOFTMAX(DEQUANTIZE(x)))     # all three in the partition
        y = QUANTIZE(DEQUANTIZE(x))

    Rounded once, from the op's exact result: within one step of the integer kernel. Of such a row
    of ops on single numbers XNNPACK makes one look-up in a table of 256 numbers.
    """

    name = "through_float"
    observes = True
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an integer op that XNNPACK would take in float."""
        if node.op not in {*_SINGLE, *_PAIRS} or not node.outputs:
            return None
        values = (*node.given(), node.outputs[0])
        if any(o.dtype not in LIMITS for o in values):
            return None
        # One scale per tensor is what XNNPACK takes; without any nothing stands for anything.
        if any(not o.scale or o.channels > 1 for o in values):
            return RefusedOp(node.tensor, "not all its tensors have one scale")
        mixed = node.given()[0].dtype != node.outputs[0].dtype
        # Within one dtype XNNPACK requantizes by itself.
        if node.op == "QUANTIZE" and not mixed:
            return None
        reason = "the same function of the real numbers, rounded once"
        # The integer kernel stops at a divisor of 0: which pictures give is to be looked at.
        if node.op == "DIV" and not node.given()[1].constant:
            sources = dict.fromkeys(o.index for o in node.given() if not o.constant)
            return Match(reason, exact=False, sources=tuple(sources), observed=True)
        return Match(reason, exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put a DEQUANTIZE for every input, the op in float, and a QUANTIZE."""
        built = Replacement(model, node)
        inputs = _unpack_all(built, node.given())
        result = inputs[0]
        if node.op != "QUANTIZE":
            result = built.float_tensor(node.outputs[0].shape)
            built.op(Op(node.op, 1, copy.copy(node.options)), inputs, result)
        built.op(QUANTIZE, [result])
        built.finish()


def _unpack_all(built: Replacement, operands: tuple[Operand, ...]) -> list[int]:
    unpacked: dict[int, int] = {}
    for operand in operands:
        if operand.index in unpacked:
            continue
        if operand.constant:
            values = real_values(operand).astype(np.float32).reshape(operand.shape)
            unpacked[operand.index] = built.constant(values)
        else:
            unpacked[operand.index] = built.float_tensor(operand.shape)
            built.op(UNPACK, [operand.index], unpacked[operand.index])
    return [unpacked[operand.index] for operand in operands]

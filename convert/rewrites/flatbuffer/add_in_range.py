"""Integer ADD whose scale ratio XNNPACK refuses → the operand requantized into range."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.identity_add import ADD_RATIO
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import (
    LIMITS,
    QUANTIZE,
    QUANTIZE_RATIO,
)
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_MARGIN = 2.0  # well inside of XNNPACK's limits


class AddInRange(FlatbufferRewrite):
    """Give an operand a scale that XNNPACK adds.

    Given:
        y = ADD(a, b)              # or SUB; integers; scale(b) / scale(y) below 2^-10

    Result:
        y = ADD(a, QUANTIZE(b))    # at the edge of the range

    The operand loses less than a thousandth of y's step. Above 2^8, which XNNPACK refuses too, the
    built-in kernels overflow: there is nothing to compare with.
    """

    name = "add_in_range"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match an integer sum with a refused scale ratio."""
        if node.op not in {"ADD", "SUB"} or len(node.given()) != 2:
            return None
        target = node.outputs[0]
        if any(o.dtype not in LIMITS or not o.scale for o in (*node.given(), target)):
            return None
        scales = [_wanted_scale(operand, target) for operand in node.given()]
        if not any(scales):
            return None
        if any(operand.constant for operand in node.given()):
            return RefusedOp(node.tensor, "one operand is constant")
        if any(o.scale / target.scale >= ADD_RATIO[1] for o in node.given()):
            return RefusedOp(node.tensor, "the built-in kernels overflow at this scale ratio")
        for operand, scale in zip(node.given(), scales, strict=True):
            if scale and not QUANTIZE_RATIO[0] <= operand.scale / scale <= QUANTIZE_RATIO[1]:
                return RefusedOp(node.tensor, "XNNPACK takes no QUANTIZE of this scale ratio")
        return Match("the operand is rounded to the edge of the range", scales, exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put a QUANTIZE before each operand that needs one."""
        built = Replacement(model, node)
        inputs = []
        for operand, scale in zip(node.given(), match.details, strict=True):
            number = operand.index
            if scale:
                # As much of the operand's range as there is room for.
                low, high = LIMITS[operand.dtype]
                point = int(np.clip(operand.zero_point, low + 1, high))
                number = built.tensor(operand.shape, operand, scale, point)
                built.op(QUANTIZE, [operand.index], number)
            inputs.append(number)
        built.op(Op(node.op, node.version, node.options), inputs)
        built.finish()


def _wanted_scale(operand: Operand, target: Operand) -> float:
    """Return the scale to bring an operand to; 0.0 where XNNPACK takes it as it is."""
    if ADD_RATIO[0] <= operand.scale / target.scale < ADD_RATIO[1]:
        return 0.0
    return float(target.scale * ADD_RATIO[0] * _MARGIN)

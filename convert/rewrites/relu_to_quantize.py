"""Stand-alone int8 RELU → QUANTIZE: the same bytes, and XNNPACK takes it."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.flatbuffer import op_code_index
from portrait_tflite.convert.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer_rewrite import FlatbufferRewrite, Match, RefusedOp
from portrait_tflite.convert.rewrites.single_op import Op, run_alone

INT8_MIN = -128
EVERY_INT8 = np.arange(-128, 128, dtype=np.int16).astype(np.int8)

QUANTIZE = Op("QUANTIZE", 2)  # version 2 is the first that takes int8; TensorFlow 1.15 runs it

# XNNPACK's own limits for an int8 QUANTIZE [V: xnnpack_delegate.cc, VisitUnaryNode].
QUANTIZE_RATIO = (2.0**-8, 2.0**7)


class ReluToQuantize(FlatbufferRewrite):
    """Turn a clamp whose bounds int8 already has into the requantization it is.

    Given:
        x: int8, any scale and zero point
        y = RELU(x)        # or RELU6, RELU_0_TO_1; y: int8, zero point -128

    Result:
        y = QUANTIZE(x)    # version 2, tensors untouched

    With zero point -128 the real 0 is the smallest int8, so that int8's own saturation is the
    clamp; a RELU6 needs 127 to stand for at most 6 as well. The kernels compute the ratio of the
    scales in different precisions, so every one of the 256 values is tried on both.
    """

    name = "relu_to_quantize"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a stand-alone int8 clamp that is a requantization."""
        if node.op not in {"RELU", "RELU6", "RELU_0_TO_1"}:
            return None
        source, target = node.inputs[0], node.outputs[0]
        # A float RELU is delegated as it is.
        if source is None or (source.dtype, target.dtype) != ("int8", "int8"):
            return None
        # Without scales there is nothing to requantize.
        if not source.scale or not target.scale:
            return RefusedOp(node.tensor, "its int8 tensors have no scale")
        # Codes below the zero point would mean negative values: they have to be cut off.
        if target.zero_point != INT8_MIN:
            return RefusedOp(node.tensor, f"its output zero point is {target.zero_point}, not -128")
        # Outside these ratios XNNPACK refuses the QUANTIZE too, and nothing is gained.
        if not QUANTIZE_RATIO[0] <= source.scale / target.scale <= QUANTIZE_RATIO[1]:
            return RefusedOp(node.tensor, "XNNPACK takes no QUANTIZE of this scale ratio")
        differing = _differing_values(node, source, target)
        # The clamp cuts within int8's range, or the kernels round a value differently.
        if differing:
            return RefusedOp(node.tensor, f"{differing} of 256 values would come out differently")
        return Match("all 256 values give the same byte on the built-in kernels")

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Exchange the op code."""
        make_quantize(model, node.index)


def make_quantize(model: schema.ModelT, position: int) -> None:
    """Turn the op at a position into a QUANTIZE of its first input."""
    operator = model.subgraphs[0].operators[position]
    operator.opcodeIndex = op_code_index(model, QUANTIZE.name, QUANTIZE.version)
    operator.inputs = operator.inputs[:1]
    operator.builtinOptions, operator.builtinOptionsType = None, 0


def _differing_values(node: Node, source: Operand, target: Operand) -> int:
    clamped = run_alone(Op(node.op, node.version), [EVERY_INT8], [source], target)
    requantized = run_alone(QUANTIZE, [EVERY_INT8], [source], target)
    return int(np.count_nonzero(clamped != requantized))

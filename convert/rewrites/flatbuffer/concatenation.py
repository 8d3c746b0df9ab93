"""uint8 CONCATENATION that requantizes → QUANTIZE before it: XNNPACK only copies."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import (
    QUANTIZE,
    form_of,
    quantize_refusal,
)
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op


class ConcatenateOneScale(FlatbufferRewrite):
    """Bring all inputs to the output's scale first.

    Given:
        y = CONCATENATION(a, b)              # uint8; b of another scale or zero point than y

    Result:
        y = CONCATENATION(a, QUANTIZE(b))    # rounded by another kernel: by one step at most

    Nets of TensorFlow 1 hold these. In int8 the built-in kernels take one scale only.
    """

    name = "concatenate_one_scale"
    within_one_step = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a uint8 concatenation of several scales."""
        target = node.outputs[0] if node.outputs else None
        if node.op != "CONCATENATION" or target is None or target.dtype != "uint8":
            return None
        other = [o for o in node.given() if form_of(o) != form_of(target)]
        if not other or not all(o.scale for o in (*node.given(), target)):
            return None
        if any(o.constant or o.dtype != target.dtype for o in other):
            return RefusedOp(node.tensor, "an input is constant or of another type")
        if refusal := next((r for o in other if (r := quantize_refusal(o, target))), ""):
            return RefusedOp(node.tensor, refusal)
        return Match("the same requantization by an op of its own", exact=False)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put a QUANTIZE for each other scale, once per tensor, and the concatenation."""
        target = node.outputs[0]
        built = Replacement(model, node)
        brought: dict[int, int] = {}
        for operand in node.given():
            if form_of(operand) != form_of(target) and operand.index not in brought:
                brought[operand.index] = built.tensor(operand.shape, target)
                built.op(QUANTIZE, [operand.index], brought[operand.index])
        inputs = [brought.get(operand.index, operand.index) for operand in node.given()]
        built.op(Op(node.op, node.version, node.options), inputs)
        built.finish()

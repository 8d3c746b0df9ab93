"""Why XNNPACK leaves an op outside. Which ops it leaves is asked of the real runtime.

Source: LiteRT, `tflite/delegates/xnnpack/xnnpack_delegate.cc` (`VisitNode` and what it calls),
read in version 2.3.
"""

from __future__ import annotations

from portrait_tflite.convert.delegate_rules import (
    ACTIVATIONS,
    DYNAMIC_FIX,
    FIXES,
    Rule,
    custom_op,
    dynamic_size,
    first_broken,
    op_set,
)
from portrait_tflite.convert.flatbuffer_nodes import Node, Operand

XNNPACK_INT8_OPS = op_set("""
    ADD BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE ELU
    EXPAND_DIMS FULLY_CONNECTED LEAKY_RELU LOGISTIC MAX_POOL_2D MEAN MUL PAD QUANTIZE REDUCE_MAX
    REDUCE_MIN RESHAPE RESIZE_BILINEAR SLICE SPACE_TO_DEPTH SPLIT STRIDED_SLICE SUB SUM TANH
    TRANSPOSE TRANSPOSE_CONV
    """)
XNNPACK_FLOAT_ONLY_OPS = op_set("""
    ABS AVERAGE_POOL_2D CEIL COS DIV EXP FLOOR GELU HARD_SWISH LOG MAXIMUM MINIMUM NEG PRELU RELU
    RELU6 RELU_N1_TO_1 ROUND RSQRT SIN SOFTMAX SQRT SQUARE SQUARED_DIFFERENCE
    """)

_MAX_CONCATENATED = 5
_MAX_SPLITS = 4
_ADD_RATIO = (2.0**-10, 2.0**8)
_MUL_RATIO = (2.0**-16, 2.0**8)
_REQUANTIZE_RATIO = (2.0**-8, 2.0**7)
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"})
_BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "TRANSPOSE_CONV": 3}

_SCALE_FIX = "give the file to `portrait-tflite convert`; if it stays, one branch is all but dead"


def explain_outside(node: Node) -> tuple[str, str]:
    """Return why XNNPACK left an op outside, and what would help."""
    unknown = "this runtime refuses it by a rule that is not in our table"
    return first_broken(XNNPACK_RULES, node) or (unknown, FIXES.get(node.op, "replace the layer"))


def _not_supported(node: Node) -> str:
    if node.op in XNNPACK_INT8_OPS or node.op in XNNPACK_FLOAT_ONLY_OPS:
        return ""
    return f"XNNPACK has no {node.op}"


def _float_only(node: Node) -> str:
    kinds = {operand.dtype for operand in _computed(node)}
    integer = next((kind for kind in sorted(kinds) if "int" in kind), "")
    if node.op not in XNNPACK_FLOAT_ONLY_OPS or not integer:
        return ""
    return f"XNNPACK has {node.op} in float only; this one is {integer}"


def _type(node: Node) -> str:
    taken = {"float32", "float16", "int8", "uint8"}
    other = next((o.dtype for o in _computed(node) if o.dtype not in taken), "")
    return f"XNNPACK takes no {other} activations" if other else ""


def _mixed(node: Node) -> str:
    source, weights = node.given()[:2]
    if source.dtype == "float32" and weights.dtype == "int8":
        return "int8 weights on float activations; XNNPACK has that for dense convolutions only"
    return ""


def _unpacked(node: Node) -> str:
    return "it unpacks weights of an op that is itself outside" if node.given()[0].constant else ""


def _ratio(node: Node) -> str:
    """Compare each operand's scale with the output's."""
    return _outside_range(node, list(node.given()), _ADD_RATIO)


def _requantize(node: Node) -> str:
    return _outside_range(node, list(node.given()[:1]), _REQUANTIZE_RATIO)


def _outside_range(node: Node, operands: list[Operand], limits: tuple[float, float]) -> str:
    target = node.outputs[0]
    for operand in operands:
        if not operand.scale or not target.scale or operand.dtype != target.dtype:
            continue
        ratio = operand.scale / target.scale
        if not limits[0] <= ratio < limits[1]:
            return (
                f"scale ratio {ratio:.2g} of input {operand.name!r} to the output; "
                f"XNNPACK takes {limits[0]:.2g} to {limits[1]:.3g}"
            )
    return ""


def _product(node: Node) -> str:
    scales = [operand.scale for operand in node.given()]
    target = node.outputs[0].scale
    if not target or not all(scales):
        return ""
    ratio = scales[0] * scales[1] / target
    if _MUL_RATIO[0] <= ratio < _MUL_RATIO[1]:
        return ""
    return f"scale ratio {ratio:.2g} of the product to the output is out of XNNPACK's range"


def _inputs(node: Node) -> str:
    count = len(node.inputs)
    if count > _MAX_CONCATENATED:
        return f"{count} inputs; XNNPACK takes up to {_MAX_CONCATENATED}"
    return "one input only" if count == 1 else ""


def _splits(node: Node) -> str:
    count = len(node.outputs)
    return f"{count} outputs; XNNPACK takes up to {_MAX_SPLITS}" if count > _MAX_SPLITS else ""


def _output_shape(node: Node) -> str:
    shape = node.inputs[0]
    return "" if shape is not None and shape.constant else "its output shape is computed"


def _bias_rank(node: Node) -> str:
    position = _BIAS[node.op]
    bias = node.inputs[position] if len(node.inputs) > position else None
    rank = 1 if bias is None else len(bias.shape)
    return "" if rank == 1 else f"its bias has {rank} dimensions; XNNPACK takes one"


def _computed_weights(node: Node) -> str:
    weights = node.inputs[1]
    return "" if weights is not None and weights.constant else "its weights are computed"


def _small_kernel(node: Node) -> str:
    kernel = node.given()[1].shape[1:3]
    strides = (node.option("strideH", 1), node.option("strideW", 1))
    same = node.option("padding", 0) == 0
    if same and any(k < s for k, s in zip(kernel, strides, strict=True)):
        return f"a kernel {kernel[0]}×{kernel[1]} smaller than its stride"
    return ""


def _reshape(node: Node) -> str:
    source, target = node.given()[0], node.outputs[0]
    same = (source.scale, source.zero_point) == (target.scale, target.zero_point)
    return "" if same else "input and output have another scale or zero point"


def _slope(node: Node) -> str:
    return "" if node.option("alpha", 0.0) else "a slope of 0"


def _activation(node: Node) -> str:
    name = ACTIVATIONS.get(node.option("fusedActivationFunction", 0), "unknown")
    return f"a fused {name} activation" if name in {"TANH", "SIGN_BIT", "unknown"} else ""


def _slice_masks(node: Node) -> str:
    masks = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")
    return next((f"{mask} is set" for mask in masks if node.option(mask, 0)), "")


def _softmax(node: Node) -> str:
    beta = node.option("beta", 1.0)
    return "" if beta == 1.0 else f"beta {beta:g}; only 1 is taken"


def _computed(node: Node) -> list[Operand]:
    return [operand for operand in (*node.given(), *node.outputs) if not operand.constant]


XNNPACK_RULES: tuple[Rule, ...] = (
    Rule(frozenset(), custom_op, "use built-in ops only"),
    Rule(frozenset({"TRANSPOSE_CONV"}), _output_shape, DYNAMIC_FIX),
    Rule(frozenset(), _not_supported, ""),
    Rule(frozenset(), _float_only, ""),
    Rule(frozenset(), _type, "use int8 or float"),
    Rule(frozenset({"DEPTHWISE_CONV_2D"}), _mixed, "use full int8, or float16"),
    Rule(frozenset({"DEQUANTIZE"}), _unpacked, "mend that op; this one follows it"),
    Rule(frozenset({"ADD", "SUB"}), _ratio, _SCALE_FIX),
    Rule(frozenset({"MUL"}), _product, _SCALE_FIX),
    Rule(frozenset({"QUANTIZE", "LEAKY_RELU"}), _requantize, _SCALE_FIX),
    Rule(frozenset({"LEAKY_RELU"}), _slope, "use a ReLU fused into the convolution before it"),
    Rule(frozenset({"CONCATENATION"}), _inputs, "concatenate in two steps"),
    Rule(frozenset({"SPLIT"}), _splits, "split in two steps"),
    Rule(_CONVOLUTIONS, _bias_rank, "give the file to `portrait-tflite convert`: exact to mend"),
    Rule(_CONVOLUTIONS, _computed_weights, "make the weights constants"),
    Rule(frozenset({"TRANSPOSE_CONV"}), _small_kernel, "use a kernel as large as the stride"),
    Rule(frozenset({"RESHAPE"}), _reshape, "leave the reshape out, or quantize anew"),
    Rule(frozenset({"STRIDED_SLICE"}), _slice_masks, "slice with ranges, not with single indices"),
    Rule(frozenset({"SOFTMAX"}), _softmax, "scale the logits in the layer before it"),
    Rule(frozenset(), _activation, "use an activation layer of its own"),
    Rule(frozenset(), dynamic_size, DYNAMIC_FIX),
)

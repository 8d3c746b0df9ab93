"""What the GPU delegate takes, predicted from its own rules.

Source: LiteRT, `tflite/delegates/gpu/common/model_builder.cc` (ops and largest versions) and
`tflite/tools/versioning/gpu_compatibility.cc` (rules per op), read in version 2.3; see facts.md,
"Checkers that lie". TensorFlow's own analyzer always answers "compatible".
"""

from __future__ import annotations

from portrait_tflite.convert.delegate_rules import (
    ACTIVATIONS,
    DYNAMIC_FIX,
    Rule,
    custom_op,
    dynamic_size,
    op_set,
)
from portrait_tflite.convert.flatbuffer_nodes import Node

GPU_OPS = op_set("""
    ABS ADD ADD_N AVERAGE_POOL_2D BATCH_MATMUL CAST CONCATENATION CONV_2D COS CUMSUM DENSIFY
    DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV EQUAL ELU EXP FLOOR FLOOR_DIV FLOOR_MOD
    FULLY_CONNECTED GATHER GELU GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS LESS_EQUAL LOG
    LOGICAL_AND LOGISTIC LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT
    PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_0_TO_1
    RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SELECT_V2 SIGN SIN
    SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM
    TANH TILE TRANSPOSE TRANSPOSE_CONV UNPACK
    """)

_ELEMENTWISE = op_set("""
    ABS ADD ADD_N COS DIV ELU EXP FLOOR FLOOR_DIV FLOOR_MOD GELU LOG LOGISTIC MAXIMUM MINIMUM NEG
    POW RSQRT SIGN SIN SQRT SQUARE SQUARED_DIFFERENCE SUB TANH
""")

# Largest op version that it takes; an op without an entry is taken in any.
GPU_MAX_VERSIONS: dict[str, int] = {
    **dict.fromkeys(_ELEMENTWISE, 2),
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "CONV_2D": 6,
    "CUMSUM": 1,
    "DENSIFY": 1,
    "DEPTHWISE_CONV_2D": 6,
    "DEQUANTIZE": 3,
    "FULLY_CONNECTED": 9,
    "GATHER": 1,
    "LEAKY_RELU": 2,
    "LSTM": 4,
    "MAX_POOL_2D": 2,
    "MIRROR_PAD": 2,
    "MUL": 3,
    "ONE_HOT": 1,
    "PAD": 2,
    "PADV2": 2,
    "PRELU": 1,
    "QUANTIZE": 2,
    "RELU": 2,
    "RELU6": 2,
    "RELU_0_TO_1": 2,
    "RELU_N1_TO_1": 2,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 3,
    "RESIZE_NEAREST_NEIGHBOR": 3,
    "SELECT": 1,
    "SELECT_V2": 1,
    "SLICE": 2,
    "SOFTMAX": 2,
    "SPACE_TO_DEPTH": 2,
    "STRIDED_SLICE": 4,
    "TRANSPOSE": 4,
    "TRANSPOSE_CONV": 3,
}

_TYPES = frozenset({"float32", "float16", "int8", "uint8"})
_OTHER_TYPES_TOO = frozenset(
    {"CAST", "EQUAL", "GATHER", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "LOGICAL_AND"}
    | {"NOT_EQUAL", "ONE_HOT", "SELECT", "SELECT_V2"}
)
_MAX_RANK = 4


def _not_supported(node: Node) -> str:
    return "" if node.op in GPU_OPS else f"the GPU delegate has no {node.op}"


def _too_new(node: Node) -> str:
    limit = GPU_MAX_VERSIONS.get(node.op, node.version)
    if node.version <= limit:
        return ""
    return f"the GPU delegate takes {node.op} up to version {limit}; this is version {node.version}"


def _too_new_transpose_conv(node: Node) -> str:
    limit = GPU_MAX_VERSIONS[node.op]
    if node.version <= limit:
        return ""
    return (
        f"version {node.version} (bias or activation inside); the GPU delegate takes up to {limit}"
    )


def _rank(node: Node) -> str:
    ranks = [len(operand.shape) for operand in (*node.given(), *node.outputs)]
    return f"rank {max(ranks)}; 4 is the most" if max(ranks, default=0) > _MAX_RANK else ""


def _type(node: Node) -> str:
    if node.op in _OTHER_TYPES_TOO:
        return ""
    computed = [o for o in (*node.given(), *node.outputs) if not o.constant]
    other = next((o.dtype for o in computed if o.dtype not in _TYPES), "")
    return f"{other} values; it takes float and 8-bit ones" if other else ""


def _resize(node: Node) -> str:
    both = node.option("alignCorners") and node.option("halfPixelCenters")
    return "align_corners and half_pixel_centers together" if both else ""


def _softmax(node: Node) -> str:
    beta = node.option("beta", 1.0)
    return "" if beta == 1.0 else f"beta {beta:g}; only 1 is taken"


def _paddings(node: Node) -> str:
    shape = node.inputs[1].shape if len(node.inputs) > 1 and node.inputs[1] else ()
    return "" if shape in {(3, 2), (4, 2)} else f"paddings of shape {list(shape)}"


def _mirror(node: Node) -> str:
    return "only reflecting padding is taken" if node.option("mode", 0) else ""


def _axes(node: Node) -> str:
    axes = node.inputs[1] if len(node.inputs) > 1 else None
    return "" if axes is not None and axes.constant else "the axes are not constant"


def _slice_rank(node: Node) -> str:
    rank = len(node.given()[0].shape)
    return "" if rank in {3, 4} else f"rank {rank}; it slices 3 or 4 dimensions"


def _slice_masks(node: Node) -> str:
    masks = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")
    return next((f"{mask} is set" for mask in masks if node.option(mask, 0)), "")


def _block(node: Node) -> str:
    return "" if node.option("blockSize", 0) > 1 else "a block size of 1 or less"


def _activation(node: Node) -> str:
    name = ACTIVATIONS.get(node.option("fusedActivationFunction", 0), "unknown")
    return "" if name not in {"SIGN_BIT", "unknown"} else f"a fused {name} activation"


_REDUCTIONS = frozenset({"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"})
_PADS = frozenset({"PAD", "PADV2", "MIRROR_PAD"})
_CONSTANT_FIX = "make it a constant of the layer"

GPU_RULES: tuple[Rule, ...] = (
    Rule(frozenset(), custom_op, "use built-in ops only"),
    Rule(frozenset(), _not_supported, ""),
    Rule(
        frozenset({"TRANSPOSE_CONV"}),
        _too_new_transpose_conv,
        "convert from the Keras model with --target gpu: it is rewritten exactly",
    ),
    Rule(frozenset(), _too_new, "convert with an older op form, or without fused extras"),
    Rule(frozenset(), dynamic_size, DYNAMIC_FIX),
    Rule(frozenset(), _rank, "keep to four dimensions: batch, height, width, channels"),
    Rule(frozenset(), _type, "use the float16 variant on the GPU"),
    Rule(frozenset({"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}), _resize, "set one of the two"),
    Rule(frozenset({"SOFTMAX"}), _softmax, "scale the logits in the layer before it"),
    Rule(_PADS, _paddings, "pad height and width only, as 4×2 or 3×2"),
    Rule(frozenset({"MIRROR_PAD"}), _mirror, "pad with zeros or by reflection"),
    Rule(_REDUCTIONS, _axes, _CONSTANT_FIX),
    Rule(frozenset({"SLICE", "STRIDED_SLICE"}), _slice_rank, "keep to four dimensions"),
    Rule(frozenset({"STRIDED_SLICE"}), _slice_masks, "slice with ranges, not with single indices"),
    Rule(frozenset({"DEPTH_TO_SPACE", "SPACE_TO_DEPTH"}), _block, "leave the layer out"),
    Rule(frozenset(), _activation, "use an activation layer of its own"),
)

"""The ops that XNNPACK has, and which of their inputs are what.

Source: LiteRT, `tflite/delegates/xnnpack/xnnpack_delegate.cc`, read at commit f674577 (August 2026)
and confirmed on ai-edge-litert 2.3.0 by generated models.
"""

from __future__ import annotations

from portrait_tflite.convert.delegates.rule import op_set

FLOAT_UNARY = op_set("""
    ABS CEIL COS EXP FLOOR GELU HARD_SWISH LOG NEG RELU RELU6 RELU_N1_TO_1 ROUND RSQRT SIN SQRT
    SQUARE
""")
UNARY = FLOAT_UNARY | op_set("DEQUANTIZE ELU LEAKY_RELU LOGISTIC QUANTIZE TANH")
FLOAT_BINARY = op_set("DIV MAXIMUM MINIMUM PRELU SQUARED_DIFFERENCE")
INTEGER_BINARY = op_set("ADD MUL SUB")
BINARY = FLOAT_BINARY | INTEGER_BINARY
CONVOLUTIONS = op_set("CONV_2D DEPTHWISE_CONV_2D TRANSPOSE_CONV")
WEIGHTED = CONVOLUTIONS | {"FULLY_CONNECTED"}
POOLS = op_set("AVERAGE_POOL_2D MAX_POOL_2D")
REDUCTIONS = op_set("MEAN REDUCE_MAX REDUCE_MIN SUM")
# Ops that move integers as they are: XNNPACK cannot build them from one scale to another.
ONE_SCALE = op_set("""
    DEPTH_TO_SPACE MAX_POOL_2D PAD RESIZE_BILINEAR SLICE SPACE_TO_DEPTH SPLIT STRIDED_SLICE
    TRANSPOSE
""")

XNNPACK_FLOAT_ONLY_OPS = FLOAT_UNARY | FLOAT_BINARY | op_set("AVERAGE_POOL_2D SOFTMAX")
XNNPACK_OPS = (
    XNNPACK_FLOAT_ONLY_OPS
    | UNARY
    | BINARY
    | WEIGHTED
    | POOLS
    | REDUCTIONS
    | op_set("""
        BATCH_MATMUL CONCATENATION DEPTH_TO_SPACE PAD RESHAPE RESIZE_BILINEAR SLICE SPACE_TO_DEPTH
        SPLIT STRIDED_SLICE TRANSPOSE
    """)
)

# Positions of the inputs that flow through the net; the first one where an op has no entry.
DATA_INPUTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(BINARY, (0, 1)),
    "CONCATENATION": (0, 1, 2, 3, 4),
    "SPLIT": (1,),
    "TRANSPOSE_CONV": (2,),
}

# Positions of the filter and of the bias.
FILTER = dict.fromkeys(WEIGHTED, 1)
BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}

# Positions of axes, shapes and paddings, which must be in the file.
PARAMETERS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(REDUCTIONS, (1,)),
    "PAD": (1,),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "SLICE": (1, 2),
    "SPLIT": (0,),
    "STRIDED_SLICE": (1, 2, 3),
    "TRANSPOSE": (1,),
    "TRANSPOSE_CONV": (0,),
}

# How many inputs, least and most.
INPUT_COUNTS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(UNARY | POOLS, (1, 1)),
    **dict.fromkeys(BINARY | REDUCTIONS, (2, 2)),
    "CONCATENATION": (2, 5),
    "CONV_2D": (3, 3),
    "DEPTHWISE_CONV_2D": (3, 3),
    "DEPTH_TO_SPACE": (1, 1),
    "FULLY_CONNECTED": (2, 3),
    "PAD": (2, 2),
    "RESHAPE": (1, 2),
    "RESIZE_BILINEAR": (2, 2),
    "SOFTMAX": (1, 1),
    "SPACE_TO_DEPTH": (1, 1),
    "SPLIT": (2, 2),
    "TRANSPOSE": (2, 2),
    "TRANSPOSE_CONV": (3, 4),
}

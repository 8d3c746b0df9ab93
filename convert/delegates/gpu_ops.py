"""The ops that the GPU delegate has, and up to which version.

Source: LiteRT, `tflite/delegates/gpu/common/model_builder.cc`, read in version 2.3.
"""

from __future__ import annotations

from portrait_tflite.convert.delegates.rule import op_set

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

# MediaPipe's own, which both engines know; a runtime must have them to load the file.
GPU_CUSTOM_OPS = op_set("""
    CUSTOM:Convolution2DTransposeBias CUSTOM:MaxPoolingWithArgmax2D CUSTOM:MaxUnpooling2D
    CUSTOM:Resampler
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

"""For each rule of XNNPACK a file that breaks it, and one just inside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .one_op import (
    FLOAT,
    INT8,
    UINT8,
    T,
    convolution,
    dense,
    file_of,
    ints,
    joined,
    padded,
    pair,
    pool,
    sliced,
    split,
    strided,
    transposed,
    weights,
)
from .rule_files import (
    BILINEAR,
    HALF,
    HALF_BIAS,
    ROWS,
    SIGNED,
    SIGNED_DEPTHWISE,
    Case,
    biased,
    blocks,
    leaky,
    mean,
    product,
    reshape,
    resize,
    scaled,
    softmax,
    summed,
    unary,
)

XNNPACK_CASES = {
    "custom": Case(unary("CUSTOM", FLOAT), unary("TANH", FLOAT)),
    "missing": Case(unary("SIGN", FLOAT, version=1), unary("TANH", FLOAT)),
    "dense_version FULLY_CONNECTED": Case(
        dense(weights((2, 4)), version=8), dense(weights((2, 4)), version=9)
    ),
    "dense_format FULLY_CONNECTED": Case(
        dense(weights((2, 4)), weightsFormat=1), dense(weights((2, 4)), weightsFormat=0)
    ),
    "computed_parameters MEAN": Case(
        file_of("RESIZE_BILINEAR", [FLOAT, T((2,), "int32")], T((1, 8, 8, 4)), BILINEAR, 3),
        file_of("RESIZE_BILINEAR", [FLOAT, ints([8, 8])], T((1, 8, 8, 4)), BILINEAR, 3),
    ),
    "float_only": Case(unary("ABS", INT8, version=1), unary("ABS", FLOAT, version=1)),
    "activations": Case(
        reshape(ints([64]), T((64,), "int32"), T(dtype="int32")), reshape(ints([64]), T((64,)))
    ),
    "activation_scales": Case(
        reshape(ints([64]), replace(INT8, shape=(64,)), replace(INT8, scale=[0.05, 0.05])),
        reshape(ints([64]), replace(INT8, shape=(64,)), INT8),
    ),
    "input_count CONCATENATION": Case(joined(6), joined(5)),
    "input_count": Case(
        file_of("PAD", [FLOAT, ROWS, weights((1,))], T((1, 6, 6, 4)), version=1),
        padded(ROWS),
    ),
    "split_count SPLIT": Case(split(8), split(4)),
    "data_rank": Case(
        unary("TANH", T((1, 1, 1, 1, 1, 1, 4))), unary("TANH", T((1, 1, 1, 1, 1, 4)))
    ),
    "filter_rank CONV_2D": Case(
        dense(weights((2, 1, 4)), T((1, 4))), dense(weights((2, 4)), T((1, 4)))
    ),
    "no_bias CONV_2D": Case(convolution(), convolution(bias=weights((4,)))),
    "bias_rank CONV_2D": Case(
        convolution(bias=weights((1, 1, 1, 4))), convolution(bias=weights((4,)))
    ),
    "computed_weights CONV_2D": Case(
        convolution(w=T((4, 1, 1, 4)), bias=weights((4,))), convolution(bias=weights((4,)))
    ),
    "filter_type CONV_2D": Case(
        convolution(INT8, replace(SIGNED, scale=[0.02] * 4, axis=3), biased()),
        convolution(INT8, replace(SIGNED, scale=[0.02] * 4, axis=0), biased(scale=[0.001] * 4)),
    ),
    "bias_type CONV_2D": Case(
        convolution(INT8, SIGNED, biased(scale=None)), convolution(INT8, SIGNED, biased())
    ),
    "bias_like_filter CONV_2D": Case(
        convolution(bias=HALF_BIAS), convolution(w=HALF, bias=HALF_BIAS)
    ),
    "mixed DEPTHWISE_CONV_2D": Case(
        convolution(FLOAT, SIGNED_DEPTHWISE, weights((4,)), kind="DEPTHWISE_CONV_2D"),
        convolution(bias=weights((4,)), kind="DEPTHWISE_CONV_2D"),
    ),
    "product_types BATCH_MATMUL": Case(product(3), product(0)),
    "mixed": Case(summed(0, FLOAT, INT8), summed()),
    "filter_zero_point FULLY_CONNECTED": Case(
        dense(weights((2, 4), "int8", zero_point=3), replace(INT8, shape=(1, 4))),
        dense(weights((2, 4), "int8"), replace(INT8, shape=(1, 4))),
    ),
    "odd_channels FULLY_CONNECTED": Case(
        dense(weights((2, 5), "int4", data=np.ones(5))),
        dense(weights((2, 4), "int4", data=np.ones(4))),
    ),
    "groups CONV_2D": Case(
        convolution(T((1, 4, 4, 2)), bias=weights((4,)), y=FLOAT),
        convolution(bias=weights((4,))),
    ),
    "depth_multiplier DEPTHWISE_CONV_2D": Case(
        convolution(bias=weights((4,)), kind="DEPTHWISE_CONV_2D", depthMultiplier=0),
        convolution(bias=weights((4,)), kind="DEPTHWISE_CONV_2D", depthMultiplier=1),
    ),
    "transposed_size TRANSPOSE_CONV": Case(transposed(kernel=1), transposed(kernel=2)),
    "window AVERAGE_POOL_2D": Case(pool(1), pool(2)),
    "block DEPTH_TO_SPACE": Case(blocks(1), blocks(2)),
    "sum_ratio ADD": Case(
        summed(0, INT8, scaled(2.0**-11)), summed(0, INT8, scaled(2.0**-10))
    ),
    "product_ratio MUL": Case(
        pair("MUL", INT8, INT8, replace(INT8, scale=0.05**2 * 2.0**17)),
        pair("MUL", INT8, INT8, replace(INT8, scale=0.05**2 * 2.0**15)),
    ),
    "requantize_ratio QUANTIZE": Case(
        unary("QUANTIZE", scaled(2.0**-9), INT8), unary("QUANTIZE", scaled(2.0**-8), INT8)
    ),
    "slope LEAKY_RELU": Case(
        unary("LEAKY_RELU", FLOAT, FLOAT, schema.LeakyReluOptionsT(alpha=1e-39)),
        unary("LEAKY_RELU", FLOAT, FLOAT, schema.LeakyReluOptionsT(alpha=0.1)),
    ),
    "leaky_ratio LEAKY_RELU": Case(leaky(2.0**-9), leaky(2.0**-8)),
    "same_scale RESHAPE": Case(
        reshape(ints([64]), replace(scaled(2), shape=(64,)), INT8),
        reshape(ints([64]), replace(INT8, shape=(64,)), INT8),
    ),
    "joined_scales CONCATENATION": Case(
        joined(2, UINT8, replace(UINT8, scale=0.1)), joined(2, UINT8)
    ),
    "joined_axis CONCATENATION": Case(joined(2, axis=4), joined(2, axis=3)),
    "parameter_type MEAN": Case(
        padded(ints([[0, 0], [1, 1], [1, 1], [0, 0]], "int64")), padded(ROWS)
    ),
    "parameter_shape MEAN": Case(
        mean(ints([[1, 2]]), T((1, 1, 1, 4))), mean(ints([1, 2]), T((1, 1, 1, 4)))
    ),
    "negative_paddings PAD": Case(
        file_of("PAD", [FLOAT, ints([[0, 0], [-1, 3], [1, 1], [0, 0]])], T((1, 6, 6, 4))),
        padded(ROWS),
    ),
    "reduced_axes MEAN": Case(
        mean(T((0,), "int32", data=[]), FLOAT), mean(ints([1]), T((1, 1, 4, 4)))
    ),
    "reshaped_to RESHAPE": Case(reshape(ints([-1]), T((64,))), reshape(ints([64]), T((64,)))),
    "slice_masks STRIDED_SLICE": Case(strided(masks={"shrinkAxisMask": 1}), strided()),
    "slice_strides STRIDED_SLICE": Case(strided(2), strided(1)),
    "slice_sizes SLICE": Case(
        sliced([0, 2, 2, 0], [1, 2, 2, -1]), sliced([0, 2, 2, 0], [1, 2, 2, 4])
    ),
    "softmax_beta SOFTMAX": Case(softmax(2.0), softmax(1.0)),
    "activation": Case(summed(4), summed(1)),
}  # fmt: skip

FATAL_CASES = {
    "too_many_dimensions": Case(
        joined(2, T((1, 1, 1, 1, 1, 1, 4)), axis=6), joined(2, T((1, 1, 1, 1, 1, 4)), axis=5)
    ),
    "packed_bias CONV_2D": Case(
        convolution(FLOAT, SIGNED, HALF_BIAS), convolution(FLOAT, SIGNED, weights((4,)))
    ),
    "filter_zero_point DEPTHWISE_CONV_2D": Case(
        convolution(
            INT8, replace(SIGNED_DEPTHWISE, zero_point=3), biased(), kind="DEPTHWISE_CONV_2D"
        ),
        convolution(INT8, SIGNED_DEPTHWISE, biased(), kind="DEPTHWISE_CONV_2D"),
    ),
    "moved_scale DEPTH_TO_SPACE": Case(resize(x=INT8, y=scaled(2)), resize(x=INT8, y=INT8)),
}

"""For each rule of the GPU delegate a file that breaks it, and one just inside."""

from __future__ import annotations

from dataclasses import replace

from ai_edge_litert import schema_py_generated as schema

from .one_op import (
    FLOAT,
    INT8,
    T,
    convolution,
    file_of,
    ints,
    padded,
    sliced,
    split,
    strided,
    transposed,
    weights,
)
from .rule_files import (
    HALF,
    ROWS,
    Case,
    blocks,
    maximum,
    mean,
    resize,
    softmax,
    summed,
    unary,
)

GPU_CASES = {
    "foreign": Case(unary("CUSTOM", FLOAT), unary("CUSTOM:MaxUnpooling2D", FLOAT)),
    "not_supported": Case(unary("CEIL", FLOAT, version=1), unary("FLOOR", FLOAT, version=1)),
    "too_new_transpose_conv TRANSPOSE_CONV": Case(transposed(version=4), transposed(version=3)),
    "too_new": Case(unary("TANH", FLOAT, version=3), unary("TANH", FLOAT, version=2)),
    "dynamic_size": Case(
        unary("TANH", replace(FLOAT, signature=(-1, 4, 4, 4))), unary("TANH", FLOAT)
    ),
    "rank": Case(unary("TANH", T((1, 1, 4, 4, 4))), unary("TANH", FLOAT)),
    "type": Case(summed(0, T(dtype="int32"), T(dtype="int32")), summed()),
    "cast CAST": Case(unary("CAST", INT8, FLOAT), unary("CAST", T(dtype="int32"), FLOAT)),
    "broadcast ADD": Case(
        summed(0, FLOAT, weights((4, 4))), summed(0, FLOAT, weights((1, 4)))
    ),
    "indices GATHER": Case(
        file_of("GATHER", [FLOAT, ints([[0, 1]])], FLOAT),
        file_of("GATHER", [FLOAT, ints([0])], FLOAT),
    ),
    "choice SELECT": Case(
        file_of("SELECT_V2", [T(dtype="bool"), FLOAT, weights((4,))], FLOAT, None, 1),
        file_of("SELECT_V2", [T(dtype="bool"), FLOAT, weights((1,))], FLOAT, None, 1),
    ),
    "resize RESIZE_BILINEAR": Case(
        resize(alignCorners=True, halfPixelCenters=True), resize(alignCorners=True)
    ),
    "softmax_beta SOFTMAX": Case(softmax(2.0), softmax(1.0)),
    "paddings MIRROR_PAD": Case(
        file_of("PAD", [T((4, 4)), ints([[0, 0], [1, 1]])], T((4, 6))), padded(ROWS)
    ),
    "mirror MIRROR_PAD": Case(
        padded(ROWS, kind="MIRROR_PAD", options=schema.MirrorPadOptionsT(mode=1)),
        padded(ROWS, kind="MIRROR_PAD", options=schema.MirrorPadOptionsT(mode=0)),
    ),
    "axes MEAN": Case(mean(T((2,), "int32"), T((1, 1, 1, 4))), mean(ints([1, 2]), FLOAT)),
    "slice_rank SLICE": Case(
        sliced([0, 0], [2, 4], x=T((4, 4))), sliced([0, 0, 0], [2, 2, 4], x=T((4, 4, 4)))
    ),
    "slice_masks STRIDED_SLICE": Case(strided(masks={"shrinkAxisMask": 1}), strided()),
    "block DEPTH_TO_SPACE": Case(blocks(1), blocks(2)),
    "one_part SPLIT": Case(split(1), split(2)),
    "scalar": Case(summed(0, FLOAT, T(())), summed(0, FLOAT, T((1, 1, 1, 1)))),
    "twice": Case(maximum(twice=True), maximum(twice=False)),
    "one_dimension PRELU": Case(
        file_of("PRELU", [T((4,)), weights((4,))], T((4,)), None, 1),
        file_of("PRELU", [T((1, 4)), weights((4,))], T((1, 4)), None, 1),
    ),
    "long_list MIRROR_PAD": Case(
        sliced([0, 2, 2, 0], [1, 2, 2, 4], "int64"), sliced([0, 2, 2, 0], [1, 2, 2, 4])
    ),
    "computed_bias CONV_2D": Case(
        convolution(bias=T((4,))), convolution(bias=weights((4,), half=True), w=HALF)
    ),
    "activation": Case(summed(5), summed(4)),
}  # fmt: skip

"""What is outside of XNNPACK before a rewrite, and inside after it."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.runtime import open_model

Build = Callable[..., Any]
SHAPE, PAIR = (1, 16, 16, 4), (1, 16, 16, 2)
X = (SHAPE, "int8", 0.05, 3)
POOL = {"padding": 1, "strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2}
WHOLE = {"padding": 1, "strideW": 1, "strideH": 1, "filterWidth": 16, "filterHeight": 16}
SLOPES = ((1, 1, 4), "int8", 0.01, 0)

CASES = [
    ("relu_to_quantize", ("RELU", X, (SHAPE, "int8", 0.05, -60)), None, 2),
    (
        "minmax_to_quantize",
        ("MAXIMUM", X, X, ((1,), "int8", 0.05, 3, [-9])),
        schema.MaximumMinimumOptionsT(),
        2,
    ),
    (
        "softmax_to_logistic",
        ("SOFTMAX", (PAIR, "int8", 0.1, 3), (PAIR, "int8", 1 / 256, -128)),
        schema.SoftmaxOptionsT(beta=1.0),
        2,
    ),
    (
        "average_pool",
        ("AVERAGE_POOL_2D", X, ((1, 8, 8, 4), "int8", 0.05, 3)),
        schema.Pool2DOptionsT(**POOL),
        2,
    ),
    (
        "average_pool",
        ("AVERAGE_POOL_2D", X, ((1, 1, 1, 4), "int8", 0.05, 3)),
        schema.Pool2DOptionsT(**WHOLE),
        2,
    ),
    ("to_leaky_relu", ("ABS", X, X), schema.AbsOptionsT(), 2),
    ("to_leaky_relu", ("PRELU", X, X, (*SLOPES, [20] * 4)), None, 1),
    ("through_float", ("PRELU", X, X, (*SLOPES, [9, 20, 30, 40])), None, 1),
    ("through_float", ("HARD_SWISH", X, (SHAPE, "int8", 0.03, -115)), None, 1),
    (
        "scalar_factor",
        ("DIV", X, X, ((1,), "int8", 0.02, 0, [50])),
        schema.DivOptionsT(),
        1,
    ),
    (
        "channel_line",
        ("DIV", X, X, ((4,), "int8", 0.02, 0, [50, 60, 70, 80])),
        schema.DivOptionsT(),
        1,
    ),
    (
        "tile_to_concatenation",
        ("TILE", X, ((1, 32, 16, 4), "int8", 0.05, 3), ((4,), "int32", None, 0, [1, 2, 1, 1])),
        None,
        3,
    ),
    (
        "as_reshape",
        ("SQUEEZE", ((1, 16, 16, 1), "int8", 0.05, 3), ((1, 16, 16), "int8", 0.05, 3)),
        schema.SqueezeOptionsT(squeezeDims=[3]),
        1,
    ),
]


@pytest.mark.parametrize(("rewrite", "arguments", "options", "version"), CASES)
def test_the_op_comes_inside(
    one_op: Build, rewrite: str, arguments: Any, options: Any, version: int
) -> None:
    data = one_op(*arguments, version=version, options=options)
    assert [node.op for node in open_model(data).outside] == [arguments[0]]
    result = mend_model(data, naive_cost=lambda: inf)  # alone, some cost more inside
    assert rewrite in {record.rewrite for record in result.records}
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())

"""Ops that compute [1, 4, 4, 4] from a tensor of that shape, each with weights of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

SHAPE = (1, 4, 4, 4)
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
CLAMPING = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "SUB")
RESCALING = (*CLAMPING, "LEAKY_RELU", "QUANTIZE", "TRANSPOSE_CONV")
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 5, "TRANSPOSE_CONV": 3}
_DILATION = {"dilationWFactor": 1, "dilationHFactor": 1}
_STRIDE = {"strideW": 1, "strideH": 1}
_WEIGHT_SHAPES = {"DEPTHWISE_CONV_2D": (1, 1, 1, 4), "FULLY_CONNECTED": (4, 4)}


def produce(graph: Any, op: str, source: int, target: int, dtype: str, form: Any) -> None:
    """Add an op from `source` to `target`; `form` is the source's scale and zero point."""
    options = {
        "ADD": schema.AddOptionsT(),
        "CONV_2D": schema.Conv2DOptionsT(**_STRIDE, **_DILATION),
        "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT(
            depthMultiplier=1, **_STRIDE, **_DILATION
        ),
        "FULLY_CONNECTED": schema.FullyConnectedOptionsT(keepNumDims=True),
        "LEAKY_RELU": schema.LeakyReluOptionsT(alpha=0.3),
        "MUL": schema.MulOptionsT(),
        "SUB": schema.SubOptionsT(),
        "TRANSPOSE_CONV": schema.TransposeConvOptionsT(**_STRIDE),
    }
    version = _VERSIONS.get(op, 1 if dtype == "float32" else 2)
    graph.op(op, _inputs(graph, op, source, dtype, form), target, version, options.get(op))


def _inputs(graph: Any, op: str, source: int, dtype: str, form: Any) -> list[int]:
    if op in WEIGHTED:
        weights, bias = _weights(graph, op, dtype, form)
        if op == "TRANSPOSE_CONV":
            return [graph.tensor("size", (4,), "int32", data=SHAPE), weights, source, bias]
        return [source, weights, bias]
    if op in {"MUL", "SUB"}:
        numbers = np.random.default_rng(4).integers(-100, 101, (1, 1, 1, 4))
        data = numbers if dtype == "int8" else numbers * 0.02
        return [source, graph.tensor("c", numbers.shape, dtype, *_form(dtype, 0.02), data=data)]
    return [source, source] if op == "ADD" else [source]


def _weights(graph: Any, op: str, dtype: str, form: Any) -> tuple[int, int]:
    rng = np.random.default_rng(3)
    shape = _WEIGHT_SHAPES.get(op, (4, 1, 1, 4))
    if dtype == "float32":
        numbers, shifts = rng.normal(size=shape), rng.normal(size=4)
        weights = graph.tensor("w", shape, dtype, data=numbers)
        return weights, graph.tensor("b", (4,), dtype, data=shifts)
    scales = rng.uniform(0.004, 0.01, 4)
    axis = 3 if op == "DEPTHWISE_CONV_2D" else 0
    weights = graph.tensor(
        "w", shape, dtype, scales, data=rng.integers(-127, 128, shape), axis=axis
    )
    numbers = rng.integers(-3000, 3000, 4)
    return weights, graph.tensor("b", (4,), "int32", scales * form[0], data=numbers)


def _form(dtype: str, scale: float) -> tuple[Any, int]:
    return (scale, 0) if dtype == "int8" else (None, 0)

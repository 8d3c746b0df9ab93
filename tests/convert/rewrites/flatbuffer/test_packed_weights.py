"""Weights that a float16 file packs are read, and stay packed where nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.rewrites.flatbuffer.columns_as_channels import ColumnsAsChannels
from portrait_tflite.convert.rewrites.flatbuffer.line_into_convolution import LineIntoConvolution
from portrait_tflite.convert.rewrites.flatbuffer.nearest_convolution import NearestConvolution
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.sparse_kernel import SparseKernel
from portrait_tflite.convert.rewrites.flatbuffer.transposed_to_depth import TransposedToDepth

Build = Callable[..., Any]
SIDE, DEPTH, FILTERS = 8, 4, 3


def _packed(graph: Any, name: str, shape: tuple[int, ...], data: Any) -> int:
    half = graph.tensor(f"{name}/half", shape, "float16", data=data)
    wide = graph.tensor(f"{name}/wide", shape, "float32")
    graph.op("DEQUANTIZE", [half], wide, 3, schema.DequantizeOptionsT())
    return int(wide)


def _bias(graph: Any) -> int:
    return _packed(graph, "bias", (FILTERS,), [0.5, -1, 0.25])


def _kernel(graph: Any, side: int, step: int = 1) -> int:
    shape = (FILTERS, side, side, DEPTH)
    drawn = np.random.default_rng(2).normal(size=shape)
    kept = np.zeros(shape, bool)
    kept[:, ::step, ::step] = True
    return _packed(graph, "kernel", shape, np.where(kept, drawn, 0))


def _convolve(graph: Any, source: int, side: int, kernel: int = 3, step: int = 1) -> int:
    y = graph.tensor("net/conv/op", (1, side, side, FILTERS), "float32")
    options = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
    graph.op("CONV_2D", [source, _kernel(graph, kernel, step), _bias(graph)], y, 1, options)
    return int(y)


def _plain(graph: Any, x: int) -> int:
    return _convolve(graph, x, SIDE)


def _holes(graph: Any, x: int) -> int:
    return _convolve(graph, x, SIDE, kernel=5, step=2)


def _transposed(graph: Any, x: int) -> int:
    y = graph.tensor("net/up/op", (1, 2 * SIDE, 2 * SIDE, FILTERS), "float32")
    size = graph.tensor("size", (4,), "int32", data=[1, 2 * SIDE, 2 * SIDE, FILTERS])
    options = schema.TransposeConvOptionsT(strideH=2, strideW=2)
    inputs = [size, _kernel(graph, 2), x, _bias(graph)]
    graph.op("TRANSPOSE_CONV", inputs, y, 3, options)
    return int(y)


def _nearest(graph: Any, x: int) -> int:
    large = graph.tensor("net/large/op", (1, 2 * SIDE, 2 * SIDE, DEPTH), "float32")
    size = graph.tensor("size", (2,), "int32", data=[2 * SIDE, 2 * SIDE])
    options = schema.ResizeNearestNeighborOptionsT()
    graph.op("RESIZE_NEAREST_NEIGHBOR", [x, size], large, 1, options)
    return _convolve(graph, large, 2 * SIDE)


def _shifted(graph: Any, x: int) -> int:
    source = _convolve(graph, x, SIDE)
    y = graph.tensor("net/shift/op", (1, SIDE, SIDE, FILTERS), "float32")
    shift = graph.tensor("shift", (FILTERS,), "float32", data=[1, 2, -4])
    graph.op("ADD", [source, shift], y, 1, schema.AddOptionsT())
    return int(y)


@pytest.mark.parametrize(
    ("net", "rewrite", "sums"),
    [
        (_plain, ColumnsAsChannels(fewest=1), False),
        (_holes, SparseKernel(), False),
        (_transposed, TransposedToDepth(), False),
        (_shifted, LineIntoConvolution(), False),
        (_nearest, NearestConvolution(), True),
    ],
)
def test_packed_weights_are_read_and_stay_packed(
    tiny_graph: Build, mend_with: Build, net: Any, rewrite: Any, sums: bool
) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, SIDE, SIDE, DEPTH), "float32")
    result = mend_with(graph.build([x], [net(graph, x)]), rewrite, accept)
    assert result.done, result.refusals
    assert result.steps <= 1e-4
    (convolution,) = [n for n in list_nodes(read_model(result.data)) if n.op == "CONV_2D"]
    # A sum of halves is no half as a rule.
    assert convolution.given()[1].constant is sums
    assert not convolution.given()[2].constant

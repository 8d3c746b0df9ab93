"""Sparse weights, which XNNPACK unpacks at the start as it does packed ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.xnnpack_prediction import predict_xnnpack
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.runtime import open_model

_SHAPE = (4, 1, 1, 4)


def _diagonal() -> schema.SparsityParametersT:
    """Say where the numbers of a 4×1×1×4 filter are: on the diagonal."""
    dense = [schema.DimensionMetadataT(format=0, denseSize=size) for size in _SHAPE[:3]]
    held = schema.SparseIndexVector.Int32Vector
    sparse = schema.DimensionMetadataT(
        format=1,
        arraySegmentsType=held,
        arraySegments=schema.Int32VectorT(values=np.arange(5, dtype=np.int32)),
        arrayIndicesType=held,
        arrayIndices=schema.Int32VectorT(values=np.arange(4, dtype=np.int32)),
    )
    return schema.SparsityParametersT(
        traversalOrder=np.arange(4, dtype=np.int32), dimMetadata=[*dense, sparse]
    )


def _net(graph: Any, *, half: bool, outside: bool) -> bytes:
    """A convolution with sparse weights, which an op outside reads, too, where it is asked for."""
    dtype = "float16" if half else "float32"
    x, y = (graph.tensor(name, (1, 4, 4, 4), "float32") for name in "xy")
    sparse = graph.tensor("sparse", _SHAPE, dtype, data=[1, 2, 3, 4])
    graph.graph.tensors[sparse].sparsity = _diagonal()
    weights = graph.tensor("dense", _SHAPE, dtype)
    graph.op("DENSIFY", [sparse], weights, 1, schema.DensifyOptionsT())
    if half:
        packed, weights = weights, graph.tensor("wide", _SHAPE, "float32")
        graph.op("DEQUANTIZE", [packed], weights, 3)
    bias = graph.tensor("bias", (4,), "float32", data=[0.1, 0.2, 0.3, 0.4])
    options = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
    graph.op("CONV_2D", [x, weights, bias], y, 1, options)
    outputs = [y]
    if outside:
        outputs.append(graph.tensor("norm", _SHAPE, "float32"))
        graph.op("L2_NORMALIZATION", [weights], outputs[1], 1, schema.L2NormOptionsT())
    data: bytes = graph.build([x], outputs)
    return data


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("outside", [False, True])
def test_they_are_where_they_were_predicted(
    tiny_graph: Callable[[], Any], half: bool, outside: bool
) -> None:
    data = _net(tiny_graph(), half=half, outside=outside)
    predicted, runner = predict_xnnpack(read_model(data)), open_model(data)
    assert sorted(predicted.refused) == sorted(node.index for node in runner.outside)
    assert len(predicted.partitions) == runner.partitions
    assert bool(predicted.refused) is outside

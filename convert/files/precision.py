"""The precision of any `.tflite`, read off the ops that do the work."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.vocabulary import Precision

_WORKING = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"})


def precision_of(model: Path | bytes) -> str:
    """Name the precision of most convolutions; empty where there are none.

    Raises:
        UsageError: It is no `.tflite`.
    """
    nodes = list_nodes(read_model(model))
    found = Counter(_precision(node) for node in nodes if node.op in _WORKING)
    if not found:
        return ""
    most = found.most_common(1)[0][0]
    # float16 files keep half-precision constants and widen them in front of float32 ops.
    halves = any(operand.dtype == "float16" for node in nodes for operand in node.given())
    return str(Precision.FLOAT16 if halves and most is Precision.FLOAT32 else most)


def _precision(node: Node) -> Precision:
    dtypes = {operand.dtype for operand in node.given()}
    integer = bool(dtypes & {"int8", "uint8"})
    if "int16" in dtypes:
        return Precision.INT16X8
    if integer and "float32" in dtypes:
        return Precision.DYNAMIC
    return Precision.INT8 if integer else Precision.FLOAT32

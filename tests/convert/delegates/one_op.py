"""Files of one op, each with one thing that a rule looks at left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ...conftest import TinyGraph

PICTURE = (1, 4, 4, 4)


@dataclass(frozen=True)
class T:
    """A tensor: `data` where it is a constant, `half` where that is unpacked from float16."""

    shape: tuple[int, ...] = PICTURE
    dtype: str = "float32"
    scale: Any = None
    zero_point: int = 0
    data: Any = None
    axis: int = 0
    half: bool = False
    signature: tuple[int, ...] = ()


FLOAT = T()
INT8 = T(dtype="int8", scale=0.05, zero_point=3)
UINT8 = replace(INT8, dtype="uint8")


def ints(numbers: Any, dtype: str = "int32") -> T:
    """Give a constant list of integers."""
    return T(np.shape(numbers), dtype, data=numbers)


def weights(shape: tuple[int, ...], dtype: str = "float32", **form: Any) -> T:
    """Give constant weights; quantized ones at one scale, unless `form` says otherwise."""
    scale = None if dtype.startswith("float") else 0.02
    return T(shape, dtype, **{"scale": scale, "data": np.ones(shape), **form})


def file_of(
    op: str,
    sources: Sequence[T | None],
    targets: Sequence[T] | T,
    options: Any = None,
    version: int = 2,
) -> bytes:
    """Write a file of one op, and of those that unpack its weights; None is an input left out."""
    graph = TinyGraph()
    inputs = [-1 if t is None else _tensor(graph, f"x{n}", t) for n, t in enumerate(sources)]
    listed = [targets] if isinstance(targets, T) else targets
    outputs = [_tensor(graph, f"y{n}", target) for n, target in enumerate(listed)]
    kind, _, custom = op.partition(":")
    graph.op(kind, inputs, outputs[0], version, options)
    graph.graph.operators[-1].outputs = np.array(outputs, np.int32)
    if kind == "CUSTOM":
        graph.model.operatorCodes[-1].customCode = (custom or "Own").encode()
    pairs = zip(inputs, sources, strict=True)
    computed = [n for n, t in pairs if t is not None and t.data is None]
    return graph.build(list(dict.fromkeys(computed)), outputs)


def _tensor(graph: TinyGraph, name: str, t: T) -> int:
    if not t.half:
        # Two numbers of four bits are one byte, which NumPy has no name for.
        stored = "int8" if t.dtype == "int4" else t.dtype
        number = graph.tensor(name, t.shape, stored, t.scale, t.zero_point, t.data, t.axis)
        graph.graph.tensors[number].type = getattr(schema.TensorType, t.dtype.upper())
        if t.signature:
            graph.graph.tensors[number].shapeSignature = np.array(t.signature, np.int32)
        return number
    packed = graph.tensor(f"{name}/half", t.shape, "float16", data=t.data)
    number = graph.tensor(name, t.shape, "float32")
    graph.op("DEQUANTIZE", [packed], number, 3)
    return number


def convolution(
    x: T = FLOAT, w: T | None = None, bias: T | None = None, y: T | None = None,
    kind: str = "CONV_2D", **options: Any,
) -> bytes:  # fmt: skip
    """Write a 1×1 convolution of four channels."""
    record: Any = {"CONV_2D": schema.Conv2DOptionsT, "DEPTHWISE_CONV_2D": _Depthwise}[kind]
    shape = (4, 1, 1, 4) if kind == "CONV_2D" else (1, 1, 1, 4)
    strides = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    sources = [x, w or weights(shape), bias]
    return file_of(kind, sources, y or x, record(**strides, **options), 3)


def _Depthwise(**options: Any) -> Any:  # noqa: N802 - stands in for a record's class
    return schema.DepthwiseConv2DOptionsT(**{"depthMultiplier": 1, **options})


def dense(w: T, x: T | None = None, version: int = 4, **options: Any) -> bytes:
    """Write a dense layer without bias on one row."""
    x = x or T((1, w.shape[-1]))
    y = replace(x, shape=(1, w.shape[0]))
    record = schema.FullyConnectedOptionsT(**options)
    return file_of("FULLY_CONNECTED", [x, w, None], y, record, version)


def transposed(
    kernel: int = 2, stride: int = 2, padding: int = 0, bias: tuple[int, ...] = (3,),
    size: int = 8, version: int = 3,
) -> bytes:  # fmt: skip
    """Write a transposed convolution of 4 × 4 pixels."""
    shape = (1, size, size, 3)
    sources = [ints(shape), weights((3, kernel, kernel, 4)), FLOAT, weights(bias)]
    options = schema.TransposeConvOptionsT(padding=padding, strideW=stride, strideH=stride)
    return file_of("TRANSPOSE_CONV", sources, T(shape), options, version)


def pool(
    window: int, stride: int = 2, x: T = FLOAT, y: T | None = None, activation: int = 0
) -> bytes:
    """Write a MAX_POOL_2D without padding."""
    size = (4 - window) // stride + 1
    options = schema.Pool2DOptionsT(
        padding=1,
        strideW=stride,
        strideH=stride,
        filterWidth=window,
        filterHeight=window,
        fusedActivationFunction=activation,
    )
    return file_of("MAX_POOL_2D", [x], replace(y or x, shape=(1, size, size, 4)), options)


def padded(rows: T, x: T = FLOAT, kind: str = "PAD", options: Any = None) -> bytes:
    """Write a PAD of one pixel all around, whatever its list says."""
    return file_of(kind, [x, rows], replace(x, shape=(1, 6, 6, 4)), options)


def joined(count: int, x: T = FLOAT, other: T | None = None, axis: int = 3) -> bytes:
    """Write a CONCATENATION."""
    y = replace(x, shape=(*x.shape[:-1], x.shape[-1] * count))
    sources = [other or x, *[x] * (count - 1)]
    return file_of("CONCATENATION", sources, y, schema.ConcatenationOptionsT(axis=axis))


def split(count: int) -> bytes:
    """Write a SPLIT of eight channels."""
    part = T((1, 4, 4, 8 // count))
    sources = [ints(3), T((1, 4, 4, 8))]
    return file_of("SPLIT", sources, [part] * count, schema.SplitOptionsT(count))


def sliced(begin: Any, sizes: Any, dtype: str = "int32", x: T = FLOAT) -> bytes:
    """Write a SLICE of 2 × 2 pixels, whatever its list says."""
    shape = (1, 2, 2, 4)[-len(x.shape) :]
    lists = [ints(begin, dtype), ints(sizes, dtype)]
    return file_of("SLICE", [x, *lists], replace(x, shape=shape), schema.SliceOptionsT())


def strided(step: int = 1, masks: dict[str, int] | None = None) -> bytes:
    """Write a STRIDED_SLICE of the first two rows and columns."""
    lists = ([0, 0, 0, 0], [1, 2 * step, 2 * step, 4], [1, step, step, 1])
    shape = (1, 2, 2, 4)[1 if masks else 0 :]
    options = schema.StridedSliceOptionsT(**(masks or {}))
    return file_of("STRIDED_SLICE", [FLOAT, *map(ints, lists)], T(shape), options)


def pair(kind: str, x: T, other: T, y: T, **options: Any) -> bytes:
    """Write a sum, difference or product."""
    record = {"ADD": schema.AddOptionsT, "MUL": schema.MulOptionsT}[kind]
    return file_of(kind, [x, other], y, record(**options))

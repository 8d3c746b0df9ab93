"""More files of one op, for the cases of the rules."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ...conftest import TinyGraph
from .one_op import FLOAT, INT8, PICTURE, T, file_of, ints, pair, weights


@dataclass(frozen=True)
class Case:
    """A file that one rule refuses, and one that differs only in what the rule looks at."""

    broken: bytes
    inside: bytes


def biased(shape: tuple[int, ...] = (4,), **form: object) -> T:
    scale = 0.02 * 0.05
    return T(shape, "int32", **{"scale": scale, "data": np.ones(shape), **form})  # type: ignore[arg-type]


def unary(kind: str, x: T, y: T | None = None, options: object = None, version: int = 2) -> bytes:
    return file_of(kind, [x], y or x, options, version)


def scaled(ratio: float, x: T = INT8) -> T:
    """A tensor whose scale is `ratio` times that of INT8."""
    return replace(x, scale=float(INT8.scale) * ratio)


def leaky(ratio: float) -> bytes:
    options = schema.LeakyReluOptionsT(alpha=1.0)
    return unary("LEAKY_RELU", scaled(ratio), INT8, options)


def reshape(wanted: T, y: T, x: T = FLOAT) -> bytes:
    record = schema.ReshapeOptionsT(newShape=np.int32(np.ravel(wanted.data)))
    return file_of("RESHAPE", [x, wanted], y, record, 1)


def mean(axes: T, y: T) -> bytes:
    return file_of("MEAN", [FLOAT, axes], y, schema.ReducerOptionsT(keepDims=True))


def product(point: int) -> bytes:
    other = replace(INT8, zero_point=point)
    return file_of("BATCH_MATMUL", [INT8, other], INT8, schema.BatchMatMulOptionsT(), 1)


def resize(kind: str = "RESIZE_BILINEAR", y: T = FLOAT, x: T = FLOAT, **options: bool) -> bytes:
    record = {
        "RESIZE_BILINEAR": schema.ResizeBilinearOptionsT,
        "RESIZE_NEAREST_NEIGHBOR": schema.ResizeNearestNeighborOptionsT,
    }[kind](**options)
    return file_of(kind, [x, ints([8, 8])], replace(y, shape=(1, 8, 8, 4)), record, 3)


def softmax(beta: float) -> bytes:
    return unary("SOFTMAX", FLOAT, FLOAT, schema.SoftmaxOptionsT(beta=beta))


def blocks(size: int) -> bytes:
    y = T((1, 4 * size, 4 * size, 4 // size**2))
    return unary("DEPTH_TO_SPACE", FLOAT, y, schema.DepthToSpaceOptionsT(size))


def summed(act: int = 0, x: T = FLOAT, other: T = FLOAT) -> bytes:
    return pair("ADD", x, other, x, fusedActivationFunction=act)


def maximum(*, twice: bool) -> bytes:
    graph = TinyGraph()
    x, other, y = (graph.tensor(name, PICTURE, "float32") for name in ("x", "other", "y"))
    inputs = [x, x if twice else other]
    graph.op("MAXIMUM", inputs, y, 1, schema.MaximumMinimumOptionsT())
    return graph.build([x, other], [y])


ROWS = ints([[0, 0], [1, 1], [1, 1], [0, 0]])
SIGNED = weights((4, 1, 1, 4), "int8")
SIGNED_DEPTHWISE = weights((1, 1, 1, 4), "int8")
HALF_BIAS = weights((4,), half=True)
HALF = weights((4, 1, 1, 4), half=True)
BILINEAR = schema.ResizeBilinearOptionsT()
DEPTHWISE = schema.DepthwiseConv2DOptionsT(
    strideW=1, strideH=1, depthMultiplier=1, dilationWFactor=1, dilationHFactor=1
)

"""Ops that compute: each draws its attributes and operands, and returns what it computes."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .random_net import Net, Value

FLOAT_ONES = [
    "ABS",
    "CEIL",
    "COS",
    "EXP",
    "FLOOR",
    "GELU",
    "HARD_SWISH",
    "LOG",
    "NEG",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "ROUND",
    "RSQRT",
    "SIN",
    "SQRT",
    "SQUARE",
    "ELU",
    "LOGISTIC",
    "TANH",
    "SIGN",
]
INTEGER_ONES = [
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "HARD_SWISH",
    "LOGISTIC",
    "TANH",
    "ELU",
    "ABS",
    "NEG",
]
PAIRS = ["ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"]
OPTIONS = {
    "ADD": schema.AddOptionsT,
    "DIV": schema.DivOptionsT,
    "MUL": schema.MulOptionsT,
    "SUB": schema.SubOptionsT,
    "GELU": schema.GeluOptionsT,
}


def unary(net: Net, x: Value) -> Value:
    name = net.one_of(*(FLOAT_ONES if x.dtype == "float32" else INTEGER_ONES))
    y = net.value(x.shape, x.dtype)
    fixed = {"LOGISTIC": 1 / 256, "TANH": 1 / 128}.get(name)
    if fixed and x.scale:
        low = {"int8": -128, "uint8": 0}[x.dtype]
        point = low if name == "LOGISTIC" else low + 128
        y = replace(y, scale=fixed, zero_point=point)
        record = net.graph.graph.tensors[y.index].quantization
        record.scale, record.zeroPoint = np.float32([fixed]), np.int64([point])
    return net.op(name, [x.index], y, OPTIONS.get(name, lambda: None)())


def leaky(net: Net, x: Value) -> Value:
    options = schema.LeakyReluOptionsT(alpha=net.one_of(0.0, 0.3, 0.3, -0.2, 0.001))
    return net.op("LEAKY_RELU", [x.index], net.value(x.shape, x.dtype), options)


def prelu(net: Net, x: Value) -> Value:
    if x.dtype == "uint8":
        return leaky(net, x)
    shape = (*(1 for _ in x.shape[1:-1]), x.shape[-1])
    if x.dtype == "float32":
        slope = net.weights(shape, x.dtype)
    else:
        slope = net.constant(net.value(shape, x.dtype))
    return net.op("PRELU", [x.index, slope], net.value(x.shape, x.dtype))


def convert(net: Net, x: Value) -> Value:
    if x.dtype == "float32" or net.draw(st.booleans()):
        dtype = net.one_of("int8", "int8", "uint8")
        return net.op("QUANTIZE", [x.index], net.value(x.shape, dtype))
    return net.op("DEQUANTIZE", [x.index], net.value(x.shape, "float32"))


def pair(net: Net, x: Value) -> Value:
    name = net.one_of(*PAIRS)
    shape = net.one_of(x.shape, x.shape[-1:], (1,) * len(x.shape), ())
    # The kernels ask one scale of some; of others they abort the process where it is far off.
    same = name in {"MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"}
    other = x.index if net.rarely() else _operand(net, x, shape, same)
    options = OPTIONS.get(name)
    record = options(fusedActivationFunction=net.activation()) if options else None
    order = [x.index, other] if net.draw(st.booleans()) else [other, x.index]
    return net.op(name, order, net.value(x.shape, x.dtype, x if same else None), record)


def _operand(net: Net, x: Value, shape: tuple[int, ...], same: bool) -> int:
    if net.draw(st.booleans()):
        value = net.value(shape, x.dtype, x if same else None)
        net.inputs.append(value.index)
        return value.index
    if x.dtype == "float32":
        return net.weights(shape, x.dtype)
    return net.constant(net.value(shape, x.dtype, x if same else None))


def convolution(net: Net, x: Value) -> Value:
    name = net.one_of("CONV_2D", "DEPTHWISE_CONV_2D")
    k, s, d = net.one_of(1, 2, 3), net.one_of(1, 1, 2), net.one_of(1, 1, 2)
    padding = _padding(net, x, k, d)
    size = [_out(length, k, s, d, padding) for length in x.shape[1:3]]
    if name == "CONV_2D":
        depth = net.one_of(1, 3, 4)
        kernel, axis = (depth, k, k, x.shape[3]), 0
        kind: Any = schema.Conv2DOptionsT
    else:
        multiplier = net.one_of(1, 1, 2)
        depth = x.shape[3] * multiplier
        kernel, axis = (1, k, k, depth), 3
        kind = functools.partial(schema.DepthwiseConv2DOptionsT, depthMultiplier=multiplier)
    options = kind(
        padding=padding,
        strideW=s,
        strideH=s,
        dilationWFactor=d,
        dilationHFactor=d,
        fusedActivationFunction=net.activation(),
    )
    inputs = [x.index, *_filter(net, x, kernel, axis, depth)]
    return net.op(name, inputs, net.value((1, *size, depth), x.dtype), options)


def _filter(net: Net, x: Value, kernel: tuple[int, ...], axis: int, depth: int) -> list[int]:
    """Weights and bias; the bias now and then left out or of rank 4."""
    hybrid = x.dtype == "float32" and net.rarely()
    weights = net.weights(kernel, "int8" if hybrid else x.dtype, axis)
    shape = (1, 1, 1, depth) if net.rarely() else (depth,)
    if net.rarely():
        return [weights, -1] if net.draw(st.booleans()) else [weights]
    if x.dtype == "float32":
        return [weights, net.weights(shape, "float32")]
    scales = net.graph.graph.tensors[weights].quantization.scale
    data = np.arange(depth).reshape(shape)
    bias = net.graph.tensor(f"b{weights}", shape, "int32", scales * x.scale, data=data)
    return [weights, bias]


def transposed(net: Net, x: Value) -> Value:
    k, s, padding = net.one_of(1, 2, 3, 4), net.one_of(1, 2, 2), net.one_of(0, 0, 1)
    depth = net.one_of(1, 3)
    grown = [n * s if padding == 0 else (n - 1) * s + k for n in x.shape[1:3]]
    shape = (1, *grown, depth)
    weights, *bias = _filter(net, x, (depth, k, k, x.shape[3]), 0, depth)
    version = {"fusedActivationFunction": net.one_of(0, 0, 1), "padding": padding}
    options = schema.TransposeConvOptionsT(strideW=s, strideH=s, **version)
    inputs = [net.list_of(shape), weights, x.index, *bias]
    target = net.value(shape, x.dtype)
    net.graph.op("TRANSPOSE_CONV", inputs, target.index, 4, options)
    return target


def _padding(net: Net, x: Value, k: int, d: int) -> int:
    """Draw SAME or VALID, the latter only where something is left."""
    return net.one_of(0, 1) if min(x.shape[1:3]) > (k - 1) * d else 0


def _out(length: int, k: int, s: int, d: int, padding: int) -> int:
    return -(-length // s) if padding == 0 else -(-(length - (k - 1) * d) // s)


def pool(net: Net, x: Value) -> Value:
    name = net.one_of("AVERAGE_POOL_2D", "MAX_POOL_2D")
    k, s = net.one_of(1, 2, 3), net.one_of(1, 2)
    padding = _padding(net, x, k, 1)
    size = [_out(length, k, s, 1, padding) for length in x.shape[1:3]]
    options = schema.Pool2DOptionsT(
        padding=padding,
        strideW=s,
        strideH=s,
        filterWidth=k,
        filterHeight=k,
        fusedActivationFunction=net.activation(),
    )
    return net.op(name, [x.index], net.moved((1, *size, x.shape[3]), x), options)


def dense(net: Net, x: Value) -> Value:
    depth, keep = net.one_of(2, 3), net.draw(st.booleans())
    inputs = [x.index, *_filter(net, x, (depth, x.shape[-1]), 0, depth)]
    rows = x.shape[:-1] if keep else (int(np.prod(x.shape[:-1])),)
    options = schema.FullyConnectedOptionsT(
        fusedActivationFunction=net.activation(), keepNumDims=keep
    )
    target = net.value((*rows, depth), x.dtype)
    net.graph.op("FULLY_CONNECTED", inputs, target.index, net.one_of(4, 5, 6), options)
    return target


def product(net: Net, x: Value) -> Value:
    depth, turned = net.one_of(2, 3), net.draw(st.booleans())
    shape = (*x.shape[:-2], depth, x.shape[-1]) if turned else (*x.shape[:-2], x.shape[-1], depth)
    other = _operand(net, x, shape, same=False)
    options = schema.BatchMatMulOptionsT(adjY=turned)
    target = net.value((*x.shape[:-1], depth), x.dtype)
    return net.op("BATCH_MATMUL", [x.index, other], target, options)


def reduction(net: Net, x: Value) -> Value:
    name = net.one_of("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")
    last = len(x.shape) - 1
    axes = net.one_of([last], [0], *([[1, 2]] if last > 1 else []))
    keep = net.draw(st.booleans())
    sizes = [1 if i in axes else n for i, n in enumerate(x.shape) if keep or i not in axes]
    same = x if name in {"REDUCE_MAX", "REDUCE_MIN"} else None
    options = schema.ReducerOptionsT(keepDims=keep)
    target = net.value(tuple(sizes), x.dtype, same)
    return net.op(name, [x.index, net.list_of(axes)], target, options)


def softmax(net: Net, x: Value) -> Value:
    y = net.value(x.shape, x.dtype)
    if x.scale:
        record = net.graph.graph.tensors[y.index].quantization
        point = {"int8": -128, "uint8": 0}[x.dtype]
        record.scale, record.zeroPoint = np.float32([1 / 256]), np.int64([point])
        y = replace(y, scale=1 / 256, zero_point=point)
    options = schema.SoftmaxOptionsT(beta=net.one_of(1.0, 1.0, 2.0))
    return net.op("SOFTMAX", [x.index], y, options)

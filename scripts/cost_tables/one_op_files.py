"""The `.tflite` of one op of a given size, for every kind of op that the cost tables hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from cost_tables import choosing_ops, moving_ops, reducing_ops
from cost_tables.broadcast_operand import broadcasts_of, read_again
from cost_tables.moving_ops import output_of
from cost_tables.one_op_net import ACTIVATION_SCALE, OneOpNet

from portrait_tflite.convert.costs.costed_op import BUILTIN, INT8, CostedOp

_RELU = schema.ActivationFunctionType.RELU


def one_op_file(op: CostedOp, precision: str) -> bytes:
    """Build a network of `op` alone.

    Args:
        op: What is to be counted.
        precision: `int8` or `float32`.
    """
    return _BUILDERS[op.kind](OneOpNet(integer=precision == INT8), op)


def _convolution(net: OneOpNet, op: CostedOp) -> bytes:
    source = net.add_input(1, op.height * op.stride, op.width * op.stride, op.channels_in)
    weights = net.add_filter(op.channels_out, *op.kernel, op.channels_in)
    options = schema.Conv2DOptionsT(
        strideH=op.stride,
        strideW=op.stride,
        dilationHFactor=1,
        dilationWFactor=1,
        fusedActivationFunction=_RELU,
    )
    inputs = (source, weights, net.add_bias(op.channels_out))
    return net.finish("CONV_2D", 3, inputs, output_of(op), options, zero_point=-128)


def _depthwise(net: OneOpNet, op: CostedOp) -> bytes:
    source = net.add_input(1, op.height * op.stride, op.width * op.stride, op.channels_in)
    weights = net.add_filter(1, *op.kernel, op.channels_out, channel_axis=3)
    options = schema.DepthwiseConv2DOptionsT(
        strideH=op.stride,
        strideW=op.stride,
        depthMultiplier=op.channels_out // op.channels_in,
        dilationHFactor=1,
        dilationWFactor=1,
        fusedActivationFunction=_RELU,
    )
    inputs = (source, weights, net.add_bias(op.channels_out))
    return net.finish("DEPTHWISE_CONV_2D", 3, inputs, output_of(op), options, zero_point=-128)


def _transposed(net: OneOpNet, op: CostedOp) -> bytes:
    shape = net.add_numbers(output_of(op))
    weights = net.add_filter(op.channels_out, *op.kernel, op.channels_in)
    source = net.add_input(1, op.height // op.stride, op.width // op.stride, op.channels_in)
    options = schema.TransposeConvOptionsT(strideH=op.stride, strideW=op.stride)
    # A bias of four dimensions is what keeps one outside of XNNPACK.
    rank = 4 if op.kind == BUILTIN["TRANSPOSE_CONV"] else 1
    inputs = (shape, weights, source, net.add_bias(op.channels_out, rank))
    return net.finish("TRANSPOSE_CONV", 3, inputs, output_of(op), options)


def _dense(net: OneOpNet, op: CostedOp) -> bytes:
    source = net.add_input(op.height * op.width, op.channels_in)
    weights = net.add_filter(op.channels_out, op.channels_in)
    inputs = (source, weights, net.add_bias(op.channels_out))
    output = (op.height * op.width, op.channels_out)
    # Version 4 has no scale per channel, which int8 filters of the converter have.
    return net.finish("FULLY_CONNECTED", 5, inputs, output, schema.FullyConnectedOptionsT())


def _matrix_product(net: OneOpNet, op: CostedOp) -> bytes:
    """Of two activations."""
    rows = op.height * op.width
    source = net.add_input(1, rows, op.channels_in)
    # A second factor about another number than 0 is what keeps one outside of XNNPACK.
    zero_point = 3 if op.kind == BUILTIN["BATCH_MATMUL"] else 0
    factor = net.add_input(1, op.channels_in, op.channels_out, zero_point=zero_point)
    output = (1, rows, op.channels_out)
    options = schema.BatchMatMulOptionsT()
    return net.finish("BATCH_MATMUL", 2, (source, factor), output, options)


def _squared_difference(net: OneOpNet, op: CostedOp) -> bytes:
    """From a number per position, as normalizations take it from their mean."""
    inputs = (net.add_input(*output_of(op)), net.add_input(1, op.height, op.width, 1))
    return net.finish("SQUARED_DIFFERENCE", 2, inputs, output_of(op))


def _max_pool(net: OneOpNet, op: CostedOp) -> bytes:
    size = (op.height * op.stride, op.width * op.stride)
    return _pool(net, op, size, schema.Padding.SAME)


def _average_pool(net: OneOpNet, op: CostedOp) -> bytes:
    """Windows inside of the picture alone: of padding there would be nothing to add up."""
    height, width = (
        (size - 1) * op.stride + window
        for size, window in zip((op.height, op.width), op.kernel, strict=True)
    )
    return _pool(net, op, (height, width), schema.Padding.VALID)


def _pool(net: OneOpNet, op: CostedOp, size: tuple[int, int], padding: int) -> bytes:
    source = net.add_input(1, *size, op.channels_in)
    options = schema.Pool2DOptionsT(
        padding=padding,
        strideH=op.stride,
        strideW=op.stride,
        filterHeight=op.kernel[0],
        filterWidth=op.kernel[1],
    )
    return net.finish(op.kind, 2, (source,), output_of(op), options)


def _quantize(net: OneOpNet, op: CostedOp) -> bytes:
    """To int8, from whichever kind the network is of."""
    inputs = (net.add_input(*output_of(op)),)
    return net.finish(
        op="QUANTIZE",
        version=2,
        inputs=inputs,
        output=output_of(op),
        options=schema.QuantizeOptionsT(),
        scale=2 * ACTIVATION_SCALE,
        zero_point=-128,
        dtype="int8",
    )


def _dequantize(net: OneOpNet, op: CostedOp) -> bytes:
    inputs = (net.add_input(*output_of(op)),)
    options = schema.DequantizeOptionsT()
    return net.finish("DEQUANTIZE", 2, inputs, output_of(op), options, dtype="float32")


def _reshape(net: OneOpNet, op: CostedOp) -> bytes:
    source = net.add_input(*output_of(op))
    shape = [1, op.height * op.width, op.channels_out]
    options = schema.ReshapeOptionsT(newShape=shape)
    return net.finish("RESHAPE", 1, (source, net.add_numbers(shape)), tuple(shape), options)


def _broadcast(record: Any) -> Callable[[OneOpNet, CostedOp], bytes]:
    def build(net: OneOpNet, op: CostedOp) -> bytes:
        name, _, _ = op.kind.partition("_")
        inputs = (net.add_input(*output_of(op)), read_again(net, op))
        return net.finish(name, 2, inputs, output_of(op), record())

    return build


def _prelu(net: OneOpNet, op: CostedOp) -> bytes:
    inputs = (net.add_input(*output_of(op)), net.add_operand(op.channels_out))
    return net.finish("PRELU", 1, inputs, output_of(op))


def _square(net: OneOpNet, op: CostedOp) -> bytes:
    """A product with itself, which is how int8 files write it."""
    source = net.add_input(*output_of(op))
    return net.finish("MUL", 2, (source, source), output_of(op), schema.MulOptionsT())


def _unary(version: int, scale: float, zero_point: int, record: Any = None) -> Any:
    def build(net: OneOpNet, op: CostedOp) -> bytes:
        inputs = (net.add_input(*output_of(op)),)
        options = record() if record else None
        name = op.kind.removesuffix("_RESCALED")
        return net.finish(
            name, version, inputs, output_of(op), options, scale=scale, zero_point=zero_point
        )

    return build


def _of_positive(version: int) -> Callable[[OneOpNet, CostedOp], bytes]:
    """An op that the built-in kernels have of positive integers alone."""

    def build(net: OneOpNet, op: CostedOp) -> bytes:
        inputs = (net.add_input(*output_of(op), zero_point=-128),)
        return net.finish(op.kind, version, inputs, output_of(op))

    return build


def _division(net: OneOpNet, op: CostedOp) -> bytes:
    shape = output_of(op)
    inputs = (net.add_input(*shape), net.add_operand(*shape, positive=True))
    return net.finish(op.kind, 2, inputs, shape, schema.DivOptionsT())


def _leaky(net: OneOpNet, op: CostedOp) -> bytes:
    options = schema.LeakyReluOptionsT(alpha=0.1)
    return net.finish("LEAKY_RELU", 2, (net.add_input(*output_of(op)),), output_of(op), options)


def _softmax(net: OneOpNet, op: CostedOp) -> bytes:
    options = schema.SoftmaxOptionsT(beta=1.0)
    inputs = (net.add_input(*output_of(op)),)
    return net.finish("SOFTMAX", 2, inputs, output_of(op), options, scale=1 / 256, zero_point=-128)


def _log_softmax(net: OneOpNet, op: CostedOp) -> bytes:
    inputs = (net.add_input(*output_of(op)),)
    options = schema.LogSoftmaxOptionsT()
    return net.finish(
        "LOG_SOFTMAX", 2, inputs, output_of(op), options, scale=16 / 256, zero_point=127
    )


_BUILDERS: dict[str, Callable[[OneOpNet, CostedOp], bytes]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    BUILTIN["TRANSPOSE_CONV"]: _transposed,
    "FULLY_CONNECTED": _dense,
    "BATCH_MATMUL": _matrix_product,
    BUILTIN["BATCH_MATMUL"]: _matrix_product,
    "MAX_POOL_2D": _max_pool,
    "AVERAGE_POOL_2D": _average_pool,
    **dict.fromkeys(("MEAN", "REDUCE_MAX"), reducing_ops.over_positions),
    **dict.fromkeys(("MEAN_CHANNELS", "REDUCE_MAX_CHANNELS"), reducing_ops.over_channels),
    "ARG_MAX_CHANNELS": reducing_ops.arg_max,
    "PAD": moving_ops.pad,
    "MIRROR_PAD": moving_ops.mirror,
    "CONCATENATION": moving_ops.concatenation,
    "PACK": moving_ops.pack,
    "GATHER": moving_ops.gather,
    "TRANSPOSE": moving_ops.transpose,
    "DEPTH_TO_SPACE": moving_ops.depth_to_space,
    "RESIZE_BILINEAR": moving_ops.resize,
    "RESIZE_NEAREST_NEIGHBOR": moving_ops.nearest,
    "TILE": moving_ops.tile,
    "RESHAPE": _reshape,
    **dict.fromkeys(broadcasts_of("ADD"), _broadcast(schema.AddOptionsT)),
    **dict.fromkeys(broadcasts_of("MUL"), _broadcast(schema.MulOptionsT)),
    **dict.fromkeys(broadcasts_of("MAXIMUM"), _broadcast(schema.MaximumMinimumOptionsT)),
    "MINIMUM": _broadcast(schema.MaximumMinimumOptionsT),
    "SUB": _broadcast(schema.SubOptionsT),
    "SQUARE": _square,
    "SQUARED_DIFFERENCE": _squared_difference,
    "LOGISTIC": _unary(2, 1 / 256, -128),
    "TANH": _unary(2, 1 / 128, 0),
    "RELU": _unary(2, ACTIVATION_SCALE, -128),
    "RELU6": _unary(2, ACTIVATION_SCALE, -128),
    "DIV": _division,
    "LOG": _of_positive(2),
    "RSQRT": _of_positive(2),
    "SQRT": _of_positive(1),
    "ABS": _unary(2, ACTIVATION_SCALE, 0, schema.AbsOptionsT),
    "ABS_RESCALED": _unary(2, ACTIVATION_SCALE / 2, -128, schema.AbsOptionsT),
    "ELU": _unary(1, ACTIVATION_SCALE, 0),
    "EXP": _unary(2, ACTIVATION_SCALE, -128, schema.ExpOptionsT),
    "GELU": _unary(2, ACTIVATION_SCALE, 0, schema.GeluOptionsT),
    "HARD_SWISH": _unary(1, ACTIVATION_SCALE, 0, schema.HardSwishOptionsT),
    "LEAKY_RELU": _leaky,
    "PRELU": _prelu,
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": _log_softmax,
    **dict.fromkeys(("COS", "FLOOR", "NEG", "SIGN", "SIN"), _unary(1, ACTIVATION_SCALE, 0)),
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "STRIDED_SLICE": moving_ops.cut,
    BUILTIN["STRIDED_SLICE"]: moving_ops.pick,
    **dict.fromkeys(broadcasts_of("GREATER"), choosing_ops.comparison),
    **dict.fromkeys(broadcasts_of("SELECT"), choosing_ops.selection),
    **dict.fromkeys(choosing_ops.CAST, choosing_ops.cast),
    "LOGICAL_AND": choosing_ops.both,
    "LOGICAL_NOT": choosing_ops.other,
}

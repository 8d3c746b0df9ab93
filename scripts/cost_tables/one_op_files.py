"""The `.tflite` of one op of a given size, for every kind of op that the cost tables hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from cost_tables.one_op_net import ACTIVATION_SCALE, OneOpNet

from portrait_tflite.convert.costed_op import INT8, CostedOp

# Inputs of the CONCATENATION that is counted for the copying of one.
CONCATENATED = 2

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
    return net.finish("CONV_2D", 3, inputs, _output(op), options, zero_point=-128)


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
    return net.finish("DEPTHWISE_CONV_2D", 3, inputs, _output(op), options, zero_point=-128)


def _transposed(net: OneOpNet, op: CostedOp) -> bytes:
    shape = net.add_numbers(_output(op))
    weights = net.add_filter(op.channels_out, *op.kernel, op.channels_in)
    source = net.add_input(1, op.height // op.stride, op.width // op.stride, op.channels_in)
    options = schema.TransposeConvOptionsT(strideH=op.stride, strideW=op.stride)
    inputs = (shape, weights, source, net.add_bias(op.channels_out))
    return net.finish("TRANSPOSE_CONV", 3, inputs, _output(op), options)


def _dense(net: OneOpNet, op: CostedOp) -> bytes:
    source = net.add_input(op.height * op.width, op.channels_in)
    weights = net.add_filter(op.channels_out, op.channels_in)
    inputs = (source, weights, net.add_bias(op.channels_out))
    output = (op.height * op.width, op.channels_out)
    # Version 4 has no scale per channel, which int8 filters of the converter have.
    return net.finish("FULLY_CONNECTED", 5, inputs, output, schema.FullyConnectedOptionsT())


def _pool(net: OneOpNet, op: CostedOp) -> bytes:
    source = net.add_input(1, op.height * op.stride, op.width * op.stride, op.channels_in)
    options = schema.Pool2DOptionsT(
        strideH=op.stride,
        strideW=op.stride,
        filterHeight=op.kernel[0],
        filterWidth=op.kernel[1],
    )
    return net.finish(op.kind, 2, (source,), _output(op), options)


def _mean(net: OneOpNet, op: CostedOp) -> bytes:
    """Over all positions."""
    source = net.add_input(1, op.height, op.width, op.channels_in)
    inputs = (source, net.add_numbers([1, 2]))
    options = schema.ReducerOptionsT(keepDims=True)
    return net.finish("MEAN", 2, inputs, (1, 1, 1, op.channels_in), options)


def _pad(net: OneOpNet, op: CostedOp) -> bytes:
    source = net.add_input(1, op.height - 1, op.width - 1, op.channels_in)
    inputs = (source, net.add_numbers([[0, 0], [0, 1], [0, 1], [0, 0]]))
    return net.finish("PAD", 2, inputs, _output(op), schema.PadOptionsT())


def _concatenation(net: OneOpNet, op: CostedOp) -> bytes:
    """Two inputs of the op's size: so many times what copying one costs."""
    inputs = tuple(net.add_input(*_output(op)) for _ in range(CONCATENATED))
    output = (1, op.height, op.width, CONCATENATED * op.channels_out)
    return net.finish("CONCATENATION", 2, inputs, output, schema.ConcatenationOptionsT(axis=3))


def _depth_to_space(net: OneOpNet, op: CostedOp) -> bytes:
    block = op.stride
    source = net.add_input(1, op.height // block, op.width // block, op.channels_in)
    options = schema.DepthToSpaceOptionsT(blockSize=block)
    return net.finish("DEPTH_TO_SPACE", 2, (source,), _output(op), options)


def _resize(net: OneOpNet, op: CostedOp) -> bytes:
    source = net.add_input(1, op.height // 2, op.width // 2, op.channels_in)
    inputs = (source, net.add_numbers([op.height, op.width]))
    options = schema.ResizeBilinearOptionsT(halfPixelCenters=True)
    return net.finish("RESIZE_BILINEAR", 3, inputs, _output(op), options)


def _nearest(net: OneOpNet, op: CostedOp) -> bytes:
    source = net.add_input(1, op.height // 2, op.width // 2, op.channels_in)
    inputs = (source, net.add_numbers([op.height, op.width]))
    options = schema.ResizeNearestNeighborOptionsT(halfPixelCenters=True)
    return net.finish("RESIZE_NEAREST_NEIGHBOR", 3, inputs, _output(op), options)


def _tile(net: OneOpNet, op: CostedOp) -> bytes:
    """One of the two that Keras's nearest upsampling becomes: each column twice."""
    height, width = op.height, op.width // 2
    source = net.add_input(1, height, width, 1, op.channels_in)
    inputs = (source, net.add_numbers([1, 1, 1, 2, 1]))
    return net.finish(
        "TILE", 1, inputs, (1, height, width, 2, op.channels_in), schema.TileOptionsT()
    )


def _slice(net: OneOpNet, op: CostedOp) -> bytes:
    """Cuts off the last row and column."""
    source = net.add_input(1, op.height + 1, op.width + 1, op.channels_in)
    ends = (net.add_numbers([0, 0, 0, 0]), net.add_numbers(_output(op)))
    inputs = (source, *ends, net.add_numbers([1, 1, 1, 1]))
    return net.finish("STRIDED_SLICE", 2, inputs, _output(op), schema.StridedSliceOptionsT())


def _quantize(net: OneOpNet, op: CostedOp) -> bytes:
    """To int8, from whichever kind the network is of."""
    inputs = (net.add_input(*_output(op)),)
    return net.finish(
        op="QUANTIZE",
        version=2,
        inputs=inputs,
        output=_output(op),
        options=schema.QuantizeOptionsT(),
        scale=2 * ACTIVATION_SCALE,
        zero_point=-128,
        integer=True,
    )


def _dequantize(net: OneOpNet, op: CostedOp) -> bytes:
    inputs = (net.add_input(*_output(op)),)
    options = schema.DequantizeOptionsT()
    return net.finish("DEQUANTIZE", 2, inputs, _output(op), options, integer=False)


def _reshape(net: OneOpNet, op: CostedOp) -> bytes:
    source = net.add_input(*_output(op))
    shape = [1, op.height * op.width, op.channels_out]
    options = schema.ReshapeOptionsT(newShape=shape)
    return net.finish("RESHAPE", 1, (source, net.add_numbers(shape)), tuple(shape), options)


def _binary(record: Any) -> Callable[[OneOpNet, CostedOp], bytes]:
    def build(net: OneOpNet, op: CostedOp) -> bytes:
        inputs = (net.add_input(*_output(op)), net.add_input(*_output(op)))
        return net.finish(op.kind, 2, inputs, _output(op), record())

    return build


def _channelwise(
    op_name: str, record: Any = None, version: int = 2
) -> Callable[[OneOpNet, CostedOp], bytes]:
    """A constant per channel, which is read again for every position."""

    def build(net: OneOpNet, op: CostedOp) -> bytes:
        inputs = (net.add_input(*_output(op)), net.add_operand(op.channels_out))
        options = record() if record else None
        return net.finish(op_name, version, inputs, _output(op), options)

    return build


def _unary(version: int, scale: float, zero_point: int, record: Any = None) -> Any:
    def build(net: OneOpNet, op: CostedOp) -> bytes:
        inputs = (net.add_input(*_output(op)),)
        options = record() if record else None
        return net.finish(
            op.kind, version, inputs, _output(op), options, scale=scale, zero_point=zero_point
        )

    return build


def _leaky(net: OneOpNet, op: CostedOp) -> bytes:
    options = schema.LeakyReluOptionsT(alpha=0.1)
    return net.finish("LEAKY_RELU", 2, (net.add_input(*_output(op)),), _output(op), options)


def _softmax(net: OneOpNet, op: CostedOp) -> bytes:
    options = schema.SoftmaxOptionsT(beta=1.0)
    inputs = (net.add_input(*_output(op)),)
    return net.finish("SOFTMAX", 2, inputs, _output(op), options, scale=1 / 256, zero_point=-128)


def _output(op: CostedOp) -> tuple[int, int, int, int]:
    return 1, op.height, op.width, op.channels_out


_BUILDERS: dict[str, Callable[[OneOpNet, CostedOp], bytes]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _pool,
    "AVERAGE_POOL_2D": _pool,
    "MEAN": _mean,
    "PAD": _pad,
    "CONCATENATION": _concatenation,
    "DEPTH_TO_SPACE": _depth_to_space,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _nearest,
    "TILE": _tile,
    "RESHAPE": _reshape,
    "ADD": _binary(schema.AddOptionsT),
    "SUB": _binary(schema.SubOptionsT),
    "MUL": _binary(schema.MulOptionsT),
    "ADD_CHANNELS": _channelwise("ADD", schema.AddOptionsT),
    "MUL_CHANNELS": _channelwise("MUL", schema.MulOptionsT),
    "LOGISTIC": _unary(2, 1 / 256, -128),
    "TANH": _unary(2, 1 / 128, 0),
    "RELU": _unary(2, ACTIVATION_SCALE, -128),
    "RELU6": _unary(2, ACTIVATION_SCALE, -128),
    "HARD_SWISH": _unary(1, ACTIVATION_SCALE, 0, schema.HardSwishOptionsT),
    "LEAKY_RELU": _leaky,
    "PRELU": _channelwise("PRELU", version=1),
    "SOFTMAX": _softmax,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "STRIDED_SLICE": _slice,
}

"""The `.tflite` of one op that makes fewer numbers of many."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema
from cost_tables.one_op_net import OneOpNet

from portrait_tflite.convert.costs.costed_op import CostedOp


def over_positions(net: OneOpNet, op: CostedOp) -> bytes:
    """All positions to one."""
    return _reduction(net, op, op.kind, [1, 2], (1, 1, 1, op.channels_in))


def over_channels(net: OneOpNet, op: CostedOp) -> bytes:
    """All channels to one, at every position."""
    name = op.kind.removesuffix("_CHANNELS")
    return _reduction(net, op, name, [3], (1, op.height, op.width, 1))


def arg_max(net: OneOpNet, op: CostedOp) -> bytes:
    """The number of the greatest channel, at every position."""
    inputs = (net.add_input(1, op.height, op.width, op.channels_in), net.add_numbers(3))
    options = schema.ArgMaxOptionsT(outputType=schema.TensorType.INT32)
    return net.finish("ARG_MAX", 2, inputs, (1, op.height, op.width), options, dtype="int32")


def _reduction(
    net: OneOpNet, op: CostedOp, name: str, axes: list[int], output: tuple[int, ...]
) -> bytes:
    source = net.add_input(1, op.height, op.width, op.channels_in)
    options = schema.ReducerOptionsT(keepDims=True)
    return net.finish(name, 2, (source, net.add_numbers(axes)), output, options)

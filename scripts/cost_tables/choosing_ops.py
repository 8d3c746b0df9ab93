"""The `.tflite` of one op that compares numbers, chooses between them, or is of truth values."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema
from cost_tables.broadcast_operand import read_again
from cost_tables.moving_ops import output_of
from cost_tables.one_op_net import OneOpNet

from portrait_tflite.convert.costs.costed_op import CostedOp

# From which type to which.
CAST = {
    "CAST_BOOL": ("bool", "float32"),
    "CAST_INT8": ("int8", "float32"),
    "CAST_INT32": ("int32", "float32"),
    "CAST_TO_BOOL": ("float32", "bool"),
    "CAST_TO_INT8": ("bool", "int8"),
    "CAST_TO_INT32": ("float32", "int32"),
}


def comparison(net: OneOpNet, op: CostedOp) -> bytes:
    """With another tensor, or with what is read again and again; all six cost the same."""
    inputs = (net.add_input(*output_of(op)), read_again(net, op))
    options = schema.GreaterOptionsT()
    return net.finish("GREATER", 2, inputs, output_of(op), options, dtype="bool")


def selection(net: OneOpNet, op: CostedOp) -> bytes:
    """Between two tensors, or a tensor and what is read again; or by a condition per position."""
    by_position = op.kind == "SELECT_POSITIONS"
    condition = (*output_of(op)[:3], 1) if by_position else output_of(op)
    inputs = (
        net.add_input(*condition, dtype="bool"),
        net.add_input(*output_of(op)),
        net.add_input(*output_of(op)) if by_position else read_again(net, op),
    )
    return net.finish("SELECT_V2", 1, inputs, output_of(op), schema.SelectV2OptionsT())


def cast(net: OneOpNet, op: CostedOp) -> bytes:
    """From one type to another."""
    source, target = CAST[op.kind]
    inputs = (net.add_input(*output_of(op), dtype=source),)
    options = schema.CastOptionsT(
        inDataType=getattr(schema.TensorType, source.upper()),
        outDataType=getattr(schema.TensorType, target.upper()),
    )
    return net.finish("CAST", 1, inputs, output_of(op), options, dtype=target)


def both(net: OneOpNet, op: CostedOp) -> bytes:
    """Both of two truth values; either of them costs the same."""
    inputs = tuple(net.add_input(*output_of(op), dtype="bool") for _ in range(2))
    options = schema.LogicalAndOptionsT()
    return net.finish("LOGICAL_AND", 1, inputs, output_of(op), options, dtype="bool")


def other(net: OneOpNet, op: CostedOp) -> bytes:
    """The other truth value."""
    inputs = (net.add_input(*output_of(op), dtype="bool"),)
    options = schema.LogicalNotOptionsT()
    return net.finish("LOGICAL_NOT", 1, inputs, output_of(op), options, dtype="bool")

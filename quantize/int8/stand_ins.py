"""Ops without an int8 form, quantized all the same: as a look-up between two scales.

`TFLiteConverter`'s quantizer leaves ELU in float, and with it whatever reads one that is read
twice: convolutions, the concatenation of a skip. It takes HARD_SWISH between any two scales, so
that stands in while it works. To XNNPACK, DEQUANTIZE, ELU and QUANTIZE in a row are one table of
256 bytes.
"""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op
from portrait_tflite.convert.rewrites.flatbuffer.through_float import UNPACK

_ABSENT, _STAND_IN = Op("ELU", 1), Op("HARD_SWISH", 1)


def put_stand_ins(model: schema.ModelT) -> frozenset[str]:
    """Put HARD_SWISH in the place of each ELU.

    Args:
        model: A float file; changed in place. Its ranges must be those of ELU's outputs.

    Returns:
        Names of the outputs, for `take_stand_ins_away`.
    """
    absent = [node for node in list_nodes(model) if node.op == _ABSENT.name]
    for node in absent:
        _put(model, node, _STAND_IN)
    return frozenset(node.tensor for node in absent)


def take_stand_ins_away(model: schema.ModelT, names: frozenset[str]) -> None:
    """Put ELU back where an output has one of the names, between DEQUANTIZE and QUANTIZE in int8.

    Args:
        model: The file as it was quantized; changed in place.
    """
    for node in reversed(list_nodes(model)):  # from the end: what is put in moves what is behind
        if node.op != _STAND_IN.name or node.tensor not in names:
            continue
        if node.outputs[0].dtype == "float32":
            _put(model, node, _ABSENT)
        else:
            _put_between_scales(model, node, _ABSENT)


def _put(model: schema.ModelT, node: Node, op: Op) -> None:
    built = Replacement(model, node)
    built.op(op, [node.given()[0].index])
    built.finish()


def _put_between_scales(model: schema.ModelT, node: Node, op: Op) -> None:
    built = Replacement(model, node)
    (source,) = node.given()
    given, result = built.float_tensor(source.shape), built.float_tensor(source.shape)
    built.op(UNPACK, [source.index], given)
    built.op(op, [given], result)
    built.op(QUANTIZE, [result])
    built.finish()

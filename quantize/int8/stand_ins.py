"""Ops without an int8 form, quantized all the same: as a look-up between two scales.

`TFLiteConverter`'s quantizer leaves ELU in float, and with it whatever reads one that is read
twice: convolutions, the concatenation of a skip. It takes HARD_SWISH between any two scales, so
that stands in while it works. To XNNPACK, DEQUANTIZE, ELU and QUANTIZE in a row are one table of
256 bytes.
"""

from __future__ import annotations

import copy

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import indices, op_code_index, op_name

_ABSENT = "ELU"
_STAND_IN = "HARD_SWISH"


def put_stand_ins(model: schema.ModelT) -> frozenset[bytes]:
    """Put HARD_SWISH in the place of each ELU.

    Args:
        model: A float file; changed in place. Its ranges must be those of ELU's outputs.

    Returns:
        Names of the outputs, for `take_stand_ins_away`.
    """
    graph = model.subgraphs[0]
    names = set()
    for operator in graph.operators:
        if _is(model, operator, _ABSENT):
            _become(model, operator, _STAND_IN)
            names.add(_output(graph, operator).name)
    return frozenset(names)


def take_stand_ins_away(model: schema.ModelT, names: frozenset[bytes]) -> None:
    """Put ELU back where an output has one of the names, between DEQUANTIZE and QUANTIZE in int8.

    Args:
        model: The file as it was quantized; changed in place.
    """
    graph = model.subgraphs[0]
    for operator in list(graph.operators):
        if not _is(model, operator, _STAND_IN) or _output(graph, operator).name not in names:
            continue
        _become(model, operator, _ABSENT)
        if _output(graph, operator).type == schema.TensorType.INT8:
            _between_two_scales(model, operator)


def _between_two_scales(model: schema.ModelT, operator: schema.OperatorT) -> None:
    graph = model.subgraphs[0]
    (source,), (target,) = indices(operator.inputs), indices(operator.outputs)
    real_in, real_out = _real(graph, source), _real(graph, target)
    operator.inputs, operator.outputs = [real_in], [real_out]
    at = next(i for i, other in enumerate(graph.operators) if other is operator)
    graph.operators[at : at + 1] = [
        _op(model, ("DEQUANTIZE", 2), source, real_in),
        operator,
        _op(model, ("QUANTIZE", 1), real_out, target),
    ]


def _real(graph: schema.SubGraphT, stored: int) -> int:
    """Add a float tensor of a stored one's shape."""
    tensor = copy.copy(graph.tensors[stored])
    tensor.type, tensor.quantization, tensor.buffer = schema.TensorType.FLOAT32, None, 0
    tensor.name = bytes(tensor.name) + b"_real"
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _become(model: schema.ModelT, operator: schema.OperatorT, op: str) -> None:
    operator.opcodeIndex = op_code_index(model, op, 1)
    operator.builtinOptions = None
    operator.builtinOptionsType = schema.BuiltinOptions.NONE


def _is(model: schema.ModelT, operator: schema.OperatorT, op: str) -> bool:
    return op_name(model.operatorCodes[operator.opcodeIndex]) == op


def _output(graph: schema.SubGraphT, operator: schema.OperatorT) -> schema.TensorT:
    return graph.tensors[indices(operator.outputs)[0]]


def _op(model: schema.ModelT, kind: tuple[str, int], source: int, target: int) -> schema.OperatorT:
    code = op_code_index(model, *kind)
    return schema.OperatorT(opcodeIndex=code, inputs=[source], outputs=[target])

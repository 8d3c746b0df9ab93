"""Post-training int8 with a calibration set."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.export import Export, named
from portrait_tflite.convert.files.flatbuffer import end_names, indices, read_model
from portrait_tflite.convert.files.flatbuffer_lookups import find_lookups
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.graph import OUTPUT_NAME
from portrait_tflite.convert.network_inputs import INPUT_NAME
from portrait_tflite.errors import ConversionError
from portrait_tflite.quantize.calibration import Representative
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.ranged_network import IO_TYPES, RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Range
from portrait_tflite.vocabulary import IoType, Precision

_IO_CODE = {
    IoType.INT8: schema.TensorType.INT8,
    IoType.UINT8: schema.TensorType.UINT8,
    IoType.FLOAT32: schema.TensorType.FLOAT32,
}
# From float to int8 and back.
_BETWEEN = frozenset({"DEQUANTIZE", "QUANTIZE"})
_INTEGER = frozenset({"bool", "int8", "uint8", "int32"})  # int32: shapes and axes


def quantize_model(
    export: Export,
    precision: Precision,
    representative: Representative,
    io: IoType,
    input_range: tuple[float, float] | None = None,
) -> bytes:
    """Convert an exported graph to a quantized variant.

    int8 weights are per channel, activations per tensor; only ops without an int8 form stay in
    float.

    Args:
        precision: INT8, INT16X8 or DYNAMIC (which needs no calibration and keeps float IO).
        representative: Yields the calibration inputs, an array `[1, h, w, c]` per input each.
        io: Element type of input and output of the int8 variant.
        input_range: What the int8 picture has steps for; by default what the pictures hold.

    Raises:
        ConversionError: An op cannot be quantized, or the file does not hold what was promised.
    """
    if precision is not Precision.INT8:
        return export.convert(lambda converter: configure(converter, precision, representative, io))
    picture = None if input_range is None else Range(*input_range)
    frames = (tuple(frame) for frame in representative())
    network = measured_network(export.float_model(Precision.FLOAT32), frames, picture)
    return quantize_ranged(network, io)


def quantize_ranged(network: RangedNetwork, io: IoType) -> bytes:
    """Quantize a network over its ranges, and check that the file takes and gives what was asked.

    Ops that have no int8 form stay in float: `float_ops` lists them.

    Raises:
        ConversionError: An op cannot be quantized, or the file does not hold what was promised.
    """
    inputs, outputs = end_names(network.data)
    data = named(
        quantize_network(network, io),
        # Several are told apart by the names that they have in float.
        inputs if len(inputs) > 1 else (INPUT_NAME,),
        outputs if len(outputs) > 1 else (OUTPUT_NAME,),
    )
    require_ends(data, io)
    return data


def configure(
    converter: Any, precision: Precision, representative: Representative, io: IoType
) -> None:
    """Set a `TFLiteConverter` to a quantized variant; also used for the naive baselines."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision is Precision.DYNAMIC:
        return
    converter.representative_dataset = representative
    if precision is Precision.INT16X8:
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        return
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = IO_TYPES[io]
    converter.inference_output_type = IO_TYPES[io]


def require_ends(data: bytes, io: IoType) -> None:
    """Check that the inputs and outputs of a file are as asked.

    Raises:
        ConversionError: A tensor is not; it is named.
    """
    graph = read_model(data).subgraphs[0]
    for index in (*indices(graph.inputs), *indices(graph.outputs)):
        tensor = graph.tensors[index]
        if tensor.type != _IO_CODE[io]:
            names = {code: name for name, code in vars(schema.TensorType).items() if name.isupper()}
            raise ConversionError(
                f"the inputs and outputs of the file must be {io}. "
                f"Received: {names.get(tensor.type, tensor.type)} at {tensor.name.decode()!r}."
            )


def float_ops(data: bytes) -> tuple[Node, ...]:
    """List the ops of an int8 file that compute in anything but int8.

    Float tensors inside a row of ops that XNNPACK looks up, int8 to int8, are no islands: it runs
    such a row as one table of 256 bytes.
    """
    model = read_model(data)
    graph = model.subgraphs[0]
    nodes = list_nodes(model)
    rows = find_lookups(nodes, (), {*indices(graph.inputs), *indices(graph.outputs)})
    looked_up = {node.index for row in rows for node in row}
    return tuple(
        node
        for node in nodes
        if node.index not in looked_up and node.op not in _BETWEEN and _computes_in_float(node)
    )


def _computes_in_float(node: Node) -> bool:
    computed = [operand for operand in node.given() if not operand.constant]
    return any(operand.dtype not in _INTEGER for operand in (*computed, *node.outputs))

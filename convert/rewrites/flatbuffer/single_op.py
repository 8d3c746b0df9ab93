"""Run one op alone on the built-in kernels: the proof that a rewrite is exact for every value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import op_code_index, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import Operand
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

Int8s = NDArray[np.int8]

EVERY_INT8 = np.arange(-128, 128, dtype=np.int16).astype(np.int8)


@dataclass(frozen=True)
class Op:
    """An op without its tensors, e.g. `Op("QUANTIZE", 2)`."""

    name: str
    version: int
    options: Any = None

    @property
    def options_type(self) -> int:
        """Number of the option record's kind, which its class is named after."""
        if self.options is None:
            return 0
        return int(getattr(schema.BuiltinOptions, type(self.options).__name__.removesuffix("T")))


def run_alone(op: Op, values: Sequence[Int8s], inputs: Sequence[Operand], output: Operand) -> Int8s:
    """Run an op on int8 arrays `[n]` with the operands' scales and zero points.

    Returns:
        The output `[n]`.
    """
    shape = (1, 1, 1, values[0].size)
    model = _one_op_model(op, inputs, output, shape)
    runner = open_model(serialize(model), Delegate.CPU)
    result = runner.run(*(array.reshape(shape) for array in values))[0]
    return np.asarray(result, np.int8).reshape(-1)


def _one_op_model(
    op: Op, inputs: Sequence[Operand], output: Operand, shape: tuple[int, ...]
) -> schema.ModelT:
    operands = (*inputs, output)
    sources = np.arange(len(inputs), dtype=np.int32)
    target = np.array([len(inputs)], np.int32)
    model = schema.ModelT(version=3, operatorCodes=[], buffers=[schema.BufferT()])
    operator = schema.OperatorT(
        opcodeIndex=op_code_index(model, op.name, op.version),
        inputs=sources,
        outputs=target,
        builtinOptionsType=op.options_type,
        builtinOptions=op.options,
    )
    model.subgraphs = [
        schema.SubGraphT(
            tensors=[_tensor(operand, shape) for operand in operands],
            inputs=sources,
            outputs=target,
            operators=[operator],
        )
    ]
    return model


def _tensor(operand: Operand, shape: tuple[int, ...]) -> schema.TensorT:
    quantization = schema.QuantizationParametersT(
        scale=np.array([operand.scale], np.float32),
        zeroPoint=np.array([operand.zero_point], np.int64),
    )
    return schema.TensorT(
        shape=np.array(shape, np.int32),
        type=schema.TensorType.INT8,
        name=f"tensor_{operand.index}".encode(),
        quantization=quantization,
    )

"""A `.tflite` of one op, in float32 or int8, as the cost tables count it.

The ops are those that the converter writes: filters and biases are random constants, a filter in
int8 has a scale per output channel, and scales are such that XNNPACK takes the op as it does inside
of a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import op_code_index, serialize

# Sums of products of int8 numbers at these scales stay inside of the output's range.
ACTIVATION_SCALE, WEIGHT_SCALE = 0.02, 0.001

Array = NDArray[Any]


class OneOpNet:
    """A network of one op; add its tensors in the order in which the op reads them."""

    def __init__(self, *, integer: bool) -> None:
        """Begin with no tensors.

        Args:
            integer: Int8 activations and filters; else float32.
        """
        self._integer = integer
        self._rng = np.random.default_rng(0)
        self._graph = schema.SubGraphT(tensors=[], inputs=[])
        self._model = schema.ModelT(
            version=3, operatorCodes=[], subgraphs=[self._graph], buffers=[schema.BufferT()]
        )

    def add_input(
        self,
        *shape: int,
        scale: float = ACTIVATION_SCALE,
        zero_point: int = 0,
        dtype: str | None = None,
    ) -> int:
        """Add an activation that is given; `dtype` where it is not the network's."""
        index = self._activation(dtype, shape, scale, zero_point)
        self._graph.inputs.append(index)
        return index

    def add_filter(self, *shape: int, channel_axis: int = 0) -> int:
        """Add random weights; in int8 with a scale per channel."""
        channels = shape[channel_axis]
        if not self._integer:
            return self._constant(self._rng.normal(0, 0.05, shape).astype(np.float32))
        values = self._rng.integers(-127, 128, shape, np.int8)
        return self._constant(values, np.full(channels, WEIGHT_SCALE), channel_axis)

    def add_bias(self, channels: int, rank: int = 1) -> int:
        """Add a random bias: a bias of zeros would be another graph."""
        shape = (*[1] * (rank - 1), channels)
        if not self._integer:
            return self._constant(self._rng.random(shape, np.float32))
        values = self._rng.integers(-1000, 1000, shape, np.int32)
        scales = np.full(channels, WEIGHT_SCALE * ACTIVATION_SCALE)
        return self._constant(values, scales, rank - 1)

    def add_operand(self, *shape: int, positive: bool = False) -> int:
        """Add a random constant of the activations' kind; one to divide by is positive."""
        if not self._integer:
            values = self._rng.normal(0, 1, shape).astype(np.float32)
            return self._constant(np.abs(values) + 0.1 if positive else values)
        values = self._rng.integers(1 if positive else -127, 128, shape, np.int8)
        return self._constant(values, np.array([ACTIVATION_SCALE]))

    def add_numbers(self, values: Any) -> int:
        """Add int32 constants: a shape, paddings, axes, a size."""
        return self._constant(np.array(values, np.int32))

    def finish(
        self,
        op: str,
        version: int,
        inputs: Sequence[int],
        output: tuple[int, ...],
        options: Any = None,
        *,
        scale: float = ACTIVATION_SCALE,
        zero_point: int = 0,
        dtype: str | None = None,
    ) -> bytes:
        """Add the op and write the file.

        Args:
            op: Builtin name.
            version: The op's version.
            inputs: The tensors that it reads, as the `add_…` methods returned them.
            output: Shape of what it computes.
            options: The schema's option record.
            scale: Of the output, in int8.
            zero_point: Of the output, in int8.
            dtype: Of the output, where it is not the network's.
        """
        target = np.array([self._activation(dtype, output, scale, zero_point)], np.int32)
        record = type(options).__name__.removesuffix("T") if options else "NONE"
        self._graph.operators = [
            schema.OperatorT(
                opcodeIndex=op_code_index(self._model, op, version),
                inputs=np.array(inputs, np.int32),
                outputs=target,
                builtinOptionsType=getattr(schema.BuiltinOptions, record),
                builtinOptions=options,
            )
        ]
        self._graph.inputs = np.array(self._graph.inputs, np.int32)
        self._graph.outputs = target
        return serialize(self._model)

    def _activation(
        self, dtype: str | None, shape: Sequence[int], scale: float, zero_point: int
    ) -> int:
        kind = dtype or ("int8" if self._integer else "float32")
        quantization = _quantization([scale], zero_point) if kind == "int8" else None
        return self._tensor(shape, kind, quantization)

    def _constant(self, values: Array, scales: Array | None = None, channel_axis: int = 0) -> int:
        quantization = None if scales is None else _quantization(scales, 0, channel_axis)
        index = self._tensor(values.shape, values.dtype.name, quantization)
        data = np.frombuffer(values.tobytes(), np.uint8)
        self._graph.tensors[index].buffer = len(self._model.buffers)
        self._model.buffers.append(schema.BufferT(data=data))
        return index

    def _tensor(self, shape: Sequence[int], dtype: str, quantization: Any = None) -> int:
        tensor = schema.TensorT(
            shape=np.array(shape, np.int32),
            type=getattr(schema.TensorType, dtype.upper()),
            name=f"tensor_{len(self._graph.tensors)}".encode(),
            quantization=quantization,
        )
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1


def _quantization(scales: Any, zero_point: int, channel_axis: int = 0) -> Any:
    return schema.QuantizationParametersT(
        scale=np.array(scales, np.float32),
        zeroPoint=np.full(len(scales), zero_point, np.int64),
        quantizedDimension=channel_axis,
    )

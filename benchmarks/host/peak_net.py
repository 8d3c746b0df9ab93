"""A `.tflite` of nothing but 1×1 convolutions, for measuring a CPU's peak."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import op_code_index, serialize
from portrait_tflite.vocabulary import Precision

_LAYERS = 4  # enough that starting an inference is nothing beside it
# int8 scales; a sum of products of such numbers stays inside of the output's range.
_ACTIVATION_SCALE, _WEIGHT_SCALE = 0.02, 0.001


def peak_net(kind: Precision, side: int, channels: int) -> bytes:
    """Build `[1, side, side, channels]` → four convolutions `channels` → `channels`.

    Args:
        kind: `FLOAT32`, or `INT8` with a scale per output channel.
    """
    net = _Net(kind, (1, side, side, channels))
    for number in range(_LAYERS):
        net.add_convolution(number)
    return net.serialize()


class _Net:
    """A chain of convolutions that keep the shape; random weights and biases."""

    def __init__(self, kind: Precision, shape: tuple[int, int, int, int]) -> None:
        self._kind = kind
        self._shape = shape
        self._rng = np.random.default_rng(0)
        self._graph = schema.SubGraphT(tensors=[], operators=[])
        self._model = schema.ModelT(
            version=3, operatorCodes=[], subgraphs=[self._graph], buffers=[schema.BufferT()]
        )
        self._last = self._first = self._activation("x")

    def add_convolution(self, number: int) -> None:
        depth = self._shape[-1]
        integer = self._kind is Precision.INT8
        if integer:
            values = self._rng.integers(-127, 128, (depth, 1, 1, depth), np.int8)
            bias = self._rng.integers(-1000, 1000, depth, np.int32)
        else:
            values = self._rng.normal(0, 0.05, (depth, 1, 1, depth)).astype(np.float32)
            bias = self._rng.random(depth, np.float32)
        scales = np.full(depth, _WEIGHT_SCALE, np.float32) if integer else None
        bias_scales = scales * np.float32(_ACTIVATION_SCALE) if scales is not None else None
        weights = self._tensor(f"weights_{number}", values.shape, values, scales)
        biases = self._tensor(f"bias_{number}", bias.shape, bias, bias_scales)
        target = self._activation(f"y_{number}")
        self._graph.operators.append(
            schema.OperatorT(
                opcodeIndex=op_code_index(self._model, "CONV_2D", 3),
                inputs=np.array([self._last, weights, biases], np.int32),
                outputs=np.array([target], np.int32),
                builtinOptionsType=schema.BuiltinOptions.Conv2DOptions,
                builtinOptions=schema.Conv2DOptionsT(
                    strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1
                ),
            )
        )
        self._last = target

    def serialize(self) -> bytes:
        self._graph.inputs = np.array([self._first], np.int32)
        self._graph.outputs = np.array([self._last], np.int32)
        return serialize(self._model)

    def _activation(self, name: str) -> int:
        integer = self._kind is Precision.INT8
        scales = np.array([_ACTIVATION_SCALE], np.float32) if integer else None
        return self._tensor(
            name, self._shape, np.empty(0, np.int8 if integer else np.float32), scales
        )

    def _tensor(self, name: str, shape: tuple[int, ...], values: Any, scales: Any) -> int:
        """Add a tensor; without `values` it is computed, and they only say its type."""
        tensor = schema.TensorT(
            shape=np.array(shape, np.int32),
            type=getattr(schema.TensorType, values.dtype.name.upper()),
            name=name.encode(),
        )
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT(
                scale=scales, zeroPoint=np.zeros(scales.size, np.int64)
            )
        if values.size:
            data = np.frombuffer(values.tobytes(), np.uint8)
            self._model.buffers.append(schema.BufferT(data=data))
            tensor.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

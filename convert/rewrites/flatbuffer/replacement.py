"""Put several ops in the place of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import op_code_index
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_SCALED = frozenset({"int8", "uint8"})
_ADDED = ";mended_"
_UNPACKS_HALVES = 3  # version of DEQUANTIZE


class Replacement:
    """The ops that take the place of one op; tensors are known by their number."""

    def __init__(self, model: schema.ModelT, node: Node) -> None:
        self._model = model
        self._graph = model.subgraphs[0]
        self._node = node
        self._operators: list[schema.OperatorT] = []

    def tensor(
        self,
        shape: Sequence[int],
        like: Operand,
        scale: float | None = None,
        zero_point: int | None = None,
    ) -> int:
        """Add a computed tensor with the type of another one, and its scale where none is given."""
        quantization = None
        if like.scale:
            point = like.zero_point if zero_point is None else zero_point
            quantization = _quantization([scale or like.scale], [point])
        return self._add(shape, like.dtype, quantization, buffer=0)

    def float_tensor(self, shape: Sequence[int]) -> int:
        """Add a computed tensor of float numbers."""
        return self._add(shape, "float32", None, buffer=0)

    def constant(
        self, data: NDArray[Any], scale: Sequence[float] = (), zero_point: int = 0, axis: int = 0
    ) -> int:
        """Add a constant; several scales are those of the channels along `axis`."""
        raw = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self._model.buffers.append(schema.BufferT(data=raw))
        quantization = _quantization(scale, [zero_point] * len(scale), axis) if scale else None
        return self._add(data.shape, data.dtype.name, quantization, len(self._model.buffers) - 1)

    def constant_like(
        self, data: NDArray[Any], like: Operand, scale: Sequence[float] = (), axis: int = 0
    ) -> int:
        """Add a constant in place of another one: packed as float16 where that is, and loses none.

        Args:
            data: What it holds.
            like: The constant that it replaces, or what unpacks it.
            scale: As of `constant`.
            axis: As of `constant`.
        """
        with np.errstate(over="ignore"):  # what is too large is not equal
            half = data.astype(np.float16)
        if like.constant or not np.array_equal(half.astype(data.dtype), data):
            return self.constant(data, scale, axis=axis)
        wide = self.float_tensor(data.shape)
        unpack = Op("DEQUANTIZE", _UNPACKS_HALVES, schema.DequantizeOptionsT())
        self.op(unpack, [self.constant(half)], wide)
        return wide

    def op(self, op: Op, inputs: Sequence[int], output: int | None = None) -> None:
        """Add an op; the last one writes the tensor that the replaced op wrote."""
        target = self._node.outputs[0].index if output is None else output
        self._operators.append(
            schema.OperatorT(
                opcodeIndex=op_code_index(self._model, op.name, op.version),
                inputs=np.array(inputs, np.int32),
                outputs=np.array([target], np.int32),
                builtinOptions=op.options,
                builtinOptionsType=op.options_type,
            )
        )

    def reshape(self, source: int, shape: Sequence[int], output: int | None = None) -> None:
        """Add a RESHAPE to a known shape."""
        sizes = np.array(shape, np.int32)
        options = schema.ReshapeOptionsT(newShape=sizes)
        self.op(Op("RESHAPE", 1, options), [source, self.constant(sizes)], output)

    def pad(self, source: Operand, borders: Sequence[tuple[int, int]]) -> int:
        """Add a PAD of a picture `[n, h, w, c]`, and return what it gives.

        Args:
            source: The picture.
            borders: Rows above and below, columns left and right.
        """
        amounts = np.array([(0, 0), *borders, (0, 0)], np.int32)
        padded = self.tensor([int(n) for n in np.add(source.shape, amounts.sum(axis=1))], source)
        pad = Op("PAD", 2 if source.scale else 1, schema.PadOptionsT())
        self.op(pad, [source.index, self.constant(amounts)], padded)
        return padded

    def cut(
        self,
        source: int,
        begin: Sequence[int],
        size: Sequence[int],
        like: Operand,
        output: int | None = None,
    ) -> int:
        """Add a SLICE, and return what it gives: `output`, or a tensor of its own.

        Args:
            source: What it is a part of.
            begin: Where the part begins, by dimension.
            size: How large it is, likewise.
            like: Of which type and scale they are.
            output: What is written.
        """
        part = self.tensor(size, like) if output is None else output
        borders = [self.constant(np.array(numbers, np.int32)) for numbers in (begin, size)]
        op = Op("SLICE", 2 if like.dtype == "int8" else 1, schema.SliceOptionsT())
        self.op(op, [source, *borders], part)
        return part

    def concatenate(
        self, sources: Sequence[int], axis: int, like: Operand, output: int | None = None
    ) -> None:
        """Add a CONCATENATION; `like` says of which type the tensors are."""
        version = 2 if like.dtype in _SCALED else 1
        options = schema.ConcatenationOptionsT(axis=axis)
        self.op(Op("CONCATENATION", version, options), sources, output)

    def finish(self) -> None:
        """Put the ops where the replaced one stood."""
        position = self._node.index
        self._graph.operators[position : position + 1] = self._operators

    def _add(self, shape: Sequence[int], dtype: str, quantization: Any, buffer: int) -> int:
        number = len(self._graph.tensors)
        self._graph.tensors.append(
            schema.TensorT(
                shape=np.array(shape, np.int32),
                type=getattr(schema.TensorType, dtype.upper()),
                # The first of several names tells the layer.
                name=f"{self._node.tensor}{_ADDED}{number}".encode(),
                quantization=quantization,
                buffer=buffer,
            )
        )
        return number


def original_name(tensor: str) -> str:
    """Return the tensor at whose op a tensor was added; one that was there is its own."""
    return re.sub(rf"({_ADDED}\d+)+$", "", tensor)


def _quantization(
    scale: Sequence[float], zero_point: Sequence[int], axis: int = 0
) -> schema.QuantizationParametersT:
    return schema.QuantizationParametersT(
        scale=np.array(scale, np.float32),
        zeroPoint=np.array(zero_point, np.int64),
        quantizedDimension=axis,
    )

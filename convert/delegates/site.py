"""What a delegate sees of an op: its tensors with their real shapes and all their scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand


@dataclass(frozen=True)
class Quantization:
    """How the integers of a tensor stand for real numbers.

    Attributes:
        scales: One, or one per channel.
        zero_points: As many as scales, or one for all.
        axis: The dimension of the channels.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int


@dataclass(frozen=True)
class Site:
    """An op in its graph.

    Attributes:
        node: The op.
        tensors: All tensors of the graph.
        unpacked: Computed tensors that a delegate holds as constants: unpacked weights.
        halved: Those of them that it reads as float16, without unpacking.
    """

    node: Node
    tensors: Sequence[schema.TensorT] = field(repr=False)
    unpacked: frozenset[int] = frozenset()
    halved: frozenset[int] = frozenset()

    @property
    def op(self) -> str:
        """Builtin name of the op."""
        return self.node.op

    def input(self, position: int) -> Operand | None:
        """One input; None where it is left out."""
        return self.node.inputs[position] if position < len(self.node.inputs) else None

    def inputs(self, positions: Sequence[int]) -> list[Operand]:
        """Those of some inputs that are given."""
        return [operand for p in positions if (operand := self.input(p)) is not None]

    def shape(self, operand: Operand) -> tuple[int, ...]:
        """The shape that the runtime starts with: 1 where a size is known only at run time."""
        shape = tuple(indices(self.tensors[operand.index].shape))
        return tuple(max(size, 1) if size == -1 else size for size in shape)

    def quantization(self, operand: Operand) -> Quantization | None:
        """How it is quantized; None where it is not."""
        record = self.tensors[operand.index].quantization
        scales = () if record is None else _values(record.scale)
        if record is None or not scales:
            return None
        return Quantization(
            tuple(map(float, scales)),
            tuple(map(int, _values(record.zeroPoint))) or (0,),
            int(record.quantizedDimension),
        )

    def fixed(self, operand: Operand) -> bool:
        """Whether its value is in the file, packed or not."""
        return operand.constant or operand.index in self.unpacked

    def stored(self, operand: Operand) -> str:
        """The dtype that a delegate reads it in."""
        return "float16" if operand.index in self.halved else operand.dtype


def numbers(operand: Operand) -> NDArray[Any]:
    """The integers of a constant of shapes, axes or paddings; empty where it is computed."""
    if operand.data is None:
        return np.zeros(0, np.int64)
    kind = np.int64 if operand.dtype == "int64" else np.int32
    return np.frombuffer(operand.data.tobytes(), kind)


def _values(vector: Any) -> tuple[Any, ...]:
    return () if vector is None else tuple(vector)

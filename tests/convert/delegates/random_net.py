"""A model under construction: what the next op reads, and draws from hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Draw = Callable[[Any], Any]

# Ops of which the runtime's kernels have one version only.
_ONE_VERSION = frozenset(
    {"BATCH_MATMUL", "ELU", "EXPAND_DIMS", "HARD_SWISH", "NEG", "PRELU", "RELU_N1_TO_1", "RESHAPE"}
)


@dataclass(frozen=True)
class Value:
    """A tensor that the next op reads."""

    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int = 0


class Net:
    """A model under construction."""

    def __init__(self, graph: Any, draw: Draw) -> None:
        self.graph = graph
        self.draw = draw
        self.inputs: list[int] = []
        self.half = draw(st.booleans())  # whether float weights are stored in float16

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def rarely(self) -> bool:
        return bool(self.draw(st.integers(0, 9)) == 9)

    def source(self, shape: tuple[int, ...], dtype: str) -> Value:
        value = self.value(shape, dtype)
        self.inputs.append(value.index)
        return value

    def value(self, shape: tuple[int, ...], dtype: str, like: Value | None = None) -> Value:
        """Add a computed tensor, with the scale of another or one of its own."""
        name, scale, point = f"t{len(self.graph.graph.tensors)}", None, 0
        if dtype in {"int8", "uint8"}:
            exponent = (
                self.draw(st.integers(-44, 44)) if self.rarely() else self.one_of(-2, 0, 1, 3)
            )
            scale = like.scale if like and like.scale else 0.02 * 2 ** (exponent / 4)
            low = -128 if dtype == "int8" else 0
            point = like.zero_point if like and like.scale else low + self.one_of(0, 0, 100, 128)
        return Value(
            self.graph.tensor(name, shape, dtype, scale, point), shape, dtype, scale, point
        )

    def moved(self, shape: tuple[int, ...], x: Value) -> Value:
        """Add what an op makes of a value that it only moves: of its scale, but for a few."""
        return self.value(shape, x.dtype, None if self.rarely() else x)

    def list_of(self, numbers: Any, dtype: str = "int32") -> int:
        """Add a list: a shape, axes or paddings; a constant but for a few."""
        array = np.asarray(numbers, dtype)
        if self.rarely() and self.rarely():
            return self.source(array.shape, dtype).index
        return int(
            self.graph.tensor(f"k{len(self.graph.graph.tensors)}", array.shape, dtype, data=array)
        )

    def weights(self, shape: tuple[int, ...], dtype: str, axis: int = 0) -> int:
        """Add weights: float, packed to float16, computed, or int8 with one or many scales."""
        name = f"w{len(self.graph.graph.tensors)}"
        if dtype == "float32":
            return self._float_weights(name, shape)
        many = dtype == "int8" and not self.rarely()
        axis = self.one_of(*range(len(shape))) if self.rarely() else axis
        scales = np.full(shape[axis] if many else 1, 0.02)
        point = 0 if not self.rarely() or many else 3
        data = np.random.default_rng(1).integers(0, 100, shape)
        return int(self.graph.tensor(name, shape, dtype, scales, point, data, axis if many else 0))

    def _float_weights(self, name: str, shape: tuple[int, ...]) -> int:
        data = np.random.default_rng(1).normal(size=shape)
        if self.rarely():
            return self.source(shape, "float32").index
        if not self.half:
            return int(self.graph.tensor(name, shape, "float32", data=data))
        packed = self.graph.tensor(f"{name}/half", shape, "float16", data=data)
        target = int(self.graph.tensor(name, shape, "float32"))
        self.graph.op("DEQUANTIZE", [packed], target, 3)
        return target

    def op(self, name: str, inputs: list[int], target: Value, options: Any = None) -> Value:
        """Add an op of a version that the runtime's kernels have."""
        version = 2 if target.scale and name not in _ONE_VERSION else 1
        self.graph.op(name, inputs, target.index, version, options)
        return target

    def activation(self) -> int:
        return int(self.one_of(0, 0, 1, 3, 2))

    def constant(self, like: Value) -> int:
        """Give a value of the net the same number everywhere, stored in the file."""
        raw = np.frombuffer(np.full(like.shape, 40, like.dtype).tobytes(), np.uint8)
        self.graph.model.buffers.append(schema.BufferT(data=raw))
        self.graph.graph.tensors[like.index].buffer = len(self.graph.model.buffers) - 1
        return like.index

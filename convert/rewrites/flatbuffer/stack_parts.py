"""The tensors that a stack of five dimensions is made of, read part by part."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.delegates.xnnpack_ops import BINARY, UNARY
from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import held_values, stored_values
from portrait_tflite.convert.rewrites.flatbuffer.place import producer_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

MOST_DIMENSIONS = 4  # of the GPU delegate
MOST_PARTS = 16  # each op on the stack becomes so many

_ELEMENTWISE = (UNARY | BINARY) - {"DEQUANTIZE", "PRELU", "QUANTIZE"}
_RESHAPES = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})
_SLICES = frozenset({"SLICE", "STRIDED_SLICE"})


@dataclass(frozen=True)
class Held:
    """A part that is a tensor of the file, but for its shape."""

    source: Operand
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Cut:
    """A part of a tensor of the file, which is `[outer, count, inner]`: the one at `at`."""

    source: Operand
    outer: int
    count: int
    inner: int
    at: int
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Number:
    """A part that is constant."""

    values: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)


@dataclass(frozen=True, eq=False)
class Computed:
    """A part that an op computes of others."""

    op: Op
    of: tuple[Part, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*(part.shape for part in self.of))


Part = Held | Cut | Number | Computed


class StackReader:
    """Reads what tensors are made of along a dimension; each tensor once."""

    def __init__(self, model: schema.ModelT) -> None:
        self._model = model
        self._known: dict[tuple[int, int], list[Part] | None] = {}

    def read(self, operand: Operand, axis: int) -> list[Part] | None:
        """List the parts along a dimension; None where they can not be told."""
        key = operand.index, axis
        if key not in self._known:
            self._known[key] = self._read(operand, axis)
        return self._known[key]

    def _read(self, operand: Operand, axis: int) -> list[Part] | None:
        shape = operand.shape
        rest = (*shape[:axis], *shape[axis + 1 :])
        values = held_values(self._model, operand)
        if values is not None:
            return [Number(np.take(values, n, axis)) for n in range(shape[axis])]
        producer = producer_of(self._model, operand.index)
        if len(shape) > MOST_DIMENSIONS:
            return None if producer is None else self._of_op(producer, operand, axis)
        return _cuts(operand, shape, axis, rest) if operand.sized else None

    def _of_op(self, node: Node, operand: Operand, axis: int) -> list[Part] | None:
        sources = node.given()
        rest = (*operand.shape[:axis], *operand.shape[axis + 1 :])
        if any(not source.sized for source in sources if not source.constant):
            return None
        if node.op in _ELEMENTWISE:
            return self._of_numbers(node, axis - len(operand.shape))
        if node.op in _SLICES:
            whole = sources[0].shape == operand.shape and _is_forward(node)
            return self.read(sources[0], axis) if whole else None
        if node.op in _RESHAPES:
            few = len(sources[0].shape) <= MOST_DIMENSIONS
            return _cuts(sources[0], operand.shape, axis, rest) if few else None
        if node.op not in {"CONCATENATION", "PACK"}:
            return None
        along = int(node.option("axis", 0)) % len(operand.shape) == axis
        if not along or node.option("fusedActivationFunction", 0):
            return None
        if node.op == "PACK":
            return [Held(source, rest) for source in sources]
        parts = [self.read(source, axis) for source in sources]
        return None if None in parts else [p for found in parts if found for p in found]

    def _of_numbers(self, node: Node, axis: int) -> list[Part] | None:
        """Read what an op makes of single numbers; `axis` is counted from the end."""
        given: list[list[Part]] = []
        for source in node.given():
            if -axis > len(source.shape):  # the same for every part
                given.append([Held(source, source.shape)])
                continue
            found = self.read(source, axis + len(source.shape))
            if found is None:
                return None
            given.append(found)
        count = max(map(len, given))
        op = Op(node.op, node.version, copy.copy(node.options))
        if any(len(parts) not in (1, count) for parts in given):
            return None
        wide = [parts * count if len(parts) == 1 else parts for parts in given]
        return [Computed(op, each) for each in zip(*wide, strict=True)]


def _cuts(
    source: Operand, shape: Sequence[int], axis: int, rest: tuple[int, ...]
) -> list[Part] | None:
    """Cut a tensor along a dimension of `shape`, in which its numbers are read."""
    outer, count, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
    if count > MOST_PARTS:
        return None
    if count == 1:
        return [Held(source, rest)]
    return [Cut(source, outer, count, inner, at, rest) for at in range(count)]


def sources_of(part: Part) -> list[Operand]:
    """List the tensors of the file that a part is computed from."""
    if isinstance(part, Computed):
        return [source for one in part.of for source in sources_of(one)]
    return [] if isinstance(part, Number) else [part.source]


def is_picture(model: schema.ModelT, part: Part) -> bool:
    """Tell whether a part is a whole tensor as it was computed, or is computed of such a one.

    What is cut out of another tensor number by number costs more apart than in one op. And the
    quantizer moves a RESHAPE behind a sum of two of them, whose ranges it then has for others.
    """
    if isinstance(part, Computed):
        return any(is_picture(model, one) for one in part.of)
    if not isinstance(part, Held) or part.source.shape != part.shape:
        return False
    producer = producer_of(model, part.source.index)
    return producer is None or producer.op not in _RESHAPES


def computed_sources(model: schema.ModelT, parts: Sequence[Part]) -> tuple[int, ...]:
    """List the computed tensors that parts are made of, by their numbers."""
    found = dict.fromkeys(source.index for part in parts for source in sources_of(part))
    ends = {int(number) for number in model.subgraphs[0].inputs}
    return tuple(one for one in found if one in ends or producer_of(model, one) is not None)


def _is_forward(node: Node) -> bool:
    """Tell whether a slice does not turn a dimension about."""
    strides = node.given()[3] if node.op == "STRIDED_SLICE" else None
    if strides is None:
        return True
    return strides.data is not None and bool(np.all(stored_values(strides) > 0))


class BuiltParts:
    """The ops of parts; what several of them read is there once."""

    def __init__(self, replacement: Replacement) -> None:
        self.replacement = replacement
        self._made: dict[Part, int] = {}

    def add(self, part: Part) -> int:
        """Add what computes a part, and return its tensor."""
        if part not in self._made:
            self._made[part] = self._add(part)
        return self._made[part]

    def shaped(self, number: int, shape: Sequence[int], wanted: Sequence[int]) -> int:
        """Add a RESHAPE where a tensor has another shape than is wanted."""
        if tuple(shape) == tuple(wanted):
            return number
        made = self.replacement.float_tensor(wanted)
        self.replacement.reshape(number, wanted, made)
        return made

    def _add(self, part: Part) -> int:
        if isinstance(part, Number):
            return self.replacement.constant(part.values)
        if isinstance(part, Computed):
            inputs = [self.add(one) for one in part.of]
            made = self.replacement.float_tensor(part.shape)
            self.replacement.op(part.op, inputs, made)
            return made
        if isinstance(part, Held):
            return self.shaped(part.source.index, part.source.shape, part.shape)
        lines = (1, part.outer, part.count, part.inner)
        spread = self.shaped(part.source.index, part.source.shape, lines)
        size = (1, part.outer, 1, part.inner)
        cut = self.replacement.cut(spread, (0, 0, part.at, 0), size, part.source)
        return self.shaped(cut, size, part.shape)

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


@dataclass(frozen=True, eq=False)
class Scores:
    """What a SOFTMAX over the stack compares."""

    op: Op
    of: tuple[Part, ...]


@dataclass(frozen=True)
class Share:
    """A part that a SOFTMAX over the stack computes of all: the one at `at`."""

    scores: Scores
    at: int
    shape: tuple[int, ...]


Part = Held | Cut | Number | Computed | Share


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
        if node.op in {"SOFTMAX", "TRANSPOSE"}:
            return self._of_shares(node, axis, rest)
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

    def _of_shares(self, node: Node, axis: int, rest: tuple[int, ...]) -> list[Part] | None:
        """Read a SOFTMAX over the stack, which is brought to the end for it and back."""
        softmax, last = node, len(rest)
        source = node.given()[0]
        if node.op == "TRANSPOSE":
            found = producer_of(self._model, source.index)
            there = found and producer_of(self._model, found.given()[0].index)
            if found is None or there is None or there.op != "TRANSPOSE":
                return None
            orders = [_order(one) for one in (there, node)]
            if orders[0] != orders[1] or orders[0] != _exchanged(axis, last):
                return None
            softmax, source = found, there.given()[0]
        elif axis != last:
            return None
        parts = self.read(source, axis) if softmax.op == "SOFTMAX" else None
        if parts is None or len(parts) > MOST_PARTS:
            return None
        scores = Scores(Op("SOFTMAX", softmax.version, copy.copy(softmax.options)), tuple(parts))
        return [Share(scores, at, rest) for at in range(len(parts))]


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
    if isinstance(part, Computed | Share):
        of = part.of if isinstance(part, Computed) else part.scores.of
        return [source for one in of for source in sources_of(one)]
    return [] if isinstance(part, Number) else [part.source]


def _order(node: Node) -> list[int] | None:
    """Return which dimensions a TRANSPOSE takes; None where that is computed."""
    order = node.given()[1]
    return None if order.data is None else [int(n) % order.size for n in stored_values(order)]


def _exchanged(one: int, other: int) -> list[int]:
    """Return the order in which a dimension and the last one change places."""
    order = list(range(other + 1))
    order[one], order[other] = other, one
    return order


def _is_forward(node: Node) -> bool:
    """Tell whether a slice does not turn a dimension about."""
    strides = node.given()[3] if node.op == "STRIDED_SLICE" else None
    if strides is None:
        return True
    return strides.data is not None and bool(np.all(stored_values(strides) > 0))

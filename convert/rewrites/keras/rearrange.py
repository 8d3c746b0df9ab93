"""Bring computed phases, or copies, to their places in a larger picture, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from portrait_tflite.convert.costs.costed_op import CostedOp, copied
from portrait_tflite.convert.graph import Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import depth_to_space

_MOST_CONCATENATED = 5  # XNNPACK's limit


@dataclass(frozen=True)
class Interleave:
    """Rearranges `[n, h, w, rows·columns·c]` to `[n, h·rows, w·columns, c]`.

    What DEPTH_TO_SPACE does where both factors are the same. Pictures and rows share a dimension,
    so that no tensor has more than four, which is the most that the GPU delegate takes.
    """

    rows: int
    columns: int

    def __call__(self, x: Any) -> Any:
        _, height, width, depth = x.shape
        cell = depth // self.rows
        x = keras.ops.reshape(x, (-1, width, self.rows, cell))
        x = keras.ops.transpose(x, (0, 2, 1, 3))  # [n·h, rows, w, columns·c]
        size = (height * self.rows, width * self.columns)
        return keras.ops.reshape(x, (-1, *size, cell // self.columns))


def interleave(name: str, source: Value, rows: int, columns: int) -> Value:
    """Rearrange `[1, h, w, rows·columns·c]` to `[1, h·rows, w·columns, c]`."""
    if rows == columns:
        return source if rows == 1 else depth_to_space(name, source, rows)
    if rows == 1:
        return beside(name, source, columns)
    return apply_op(name, Interleave(rows, columns), source)


def interleave_ops(
    size: tuple[int, int], channels: int, factors: tuple[int, int]
) -> list[CostedOp]:
    """List what `interleave` of cells of `size` becomes; `channels` are those of its output."""
    (height, width), (rows, columns) = size, factors
    if factors == (1, 1):
        return []
    reshape = CostedOp("RESHAPE", height, width, 1, rows * columns * channels)
    if rows == 1:
        return [reshape]
    if rows == columns:
        size = (height * rows, width * columns)
        return [CostedOp("DEPTH_TO_SPACE", *size, rows**2 * channels, channels, stride=rows)]
    run = columns * channels
    moved = CostedOp("TRANSPOSE", height * rows, width, run, run, stride=rows)
    return [reshape, moved, reshape]


def beside(name: str, source: Value, columns: int) -> Value:
    """Make `[1, h, w, columns·c]` `[1, h, w·columns, c]`, which moves nothing in memory."""
    if columns == 1:
        return source
    height, width, depth = source.shape[1:]
    return _reshaped(name, source, (height, width * columns, depth // columns))


def stack_rows(name: str, lines: Sequence[Value], columns: int) -> Value:
    """Put the rows of `lines` in turn: each `[1, h, w, columns·c]`.

    Whole rows move, which costs half of what a DEPTH_TO_SPACE does on arm64.

    Returns:
        `[1, h·len(lines), w·columns, c]`.
    """
    height, width, depth = lines[0].shape[1:]
    if len(lines) == 1:
        return beside(name, lines[0], columns)
    flat = {
        line: _reshaped(f"{name}_row_{i}", line, (height, 1, width * depth))
        for i, line in enumerate(dict.fromkeys(lines))
    }
    tall = join(f"{name}_rows", [flat[line] for line in lines], 2)
    return _reshaped(name, tall, (height * len(lines), width * columns, depth // columns))


def stack_rows_ops(
    size: tuple[int, int], depth: int, rows: int, different: int, columns: int
) -> list[CostedOp]:
    """List what `stack_rows` of lines `[1, *size, depth]` becomes; `different` are not equal."""
    height, width = size
    flat = CostedOp("RESHAPE", height, width, 1, depth)
    if rows == 1:
        return [flat] if columns > 1 else []
    whole = CostedOp("RESHAPE", height * rows, width, 1, depth)
    return [flat] * different + join_ops(rows, height, width * depth) + [whole]


def join(name: str, values: Sequence[Value], axis: int) -> Value:
    """Concatenate any number of tensors, at most five at once; equal groups are joined once."""
    level = list(values)
    while len(level) > _MOST_CONCATENATED:
        size = _group_size(len(level))
        groups = [tuple(level[i : i + size]) for i in range(0, len(level), size)]
        made = {
            group: _concatenated(f"{name}_{len(level)}_{i}", group, axis)
            for i, group in enumerate(dict.fromkeys(groups))
        }
        level = [made[group] for group in groups]
    return _concatenated(name, level, axis)


def join_ops(count: int, runs: int, length: int) -> list[CostedOp]:
    """List what `join` of `count` inputs becomes, each of `runs` pieces of `length` in a row.

    Of more than five they are taken to be equal.
    """
    ops: list[CostedOp] = []
    while count > _MOST_CONCATENATED:
        size = _group_size(count)
        ops += [copied(runs, length)] * size
        count, length = -(-count // size), length * size
    return ops + ([copied(runs, length)] * count if count > 1 else [])


def _group_size(count: int) -> int:
    sizes = (n for n in range(_MOST_CONCATENATED, 1, -1) if count % n == 0)
    return next(sizes, _MOST_CONCATENATED)


def _concatenated(name: str, values: Sequence[Value], axis: int) -> Value:
    if len(values) == 1:
        return values[0]
    return apply_op(name, keras.layers.Concatenate(axis=axis, name=name), list(values))


def _reshaped(name: str, source: Value, shape: tuple[int, ...]) -> Value:
    """Reshape all but the batch."""
    return apply_op(name, keras.layers.Reshape(shape, name=name), source)

"""PADV2 and MIRROR_PAD → PAD, or CONCATENATION of what the border holds: what XNNPACK has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.constants import stored_values
from portrait_tflite.convert.rewrites.flatbuffer.copies import join
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import form_of
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_MOST_LINES = 4  # of a mirrored border: each is a SLICE of its own
_REFLECT = 0  # the schema's number; the line at the edge is not repeated

Part = tuple[int, list[int]]  # a tensor and its shape
Borders = list[tuple[int, int]]  # of each dimension: lines before, lines behind
Lines = Callable[[Part, int, int, int], tuple[list[Part], list[Part]]]


class ConstantBorder(FlatbufferRewrite):
    """Add a border of one number by the ops that every delegate has.

    Given:
        y = PADV2(x; borders, c)    # constants

    Result:
        y = PAD(x; borders)         # where c stands for 0
        y = CONCATENATION(border, x, border)    # otherwise; once per dimension that grows
    """

    name = "constant_border"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a PADV2 whose number and borders are in the file."""
        if node.op != "PADV2" or len(node.given()) != 3:
            return None
        source, borders, number = node.given()
        if number.data is None or borders.data is None or -1 in source.shape:
            return RefusedOp(node.tensor, "its border is known only at run time")
        # The kernel writes the constant's integers as they stand.
        if form_of(source) != form_of(node.outputs[0]):
            return RefusedOp(node.tensor, "its tensors have different scales")
        value = stored_values(number)[0]
        return Match("the same border", (_read_borders(borders), value), sources=(source.index,))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the PAD or the copies."""
        borders, value = match.details
        source, amounts = node.given()[:2]
        built = Replacement(model, node)
        if value == source.zero_point:
            version = 2 if source.scale else 1
            built.op(Op("PAD", version, schema.PadOptionsT()), [source.index, amounts.index])
        else:
            _grow(built, source, borders, lambda *at: _filled(built, source, value, *at))
        built.finish()


class MirroredBorder(FlatbufferRewrite):
    """Mirror at the border by slices of one line.

    Given:
        y = MIRROR_PAD(x; borders)    # constants, at most 4 lines on a side

    Result:
        y = CONCATENATION(SLICE(x), …, x, SLICE(x), …)    # once per dimension that grows
    """

    name = "mirrored_border"

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a narrow mirrored border whose width is in the file."""
        if node.op != "MIRROR_PAD":
            return None
        source, amounts = node.given()
        if amounts.data is None or -1 in source.shape:
            return RefusedOp(node.tensor, "its border is known only at run time")
        if form_of(source) != form_of(node.outputs[0]):
            return RefusedOp(node.tensor, "its tensors have different scales")
        borders = _read_borders(amounts)
        if max(max(pair) for pair in borders) > _MOST_LINES:
            return RefusedOp(node.tensor, f"a mirrored border of more than {_MOST_LINES} lines")
        if not any(any(pair) for pair in borders):
            return None
        return Match("the same lines", borders)

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the slices and the concatenations."""
        source = node.given()[0]
        away = 1 if int(node.option("mode", _REFLECT)) == _REFLECT else 0
        built = Replacement(model, node)
        _grow(built, source, match.details, lambda *at: _mirrored(built, source, away, *at))
        built.finish()


def _grow(built: Replacement, source: Operand, borders: Borders, lines: Lines) -> None:
    """Concatenate a border along each dimension that grows; the last one writes the output."""
    part: Part = (source.index, list(source.shape))
    pending = [axis for axis, pair in enumerate(borders) if any(pair)]
    while pending:
        axis = pending.pop(0)
        first, last = lines(part, axis, *borders[axis])
        shape = list(part[1])
        shape[axis] += sum(borders[axis])
        output = built.tensor(shape, source) if pending else None
        join(built, [*first, part, *last], axis, source, output)
        part = (-1 if output is None else output, shape)


def _filled(
    built: Replacement, like: Operand, value: Any, part: Part, axis: int, before: int, behind: int
) -> tuple[list[Part], list[Part]]:
    """Give a block of one number for each side that has a border."""
    blocks = []
    for count in (before, behind):
        shape = list(part[1])
        shape[axis] = count
        data = np.full(shape, value, like.dtype)
        scale = [like.scale] if like.scale else []
        number = built.constant(data, scale, like.zero_point) if count else -1
        blocks.append([(number, shape)] if count else [])
    return blocks[0], blocks[1]


def _mirrored(
    built: Replacement, like: Operand, away: int, part: Part, axis: int, before: int, behind: int
) -> tuple[list[Part], list[Part]]:
    """Slice one line after the other; `away` is 1 where the line at the edge is not repeated."""
    last = part[1][axis] - 1
    first = [_line(built, like, part, axis, away + n) for n in reversed(range(before))]
    return first, [_line(built, like, part, axis, last - away - n) for n in range(behind)]


def _line(built: Replacement, like: Operand, part: Part, axis: int, position: int) -> Part:
    source, shape = part
    start, size = [0] * len(shape), list(shape)
    start[axis], size[axis] = position, 1
    return built.cut(source, start, size, like), size


def _read_borders(amounts: Operand) -> Borders:
    pairs = stored_values(amounts).reshape(amounts.shape)
    return [(int(before), int(behind)) for before, behind in pairs]

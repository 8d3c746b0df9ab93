"""Repeat tensors with the ops that every delegate has: CONCATENATION and RESHAPE."""

from __future__ import annotations

from collections.abc import Sequence

from portrait_tflite.convert.files.flatbuffer_nodes import Operand
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement

MOST_CONCATENATED = 5  # XNNPACK's limit


def join(
    built: Replacement,
    parts: Sequence[tuple[int, Sequence[int]]],
    axis: int,
    like: Operand,
    output: int | None = None,
) -> None:
    """Concatenate any number of tensors, at most five at once.

    Args:
        parts: Tensors with their shapes, the same one several times where it is repeated.
        like: Of which type and scale they are.
        output: What is written; by default the replaced op's own output.
    """
    level = [(number, list(shape)) for number, shape in parts]
    while len(level) > MOST_CONCATENATED:
        level = _grouped(built, level, axis, like)
    built.concatenate([number for number, _ in level], axis, like, output)


def upsample_by_rows(
    built: Replacement,
    source: int,
    like: Operand,
    factors: tuple[int, int],
    output: int | None = None,
) -> None:
    """Repeat every pixel: the columns side by side, then the rows below each other.

    On arm64 this costs half of what copies in the depth and DEPTH_TO_SPACE do: whole rows move.

    Args:
        source: `[1, h, w, c]`.
        factors: Of height and width.
        output: What is written; by default the replaced op's own output.
    """
    _, height, width, channels = like.shape
    down, right = factors
    if right > 1:
        # [1, h, w, right · c]
        wide = built.tensor((1, height, width, right * channels), like)
        join(built, [(source, like.shape)] * right, 3, like, wide)
        source = wide
    row = (1, height, 1, width * right * channels)
    rows = built.tensor(row, like)
    built.reshape(source, row, rows)
    if down > 1:
        tall = built.tensor((1, height, down, row[3]), like)
        join(built, [(rows, row)] * down, 2, like, tall)
        rows = tall
    built.reshape(rows, (1, height * down, width * right, channels), output)


def _grouped(
    built: Replacement, parts: list[tuple[int, list[int]]], axis: int, like: Operand
) -> list[tuple[int, list[int]]]:
    """Concatenate in groups; one that is the same as an earlier one is not made again."""
    count = len(parts)
    size = next((n for n in range(MOST_CONCATENATED, 1, -1) if count % n == 0), MOST_CONCATENATED)
    made: dict[tuple[int, ...], tuple[int, list[int]]] = {}
    grouped = []
    for start in range(0, count, size):
        group = parts[start : start + size]
        numbers = tuple(number for number, _ in group)
        if len(group) == 1:
            made[numbers] = group[0]
        elif numbers not in made:
            shape = list(group[0][1])
            shape[axis] = sum(part[axis] for _, part in group)
            made[numbers] = (built.tensor(shape, like), shape)
            built.concatenate(numbers, axis, like, made[numbers][0])
        grouped.append(made[numbers])
    return grouped

"""RESIZE_NEAREST_NEIGHBOR by no whole factor → copies, of which some rows and columns are cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer_nodes import Node, Operand
from portrait_tflite.convert.rewrites.flatbuffer.copies import (
    MOST_CONCATENATED,
    upsample_by_rows,
)
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)


@dataclass(frozen=True)
class _Axis:
    """How rows, or columns, are repeated.

    Attributes:
        count: How many there are.
        factor: How often the most repeated one is; first each is repeated so often.
        kept: First and last + 1 of the copies that are kept then, run by run.
    """

    count: int
    factor: int
    kept: tuple[tuple[int, int], ...]

    @property
    def whole(self) -> bool:
        """Whether no copy is cut."""
        return self.kept == ((0, self.count * self.factor),)


class UnevenNearest(FlatbufferRewrite):
    """Repeat pixels unevenly: as often as the most repeated one, less some rows and columns.

    Given:
        y = RESIZE_NEAREST_NEIGHBOR(x)    # x: [1, 8, 8, c], y: [1, 15, 15, c]

    Result:
        large = CONCATENATION, RESHAPE of x       # as NearestToCopies, [1, 16, 16, c]
        y = CONCATENATION(SLICE(large), SLICE(large))    # rows 0 to 6 and 8 to 15, then columns

    So decoders bring an odd size back that was halved and rounded up.
    """

    name = "uneven_nearest"
    helps_gpu = False  # which has the resize

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a nearest resize that enlarges by few uneven steps."""
        if node.op != "RESIZE_NEAREST_NEIGHBOR":
            return None
        source, target = node.given()[0], node.outputs[0]
        ranks = {len(source.shape), len(target.shape)}
        if ranks != {4} or not (source.sized and target.sized):
            return None
        if source.shape[0] != 1:
            return RefusedOp(node.tensor, "a batch of one is required")
        axes = [_axis(node, source.shape[n], target.shape[n]) for n in (1, 2)]
        if any(axis is None for axis in axes):
            return RefusedOp(node.tensor, "it leaves pixels out")
        rows, columns = (axis for axis in axes if axis is not None)
        if rows.whole and columns.whole:
            return None
        runs = max(len(rows.kept), len(columns.kept))
        if runs > MOST_CONCATENATED:
            return RefusedOp(node.tensor, f"it repeats pixels unevenly at {runs - 1} places")
        return Match("copies, of which some are cut", (rows, columns))

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the copies, then the rows, then the columns."""
        source, target = node.given()[0], node.outputs[0]
        rows, columns = match.details
        built = Replacement(model, node)
        _, height, width, channels = source.shape
        large = (1, height * rows.factor, width * columns.factor, channels)
        whole = built.tensor(large, source)
        upsample_by_rows(built, source.index, source, (rows.factor, columns.factor), whole)
        tall = (1, target.shape[1], *large[2:])
        last = target.index if columns.whole else None
        kept = _keep(built, whole, rows, 1, large, target, last)
        _keep(built, kept, columns, 2, tall, target, target.index)
        built.finish()


def _keep(
    built: Replacement,
    source: int,
    axis: _Axis,
    dimension: int,
    shape: tuple[int, ...],
    like: Operand,
    output: int | None,
) -> int:
    """Join the runs that are kept of rows (1) or columns (2)."""
    if axis.whole:
        return source
    parts = []
    for first, end in axis.kept:
        begin, size = [0] * len(shape), list(shape)
        begin[dimension], size[dimension] = first, end - first
        parts.append(built.cut(source, begin, size, like, output if len(axis.kept) == 1 else None))
    if len(parts) == 1:
        return parts[0]
    size = list(shape)
    size[dimension] = sum(end - first for first, end in axis.kept)
    joined = built.tensor(size, like) if output is None else output
    built.concatenate(parts, dimension, like, joined)
    return joined


def _axis(node: Node, count: int, wanted: int) -> _Axis | None:
    """Read how a resize repeats the rows of an axis; None where it leaves one out."""
    picked = _picked(node, count, wanted)
    repeated = np.bincount(picked, minlength=count)
    if repeated.min() < 1 or (np.diff(picked) < 0).any():
        return None
    factor = int(repeated.max())
    positions = [row * factor + n for row in range(count) for n in range(repeated[row])]
    breaks = np.flatnonzero(np.diff(positions) > 1) + 1
    runs = np.split(np.array(positions), breaks)
    return _Axis(count, factor, tuple((int(run[0]), int(run[-1]) + 1) for run in runs))


def _picked(node: Node, count: int, wanted: int) -> NDArray[np.int64]:
    """Return which row each row of the result is, as the built-in kernel computes it."""
    aligned = bool(node.option("alignCorners", False)) and wanted > 1
    offset = np.float32(0.5 if node.option("halfPixelCenters", False) else 0.0)
    scale = np.float32((count - 1) / (wanted - 1) if aligned else count / wanted)
    places = (np.arange(wanted, dtype=np.float32) + offset) * scale
    picked: NDArray[np.int64] = np.floor(places + aligned * np.float32(0.5)).astype(np.int64)
    return np.minimum(picked, count - 1)

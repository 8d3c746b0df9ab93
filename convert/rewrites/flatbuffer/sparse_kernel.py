"""A kernel that is zero but on a grid → the numbers on the grid, with a dilation."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from math import gcd

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import indices
from portrait_tflite.convert.files.flatbuffer_nodes import Node
from portrait_tflite.convert.rewrites.flatbuffer.constants import held_values
from portrait_tflite.convert.rewrites.flatbuffer.paddings import SAME, border
from portrait_tflite.convert.rewrites.flatbuffer.repeated import repeated_scales
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import (
    FlatbufferRewrite,
    Match,
    RefusedOp,
)
from portrait_tflite.convert.rewrites.flatbuffer.single_op import Op

_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_DTYPES = ("float32", "int8")


@dataclass(frozen=True)
class _Taps:
    """Those rows (or columns) of a kernel that stay: `first`, `first + step`, …."""

    first: int
    step: int
    count: int

    @property
    def picked(self) -> slice:
        """Their places in the kernel."""
        return slice(self.first, self.first + self.step * (self.count - 1) + 1, self.step)


class SparseKernel(FlatbufferRewrite):
    """Multiply no zeros that stand in every channel.

    Given:
        y = DEPTHWISE_CONV_2D(x, w)    # w: 9×9, zero but in every fourth row and column; or CONV_2D

    Result:
        y = DEPTHWISE_CONV_2D(x, w')   # w': 3×3, dilation 4

    As converters spell a dilated convolution that they cannot say. Zeros around what is left of the
    kernel go, too, where the padding adds the same rows and columns then.
    """

    name = "sparse_kernel"
    reorders_sums = True

    def match(self, model: schema.ModelT, node: Node) -> Match | RefusedOp | None:
        """Match a convolution whose kernel has rows or columns of zeros."""
        if node.op not in _OPS:
            return None
        source, weights = node.given()[:2]
        kernel = held_values(model, weights)
        if kernel is None or weights.dtype not in _DTYPES or weights.zero_point:
            return None
        held = [np.asarray(kernel.any(others)) for others in ((0, 2, 3), (0, 1, 3))]
        # All zeros, or nothing to leave out.
        if all(axis.all() for axis in held) or not kernel.any():
            return None
        if -1 in source.shape:
            return RefusedOp(node.tensor, "its size is known at run time only")
        taps = tuple(_taps(node, axis, held[axis]) for axis in (0, 1))
        sizes = tuple(axis.count for axis in taps)
        if sizes == weights.shape[1:3]:
            return RefusedOp(node.tensor, "its zeros stand on no grid, or its padding needs them")
        height, width = weights.shape[1:3]
        reason = f"{height}×{width} of which all but {sizes[0]}×{sizes[1]} are zeros"
        return Match(reason, (*taps, kernel), exact=source.dtype == "int8")

    def change(self, model: schema.ModelT, node: Node, match: Match) -> None:
        """Put the convolution with fewer taps."""
        rows, columns, kernel = match.details
        weights = node.given()[1]
        options = copy.copy(node.options)
        options.dilationHFactor = rows.step * _dilation(node, 0)
        options.dilationWFactor = columns.step * _dilation(node, 1)
        built = Replacement(model, node)
        channels_last = node.op == "DEPTHWISE_CONV_2D"
        scales = repeated_scales(model, weights, 1)
        picked = kernel[:, rows.picked, columns.picked]
        fewer = built.constant_like(picked, weights, scales, axis=3 if channels_last else 0)
        first, _, *others = indices(model.subgraphs[0].operators[node.index].inputs)
        version = max(node.version, 2)  # knows of dilations
        built.op(Op(node.op, version, options), [first, fewer, *others])
        built.finish()


def _taps(node: Node, axis: int, held: NDArray[np.bool_]) -> _Taps:
    """Return the taps of one axis that must stay, by where the kernel holds anything."""
    places = [int(place) for place in np.flatnonzero(held)]
    tight = _on_grid(places)
    if _fits(node, axis, tight, held.size):
        return tight
    return _on_grid(sorted({0, *places, held.size - 1}))


def _on_grid(places: list[int]) -> _Taps:
    step = gcd(*(place - places[0] for place in places)) or 1
    return _Taps(places[0], step, (places[-1] - places[0]) // step + 1)


def _fits(node: Node, axis: int, taps: _Taps, size: int) -> bool:
    """Tell whether the op pads so much less as there are fewer rows before the first."""
    if int(node.option("padding", SAME)) != SAME:
        return taps.first == 0 and taps.picked.stop == size
    shape = node.given()[0].shape
    dilation = _dilation(node, axis)
    stride = int(node.option(("strideH", "strideW")[axis], 1))
    before = border(shape[1 + axis], size, stride, dilation)[0]
    then = border(shape[1 + axis], taps.count, stride, dilation * taps.step)[0]
    return then == before - taps.first * dilation


def _dilation(node: Node, axis: int) -> int:
    return int(node.option(("dilationHFactor", "dilationWFactor")[axis], 1))

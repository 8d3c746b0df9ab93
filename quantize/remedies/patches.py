"""What the weights of a convolution are multiplied by: patches of the tensor that it reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from portrait_tflite.images import Floats
from portrait_tflite.quantize.remedies.linear_ops import LinearOp

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Axis:
    """One axis of a convolution: which input an output's tap reads."""

    size: int
    stride: int
    dilation: int
    before: int
    transposed: bool

    def source(self, places: Ints, tap: int) -> tuple[Ints, NDArray[np.bool_]]:
        """Return the positions that a tap reads, and where it reads the tensor at all."""
        if self.transposed:
            read, rest = np.divmod(places + self.before - tap, self.stride)
            inside = rest == 0
        else:
            read = places * self.stride + tap * self.dilation - self.before
            inside = np.ones(places.shape, np.bool_)
        inside &= (read >= 0) & (read < self.size)
        return np.where(inside, read, 0), inside


def sample_patches(op: LinearOp, source: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Cut patches out of the tensor `[1, h, w, i]` that a convolution reads.

    Returns:
        At random places `[count, kh * kw, i]`, zeros where the kernel reaches over the edge: for
        each output channel the sum of weights times patch is what the op gives there, less bias.
    """
    shape = op.node.outputs[0].shape
    weights = next(o.shape for o in op.node.given() if o.index == op.weights)
    places = [rng.integers(0, size, count) for size in shape[1:3]]
    axes = [_axis(op, axis, source.shape[axis], shape[axis], weights[axis]) for axis in (1, 2)]
    taps = []
    for y in range(weights[1]):
        rows, rows_inside = axes[0].source(places[0], y)
        for x in range(weights[2]):
            columns, columns_inside = axes[1].source(places[1], x)
            inside = rows_inside & columns_inside
            taps.append(np.where(inside[:, None], source[0, rows, columns], np.float32(0)))
    return np.stack(taps, axis=1)


def _axis(op: LinearOp, axis: int, given: int, made: int, kernel: int) -> _Axis:
    letter = "H" if axis == 1 else "W"
    stride = int(op.node.option(f"stride{letter}"))
    dilation = int(op.node.option(f"dilation{letter}Factor", 1))
    transposed = op.node.op == "TRANSPOSE_CONV"
    larger, smaller = (made, given) if transposed else (given, made)
    reach = (smaller - 1) * stride + (kernel - 1) * dilation + 1
    same = op.node.option("padding") == schema.Padding.SAME
    before = max(reach - larger, 0) // 2 if same else 0
    return _Axis(given, stride, dilation, before, transposed)

"""Upsampling convolutions as one low-resolution convolution and a depth-to-space.

Every output position of an upsampling by `s` is `s·m + a − skip`: cell `m`, phase `a`. What a phase
needs are taps at whole offsets around cell `m`, so all phases are channels of one convolution over
the cells (Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.costed_op import CostedOp
from portrait_tflite.convert.graph import Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import convolution, depth_to_space, pad
from portrait_tflite.convert.rewrites.keras.site import Array


@dataclass(frozen=True)
class Tap:
    """Phase `phase` reads the cell at `offset` with kernel row (or column) `index`."""

    phase: int
    offset: int
    index: int


@dataclass(frozen=True)
class Axis:
    """One axis of an upsampling convolution.

    Attributes:
        taps: What each phase reads.
        cells: Cells of the output; `cells · stride` positions are computed.
        length: Positions that the output has; the rest is cut off.
        source: Cells of the input.
        skip: Positions that are cut off before the first, the rest behind the last.
    """

    taps: tuple[Tap, ...]
    cells: int
    length: int
    source: int
    skip: int = 0

    @property
    def first(self) -> int:
        return min(tap.offset for tap in self.taps)

    @property
    def last(self) -> int:
        return max(tap.offset for tap in self.taps)

    @property
    def size(self) -> int:
        """Kernel size over the cells."""
        return self.last - self.first + 1

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros before the first and behind the last cell."""
        return -self.first, self.cells - self.source + self.last


def transposed_axis(source: int, kernel: int, stride: int, padding: str) -> Axis:
    """Describe one axis of a transposed convolution of `source` positions.

    The full result has position `stride·i + u` for input `i` and kernel index `u`; SAME cuts
    `max(kernel − stride, 0) // 2` positions at its start.
    """
    before = max(kernel - stride, 0) // 2 if padding == "same" else 0
    length = source * stride + (0 if padding == "same" else max(kernel - stride, 0))
    taps = tuple(
        Tap(phase, -distance, index)
        for phase in range(stride)
        for distance in range(-kernel, kernel + 1)
        if 0 <= (index := phase + before + stride * distance) < kernel
    )
    return Axis(taps, -(-length // stride), length, source)


def nearest_axis(source: int, kernel: int, stride: int) -> Axis:
    """Describe one axis of nearest upsampling by `stride`, then a SAME convolution of `kernel`.

    Cells may begin before the first position: behind ×2 a kernel of 3 reads three cells per cell
    of the output, but two where the cells are moved by one position.
    """
    axes = (_nearest_axis(source, kernel, stride, skip) for skip in range(stride))
    return min(axes, key=lambda axis: (axis.size, axis.skip))


def _nearest_axis(source: int, kernel: int, stride: int, skip: int) -> Axis:
    before = (kernel - 1) // 2 + skip
    taps = tuple(
        Tap(phase, (phase + index - before) // stride, index)
        for phase in range(stride)
        for index in range(kernel)
    )
    length = source * stride
    return Axis(taps, -(-(length + skip) // stride), length, source, skip)


def phase_ops(
    axes: tuple[Axis, Axis], channels_in: int, channels_out: int, stride: int
) -> tuple[CostedOp, ...]:
    """List what `phase_convolution` adds; the PAD is one step with the convolution."""
    rows, columns = axes
    phases = stride * stride * channels_out
    kernel = (rows.size, columns.size)
    ops = [CostedOp("CONV_2D", rows.cells, columns.cells, channels_in, phases, kernel)]
    if stride > 1:
        height, width = rows.cells * stride, columns.cells * stride
        ops.append(CostedOp("DEPTH_TO_SPACE", height, width, phases, channels_out, stride=stride))
    if any(axis.skip or axis.cells * stride > axis.length for axis in axes):
        ops.append(
            CostedOp("STRIDED_SLICE", rows.length, columns.length, channels_out, channels_out)
        )
    return tuple(ops)


def phase_kernel(kernel: Array, rows: Axis, columns: Axis, stride: int) -> Array:
    """Rearrange a kernel `[kh, kw, in, out]` to `[rows.size, columns.size, in, stride²·out]`."""
    inputs, outputs = kernel.shape[2:]
    shape = (rows.size, columns.size, inputs, stride, stride, outputs)
    phases = np.zeros(shape, np.float64)
    for row in rows.taps:
        for column in columns.taps:
            at = (row.offset - rows.first, column.offset - columns.first)
            phases[at[0], at[1], :, row.phase, column.phase] += kernel[row.index, column.index]
    return phases.reshape(rows.size, columns.size, inputs, stride * stride * outputs)


def phase_convolution(
    name: str,
    source: Value,
    kernel: Array,
    bias: Array | None,
    axes: tuple[Axis, Axis],
    stride: int,
    activation: Any,
) -> Value:
    """Add PAD, CONV_2D, DEPTH_TO_SPACE and a cut in place of an upsampling convolution.

    Args:
        source: `[1, h, w, in]`.
        kernel: `[kh, kw, in, out]`.
        bias: `[out]`.

    Returns:
        `[1, axes[0].length, axes[1].length, out]`.
    """
    rows, columns = axes
    same = all(axis.padding == _same_padding(axis) for axis in axes)
    if not same:
        source = pad(f"{name}_pad", source, rows.padding, columns.padding)
    cells = convolution(
        f"{name}_phases" if stride > 1 else name,
        source,
        phase_kernel(kernel, rows, columns, stride),
        None if bias is None else np.tile(bias, stride * stride),
        padding="same" if same else "valid",
        # Element-wise, so it may go before the rearrangement, where it fuses.
        activation=activation,
    )
    positions = cells if stride == 1 else depth_to_space(name, cells, stride)
    return _cut(f"{name}_cut", positions, axes, stride)


def _cut(name: str, value: Value, axes: tuple[Axis, Axis], stride: int) -> Value:
    """Cut off the positions that the first and the last cell compute too much."""
    extra = tuple((axis.skip, axis.cells * stride - axis.skip - axis.length) for axis in axes)
    if not any(map(any, extra)):
        return value
    return apply_op(name, keras.layers.Cropping2D(extra, name=name), value)


def _same_padding(axis: Axis) -> tuple[int, int]:
    """What padding="same" adds at stride 1."""
    return (axis.size - 1) // 2, axis.size // 2

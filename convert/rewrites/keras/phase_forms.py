"""The forms of an upsampling convolution that is computed at the low resolution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import (
    activate,
    convolution,
    depthwise,
    is_elementwise,
    pad,
)
from portrait_tflite.convert.rewrites.keras.rearrange import (
    interleave,
    interleave_ops,
    join,
    join_ops,
    stack_rows,
    stack_rows_ops,
)
from portrait_tflite.convert.rewrites.keras.site import Array, Build, Form
from portrait_tflite.convert.rewrites.phases import Axis, phase_kernel
from portrait_tflite.vocabulary import Delegate

# Row of the kernel by row of the picture: whole rows become channels for a moment, thousands of
# them. A CPU moves memory; how a GPU keeps such a tensor no table here knows.
_ROWS_ONLY = Delegate.XNNPACK


@dataclass(frozen=True)
class UpsamplingLayer:
    """An upsampling convolution, of whatever kind.

    Attributes:
        name: Of its layer.
        channels_in: Of its input.
        channels_out: Of its output.
        weights: Reads kernel `[kh, kw, in, out]` (depthwise: `[kh, kw, in, 1]`) and bias `[out]`.
        activation: Its activation function.
        depthwise: Whether each channel is convolved on its own; its phases are always apart.
    """

    name: str
    channels_in: int
    channels_out: int
    weights: Callable[[], tuple[Array, Array | None]]
    activation: Any = None
    depthwise: bool = False

    def kernel_ops(self, rows: Axis, columns: Axis) -> CostedOp:
        kind = "DEPTHWISE_CONV_2D" if self.depthwise else "CONV_2D"
        outputs = rows.phases * columns.phases * self.channels_out
        kernel = (rows.size, columns.size)
        return CostedOp(kind, rows.cells, columns.cells, self.channels_in, outputs, kernel)


def joint_form(name: str, layer: UpsamplingLayer, rows: Axis, columns: Axis) -> Form:
    """One convolution for all phases: `x → PAD → CONV_2D(s²·out) → DEPTH_TO_SPACE(s) → cut`."""
    return _form(name, layer, (rows,), (columns,))


def split_forms(layer: UpsamplingLayer, rows: Axis, columns: Axis, joint: Axis) -> tuple[Form, ...]:
    """Convolutions of fewer phases: none multiplies by the zeros that the others need.

    Args:
        layer: What is computed.
        rows: The axis of the rows, without skip.
        columns: The axis of the columns, without skip.
        joint: The axis of the columns with its phases together.

    Returns:
        `rows`, one convolution per phase of the rows, and `phases`, one per phase; equal phases
        are computed once. None where some phase reads nothing.
    """
    forms: list[Form] = []
    if rows.phases > 1 and rows.whole and not layer.depthwise:
        forms.append(_form("rows", layer, rows.split(), (joint,), only=_ROWS_ONLY))
    if (columns.phases > 1 or layer.depthwise) and rows.whole and columns.whole:
        forms.append(_form("phases", layer, rows.split(), columns.split(), only=_ROWS_ONLY))
    return tuple(forms)


def _form(
    name: str,
    layer: UpsamplingLayer,
    rows: tuple[Axis, ...],
    columns: tuple[Axis, ...],
    only: Delegate | None = None,
) -> Form:
    layout = _Layout(layer, rows, columns)
    return Form(name, layout.build(), ops=tuple(layout.ops()), only=only)


@dataclass(frozen=True)
class _Layout:
    """Which phases are computed together.

    Attributes:
        rows: One axis with all phases of the rows, or one for each.
        columns: Likewise.
    """

    layer: UpsamplingLayer
    rows: tuple[Axis, ...]
    columns: tuple[Axis, ...]

    @property
    def factors(self) -> tuple[int, int]:
        return sum(a.phases for a in self.rows), sum(a.phases for a in self.columns)

    @property
    def cells(self) -> tuple[int, int]:
        return self.rows[0].cells, self.columns[0].cells

    def build(self) -> Build:
        return lambda boundary: self._built(boundary[0])

    def ops(self) -> list[CostedOp]:
        """List what the phases become on the phone; a PAD is one step with its only convolution."""
        factors, channels = self.factors, self.layer.channels_out
        lines = {row.taps: row for row in self.rows}.values()
        parts = {column.taps: column for column in self.columns}.values()
        ops = [self.layer.kernel_ops(row, column) for row in lines for column in parts]
        ops += self._shared_pads([(row, column) for row in lines for column in parts])
        if len(self.rows) == 1 and self.rows[0].phases > 1:
            ops += interleave_ops(self.cells, channels, factors)
        else:
            if len(self.columns) > 1:
                ops += join_ops(factors[1], prod(self.cells), channels) * len(lines)
            depth = factors[1] * channels
            ops += stack_rows_ops(self.cells, depth, factors[0], len(lines), factors[1])
        if any(map(any, self._extra())):
            size = (self.rows[0].length, self.columns[0].length)
            ops.append(CostedOp("STRIDED_SLICE", *size, channels, channels))
        return ops

    def _shared_pads(self, parts: list[tuple[Axis, Axis]]) -> list[CostedOp]:
        """List the PADs of several convolutions: the converter makes one of equal ones."""
        pads = Counter(
            (row.padding, column.padding)
            for row, column in parts
            if not (row.pads_like_same and column.pads_like_same)
        )
        source, channels = (self.rows[0].source, self.columns[0].source), self.layer.channels_in
        return [
            CostedOp("PAD", source[0] + sum(rows), source[1] + sum(columns), channels, channels)
            for (rows, columns), readers in pads.items()
            if readers > 1 and any((*rows, *columns))
        ]

    def _built(self, source: Value) -> Value:
        name, activation = self.layer.name, self.layer.activation
        lines = self._lines(source)
        if len(lines) == 1 and self.rows[0].phases > 1:
            whole = interleave(name, lines[0], *self.factors)
        else:
            whole = stack_rows(name, lines, self.factors[1])
        extra = self._extra()
        if any(map(any, extra)):
            cut = keras.layers.Cropping2D(extra, name=f"{name}_cut")
            whole = apply_op(cut.name, cut, whole)
        return whole if is_elementwise(activation) else activate(f"{name}_act", whole, activation)

    def _lines(self, source: Value) -> list[Value]:
        """Compute `[1, h, w, columns·out]` per phase of the rows; equal ones once."""
        kernel, bias = self.layer.weights()
        made: dict[Any, Value] = {}
        lines = []
        for i, row in enumerate(self.rows):
            parts = []
            for j, column in enumerate(self.columns):
                key = (row.taps, column.taps)
                if key not in made:
                    made[key] = self._part(f"_{i}_{j}", source, kernel, bias, row, column)
                parts.append(made[key])
            line = (row.taps, "line")
            if line not in made:
                made[line] = join(f"{self.layer.name}_line_{i}", parts, 3)
            lines.append(made[line])
        return lines

    def _part(
        self, suffix: str, source: Value, kernel: Array, bias: Array | None, row: Axis, column: Axis
    ) -> Value:
        """Convolve for the phases of two axes."""
        layer = self.layer
        alone = self.factors == (1, 1)
        name = layer.name if alone else f"{layer.name}_phases"
        name = name if len(self.rows) * len(self.columns) == 1 else name + suffix
        same = row.pads_like_same and column.pads_like_same
        if not same:
            source = pad(f"{name}_pad", source, row.padding, column.padding)
        add = depthwise if layer.depthwise else convolution
        return add(
            name,
            source,
            phase_kernel(kernel, row, column),
            None if bias is None else np.tile(bias, row.phases * column.phases),
            padding="same" if same else "valid",
            dilation=(row.dilation, column.dilation),
            # Element-wise, it may go before the rearrangement, where it fuses.
            activation=layer.activation if is_elementwise(layer.activation) else None,
        )

    def _extra(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Positions that the first and the last cell compute too much, per axis."""
        rows, columns = self.factors
        return _extra(self.rows, rows), _extra(self.columns, columns)


def _extra(axes: Sequence[Axis], factor: int) -> tuple[int, int]:
    axis = axes[0]
    return axis.skip, axis.cells * factor - axis.skip - axis.length

"""A border of constants around an image: what zero padding comes to before a shift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.costs.costed_op import CostedOp, copied
from portrait_tflite.convert.graph import Value, apply_op
from portrait_tflite.convert.rewrites.keras.site import Activations, Array

# How far the border may lie beyond what a tensor holds, as a share of its range. An int8 tensor's
# step grows by as much; the requantization that is saved instead is as large as the whole step.
_WIDEST = 0.1

Pads = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, eq=False)
class _Framed:
    """Puts rows (axis 1) or columns (axis 2) of a constant per channel before and behind."""

    axis: int
    before: int
    after: int
    numbers: Array

    def __call__(self, x: Any) -> Any:
        pieces = [self._piece(x, self.before), x, self._piece(x, self.after)]
        given = [piece for piece in pieces if piece is not None]
        return keras.ops.concatenate(given, axis=self.axis)

    def _piece(self, x: Any, count: int) -> Any:
        if not count:
            return None
        shape = [*x.shape[:3], len(self.numbers)]
        shape[self.axis] = count
        # Broadcast here: in a float16 file it would become an op that no delegate has.
        piece = np.broadcast_to(self.numbers, shape)
        return keras.ops.convert_to_tensor(np.ascontiguousarray(piece), x.dtype)


def constant_border(name: str, source: Value, pads: Pads, numbers: Array) -> Value:
    """Frame an image by `numbers`, one per channel; a side without padding gets nothing.

    Given:  x → y of shape [1, top + h + bottom, left + w + right, c]
    Result: x → CONCATENATION(rows, x, rows) → CONCATENATION(columns, x, columns) → y

    Each copies whole rows: next to nothing beside an op on every element.
    """
    value = source
    for axis, label, (before, after) in zip((1, 2), ("rows", "columns"), pads, strict=True):
        if before or after:
            framed = _Framed(axis, before, after, np.asarray(numbers, np.float32))
            value = apply_op(f"{name}_border_{label}", framed, value)
    return value


def border_ops(source: Value, pads: Pads) -> tuple[CostedOp, ...]:
    """List what `constant_border` becomes."""
    height, width, channels = source.shape[1:]
    rows, columns = pads
    ops = [copied(1, count * width * channels) for count in (rows[0], height, rows[1])]
    framed = height + sum(rows)
    sides = [copied(framed, count * channels) for count in (columns[0], width, columns[1])]
    used = (*(ops if any(rows) else ()), *(sides if any(columns) else ()))
    return tuple(op for op in used if op.channels_out)


def beyond_range(numbers: Array) -> Callable[[Activations], str]:
    """Return a check that a border of `numbers` costs the framed tensor none of its int8 steps."""

    def check(activations: Activations) -> str:
        held = activations.inputs[0]
        low, high = float(held.min()), float(held.max())
        excess = max(low - float(numbers.min()), float(numbers.max()) - high, 0.0)
        # `not <=` rather than `>`: a NaN must fail too.
        if not excess <= _WIDEST * (high - low):
            return (
                f"its border would be {numbers.min():.3g} to {numbers.max():.3g}, on pictures the "
                f"tensor holds {low:.3g} to {high:.3g}: int8 steps would grow"
            )
        return ""

    return check

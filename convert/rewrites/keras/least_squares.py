"""Weights of a convolution that comes nearest to given outputs, by least squares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from portrait_tflite.convert.rewrites.keras.site import Array

# Positions that are fitted on: many times the unknowns, and neighbours are nearly alike.
_POSITIONS = 1 << 16
# Keeps the equations solvable where channels are dead; relative to their mean diagonal.
_RIDGE = 1e-5


@dataclass(frozen=True)
class Window:
    """What a convolution sees: its kernel, strides (both height × width) and Keras padding."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: str = "same"


@dataclass(frozen=True)
class Equations:
    """Normal equations of a convolution.

    Attributes:
        window: What it sees.
        gram: `[taps · in + 1, taps · in + 1]`: taps outside, channels inside, the bias last.
        moment: `[taps · in + 1, out]`.
    """

    window: Window
    gram: Array
    moment: Array

    def solve(self) -> tuple[Array, Array]:
        """Return kernel `[kh, kw, in, out]` and bias `[out]`."""
        solution = solve(self.gram, self.moment)
        return solution[:-1].reshape(*self.window.kernel, -1, self.moment.shape[1]), solution[-1]


def gather_equations(
    window: Window, samples: Iterable[tuple[Array, Array]], count: int
) -> Equations:
    """Gather the equations over pictures' activations.

    Args:
        window: Of the convolution.
        samples: Per picture its input `[h, w, in]` and what should come out, `[h', w', out]`.
        count: How many pictures there are.
    """
    rng = np.random.default_rng(0)
    gram: Array = np.zeros(())
    moment: Array = np.zeros(())
    for source, target in samples:
        chosen = _sampled(rng, target.shape[0] * target.shape[1], _POSITIONS // count)
        rows = _patches(source, window, np.divmod(chosen, target.shape[1]))
        gram = gram + rows.T @ rows
        moment = moment + rows.T @ target.reshape(-1, target.shape[2])[chosen]
    return Equations(window, gram.astype(np.float64), moment.astype(np.float64))


def solve(gram: Array, moment: Array) -> Array:
    """Solve normal equations `[..., n, n]` and `[..., n, out]`: dead channels get no weight."""
    size = gram.shape[-1]
    ridge = _RIDGE * np.trace(gram, axis1=-2, axis2=-1) / size
    solution: Array = np.linalg.solve(gram + ridge[..., None, None] * np.eye(size), moment)
    return solution


def _sampled(rng: np.random.Generator, count: int, most: int) -> Array:
    """Draw positions, or take all of them where there are few."""
    return np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))


def _patches(source: Array, window: Window, at: tuple[Array, Array]) -> Array:
    """Return what the window sees at output positions and a 1, `[positions, taps · in + 1]`."""
    margins = [
        _margin(size, kernel, stride) if window.padding == "same" else (0, 0)
        for size, kernel, stride in zip(source.shape, window.kernel, window.strides, strict=False)
    ]
    padded = np.pad(source, (*margins, (0, 0)))
    top, left = (place * stride for place, stride in zip(at, window.strides, strict=True))
    rows, columns = window.kernel
    taps = [padded[top + i, left + j] for i in range(rows) for j in range(columns)]
    return np.concatenate([*taps, np.ones((len(top), 1), np.float32)], axis=1)


def _margin(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how much SAME pads before and behind."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2

"""What is left of numbers that int8 has held."""

from __future__ import annotations

import numpy as np

from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.tensor_ranges import Range

_LOW, _HIGH = -128, 127


def rounded(values: Floats, scale: float, zero_point: int) -> Floats:
    """Round numbers to the steps of a tensor; what is beyond them becomes the end."""
    steps = np.clip(np.round(values / scale) + zero_point, _LOW, _HIGH)
    return np.asarray((steps - zero_point) * scale, np.float32)


def rounded_over(values: Floats, limits: Range) -> Floats:
    """Round numbers to the steps that a tensor over a range has; zero is one of them."""
    low, high = min(limits.low, 0.0), max(limits.high, 0.0)
    if low == high:
        return np.zeros_like(values)
    scale = (high - low) / (_HIGH - _LOW)
    return rounded(values, scale, round(_LOW - low / scale))

"""Values of a tensor: float to stored and back, and random ones for measuring."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import TensorInfo

Array = NDArray[Any]
Floats = NDArray[np.float32]

# Steps that a half may be off by: float32 moves those of −1…1 by 2e-5.
_TIE = 1e-3


def random_input(info: TensorInfo, rng: np.random.Generator) -> Array:
    """Draw an array for an input: the whole range of an integer, 0–1 of a float."""
    dtype = np.dtype(info.dtype)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, info.shape, dtype, endpoint=True)
    return rng.random(info.shape).astype(dtype)


def to_stored(values: Floats, info: TensorInfo) -> Array:
    """Convert floats to the tensor's dtype, rounding to the nearest step.

    All halves, to within 0.001 of a step, go to the same side: where zero has more steps on one
    side of it, to that one. So a picture's 256 bytes stay apart where each lies amid two steps, as
    those of −1…1 do in int8; half to even or away from zero would make one of two.
    """
    dtype = np.dtype(info.dtype)
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype)
    if not info.scale:
        raise UsageError(f"input {info.name!r} must be float or quantized. Received: {info.dtype}.")
    limits = np.iinfo(dtype)
    steps = values / np.float32(info.scale)
    up = limits.max - info.zero_point >= info.zero_point - limits.min
    steps += np.float32(0.5 + _TIE if up else 0.5 - _TIE)
    np.floor(steps, out=steps)
    steps += np.float32(info.zero_point)
    np.clip(steps, limits.min, limits.max, out=steps)
    stored: Array = steps.astype(dtype)
    return stored


def to_real(values: Array, info: TensorInfo) -> Floats:
    """Convert a tensor to floats by its scale and zero point; a float one is returned as it is."""
    if not info.scale:
        return values.astype(np.float32)
    return (values.astype(np.float32) - np.float32(info.zero_point)) * np.float32(info.scale)

"""Values of a tensor: float to stored and back, and random ones for measuring."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import TensorInfo

Array = NDArray[Any]
Floats = NDArray[np.float32]

# The largest float32 below 0.5: adding 0.5 itself would round 0.49999997 up to 1.
_ALMOST_HALF = np.nextafter(np.float32(0.5), np.float32(0))


def random_input(info: TensorInfo, rng: np.random.Generator) -> Array:
    """Draw an array for an input: the whole range of an integer, 0–1 of a float."""
    dtype = np.dtype(info.dtype)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, info.shape, dtype, endpoint=True)
    return rng.random(info.shape).astype(dtype)


def to_stored(values: Floats, info: TensorInfo) -> Array:
    """Convert floats to the tensor's dtype, rounding half away from zero as the runtime does."""
    dtype = np.dtype(info.dtype)
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype)
    if not info.scale:
        raise UsageError(f"input {info.name!r} must be float or quantized. Received: {info.dtype}.")
    limits = np.iinfo(dtype)
    steps = values / np.float32(info.scale)
    steps += np.copysign(_ALMOST_HALF, steps)
    np.trunc(steps, out=steps)
    steps += np.float32(info.zero_point)
    np.clip(steps, limits.min, limits.max, out=steps)
    stored: Array = steps.astype(dtype)
    return stored


def to_real(values: Array, info: TensorInfo) -> Floats:
    """Convert a tensor to floats by its scale and zero point; a float one is returned as it is."""
    if not info.scale:
        return values.astype(np.float32)
    return (values.astype(np.float32) - np.float32(info.zero_point)) * np.float32(info.scale)

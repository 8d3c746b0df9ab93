"""Background blur into which the person does not bleed."""

from __future__ import annotations

import math

import cv2
import numpy as np

from portrait_tflite.effects.matte import require_pair
from portrait_tflite.errors import UsageError
from portrait_tflite.images import Bytes, Floats

BLUR_STRENGTH = 0.025  # standard deviation of the blur, of the frame's short side
_EPSILON = 1 / 256  # weight of the pixel itself, for where no background is near
_FINEST = 2.0  # least standard deviation in cells, once the frame is reduced
_REACH = 3.0  # taps of the Gaussian, in standard deviations


def blur_background(frame: Bytes, matte: Floats, strength: float = BLUR_STRENGTH) -> Floats:
    """Blur a frame by its background pixels alone (normalized convolution, Knutsson 1993).

    With w = 1 − α, short side s, and σ = `strength`·s pixels, in this order:

    1. Cells of k × k pixels from the upper left corner, k = max(1, floor(σ / 2)); a cell's
       `A = Σ w·F / k²` per channel and `B = Σ w / k²`; pixels beyond the frame have w = 0.
    2. A and B are convolved by columns and rows with `g(i) = exp(−i² / (2·(σ/k)²))`, normalized
       to a sum of 1, i = −r … r, r = ceil(3·σ/k); cells beyond the last are 0.
    3. At pixel (x, y) both are read bilinearly at cell `((x + ½)/k − ½, (y + ½)/k − ½)`, kept
       within the first and the last cell, and `out = (A + ε·F) / (B + ε)`, ε = 1/256.

    Returns:
        `[h, w, 3]` floats of 0–255; what is behind the person in `blend`.

    Raises:
        UsageError: No frame with a matte of its size, or a strength that is not above 0.
    """
    require_pair(frame, matte)
    if not 0 < strength <= 1:
        raise UsageError(f"a blur strength above 0, up to 1, is required. Received: {strength:g}.")
    height, width = matte.shape
    sigma = strength * min(height, width)
    size = max(1, math.floor(sigma / _FINEST))
    colors = frame.astype(np.float32)
    cells = _reduce(np.dstack([colors, np.ones_like(matte)]) * (1 - matte)[..., None], size)
    taps = _gaussian(sigma / size)
    blurred = cv2.sepFilter2D(cells, -1, taps, taps, borderType=cv2.BORDER_CONSTANT)
    near = _enlarge(np.asarray(blurred, np.float32), size)[:height, :width]
    epsilon = np.float32(_EPSILON)
    return np.asarray((near[..., :3] + epsilon * colors) / (near[..., 3:] + epsilon), np.float32)


def _gaussian(sigma: float) -> Floats:
    reach = math.ceil(_REACH * sigma)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    return np.asarray(taps / taps.sum(), np.float32)


def _reduce(values: Floats, size: int) -> Floats:
    """Average cells of `size × size`; what lies beyond the edge counts as 0."""
    down, right = (-values.shape[axis] % size for axis in (0, 1))
    padded = cv2.copyMakeBorder(values, 0, down, 0, right, cv2.BORDER_CONSTANT, value=[0] * 4)
    cells = padded.shape[1] // size, padded.shape[0] // size
    return np.asarray(cv2.resize(padded, cells, interpolation=cv2.INTER_AREA), np.float32)


def _enlarge(cells: Floats, size: int) -> Floats:
    whole = cells.shape[1] * size, cells.shape[0] * size
    return np.asarray(cv2.resize(cells, whole, interpolation=cv2.INTER_LINEAR), np.float32)

"""Edge refinement: a coarse matte is drawn to the edges of its frame."""

from __future__ import annotations

import math

import cv2
import numpy as np

from portrait_tflite.effects.matte import require_pair
from portrait_tflite.images import Bytes, Floats

_REACH = 2  # taps to each side
_SPREAD = 1.5  # standard deviation over the taps
_COLOR = 0.1  # standard deviation over colours of 0–1
_LOW, _HIGH = 0.1, 0.9  # of the matte: what becomes 0 and 1


def edge_step(height: int, width: int, mask_height: int, mask_width: int) -> int:
    """Return the pixels between taps: a pixel of the mask, in pixels of the frame; 1 at least.

    `max(1, floor(max(height / mask_height, width / mask_width) + ½))`.
    """
    return max(1, math.floor(max(height / mask_height, width / mask_width) + 0.5))


def refine_edges(frame: Bytes, matte: Floats, step_px: int) -> Floats:
    """Average a matte over pixels of like colour, and raise its contrast.

    Joint bilateral upsampling (Kopf et al. 2007) of a matte that bilinear resizing brought to the
    frame's size. With the frame F in 0–1 and taps d ∈ {−2 … 2}², q = p + step·d, kept within the
    frame: `w(d) = exp(−|d|² / (2·1.5²)) · exp(−|F(q) − F(p)|² / (2·0.1²))`,
    `m = Σ w(d)·α(q) / Σ w(d)`; then `t = clamp((m − 0.1) / 0.8, 0, 1)`, `out = t²·(3 − 2·t)`.

    Args:
        step_px: Pixels between taps; see `edge_step`.

    Returns:
        `[h, w]` of 0–1.

    Raises:
        UsageError: No frame with a matte of its size.
    """
    require_pair(frame, matte)
    step = max(1, step_px)
    colors = _bordered(frame.astype(np.float32) / np.float32(255), step)
    alpha = _bordered(matte, step)
    height, width = matte.shape
    center = colors[_REACH * step :][:height, _REACH * step :][:, :width]
    total, weights = np.zeros_like(matte), np.zeros_like(matte)
    for down in range(-_REACH, _REACH + 1):
        for right in range(-_REACH, _REACH + 1):
            rows = slice((_REACH + down) * step, (_REACH + down) * step + height)
            columns = slice((_REACH + right) * step, (_REACH + right) * step + width)
            weight = _weight(down, right, colors[rows, columns] - center)
            total += weight * alpha[rows, columns]
            weights += weight
    return _smoothstep((total / weights - _LOW) / (_HIGH - _LOW))


def _bordered(values: Floats, step: int) -> Floats:
    beyond = _REACH * step
    bordered = cv2.copyMakeBorder(values, beyond, beyond, beyond, beyond, cv2.BORDER_REPLICATE)
    return np.asarray(bordered, np.float32)


def _weight(down: int, right: int, difference: Floats) -> Floats:
    near = (down**2 + right**2) / (2 * _SPREAD**2)
    unlike = np.square(difference).sum(axis=2) / np.float32(2 * _COLOR**2)
    return np.asarray(np.exp(-unlike - np.float32(near)), np.float32)


def _smoothstep(values: Floats) -> Floats:
    t = np.clip(values, 0, 1).astype(np.float32)
    return np.asarray(t * t * (3 - 2 * t), np.float32)

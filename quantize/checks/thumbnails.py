"""Pictures made very small, to tell which are nearly the same and how much a set varies."""

from __future__ import annotations

import cv2
import numpy as np

from portrait_tflite.images import Bytes, denormalize
from portrait_tflite.tensor_values import Floats
from portrait_tflite.vocabulary import ModelSpec

SIDE = 16
# Mean difference of two thumbnails, 0–1. Another JPEG quality or a resize moves them by less than
# half of it; see docs/calibration.md for how far apart different photographs are.
NEARLY_SAME = 0.02


def thumbnail(pixels: Bytes) -> Floats:
    """Shrink a picture `[h, w, channels]` of bytes to `[SIDE, SIDE, channels]` in 0–1."""
    return _shrunk(pixels.astype(np.float32)) / np.float32(255)


def thumbnails(inputs: Floats, spec: ModelSpec) -> Floats:
    """Shrink prepared pictures `[n, h, w, channels]` to `[n, SIDE, SIDE, channels]` in 0–1.

    What is no number becomes 0.
    """
    small = np.stack([_shrunk(one[..., : spec.channels.depth]) for one in inputs])
    unit = denormalize(small, spec) / np.float32(255)
    return np.asarray(np.nan_to_num(unit, posinf=0, neginf=0), np.float32)


def _shrunk(values: Floats) -> Floats:
    small = cv2.resize(values, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(SIDE, SIDE, -1)


def distances(some: Floats, others: Floats) -> Floats:
    """Return the mean difference of every thumbnail of `[n, …]` to every one of `[m, …]`."""
    flat = others.reshape(len(others), -1)
    rows = [np.abs(flat - one.ravel()).mean(axis=1) for one in some]
    return np.asarray(rows, np.float32).reshape(len(some), len(others))


def near_copies(apart: Floats) -> list[tuple[int, int]]:
    """List the pictures that are nearly the same as an earlier one, each with the first such.

    Args:
        apart: How far each is from each, `[n, n]`.
    """
    near = np.tril(apart < NEARLY_SAME, -1)
    return [(int(later), int(near[later].argmax())) for later in np.flatnonzero(near.any(axis=1))]


def features(small: Floats) -> Floats:
    """Describe thumbnails `[n, SIDE, SIDE, 3]` by what lies where, and by their colours.

    Returns:
        `[n, d]`: a layout of 4×4, and mean and spread of each colour, which weigh as much.
    """
    count, side = len(small), SIDE // 4
    layout = small.reshape(count, 4, side, 4, side, 3).mean(axis=(2, 4)).reshape(count, -1)
    colours = np.concatenate([small.mean(axis=(1, 2)), small.std(axis=(1, 2))], axis=1)
    weight = np.sqrt(layout.shape[1] / colours.shape[1])
    return np.concatenate([layout, colours * np.float32(weight)], axis=1).astype(np.float32)

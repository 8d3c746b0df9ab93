"""Frames and mattes that belong together."""

from __future__ import annotations

import numpy as np

from portrait_tflite.errors import UsageError
from portrait_tflite.images import Bytes, Floats


def require_pair(frame: Bytes, matte: Floats) -> None:
    """Refuse what is no RGB frame `[h, w, 3]` with a matte `[h, w]` of its size.

    Raises:
        UsageError: Other shapes or dtypes.
    """
    if (
        frame.ndim != 3
        or frame.shape[2] != 3
        or frame.shape[:2] != matte.shape
        or 0 in frame.shape
        or frame.dtype != np.uint8
        or matte.dtype != np.float32
    ):
        raise UsageError(
            "a frame [h, w, 3] of uint8 and a matte [h, w] of float32 are required. Received: "
            f"{list(frame.shape)} of {frame.dtype} and {list(matte.shape)} of {matte.dtype}. "
            "Restore the mask to the frame's size first."
        )


def to_bytes(values: Floats) -> Bytes:
    """Round floats of 0–255 half up: `floor(x + 0.5)`, kept within 0 and 255."""
    return np.asarray(np.clip(np.floor(values + np.float32(0.5)), 0, 255), np.uint8)

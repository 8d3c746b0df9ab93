"""Temporal smoothing of masks: what flickers is held, what moves is followed."""

from __future__ import annotations

import numpy as np

from portrait_tflite.errors import UsageError
from portrait_tflite.images import Floats

_HELD = 0.7  # share of the last mask where nothing changes
_MOTION = 0.5  # change from which on nothing is held


def smooth(mask: Floats, previous: Floats | None) -> Floats:
    """Smooth a video's mask by what this function gave for the frame before.

    Per pixel, with mask m and previous p: `k = 0.7 · max(0, 1 − |p − m| / 0.5)`,
    `out = m + k·(p − m)`. A change of half or more goes through at once, so that motion leaves no
    trail. It is done on the network's mask, before it is restored to the frame's size.

    Args:
        mask: `[h, w]` of 0–1.
        previous: The same of the frame before; None for the first one, or after a rotation.

    Raises:
        UsageError: The shapes differ.
    """
    if previous is None:
        return mask
    if mask.shape != previous.shape:
        raise UsageError(
            f"two masks of one size are required. Received: {list(mask.shape)} and "
            f"{list(previous.shape)}. Begin anew with None where the size changes."
        )
    change = previous - mask
    held = np.float32(_HELD) * np.maximum(0, 1 - np.abs(change) / np.float32(_MOTION))
    return np.asarray(mask + held * change, np.float32)

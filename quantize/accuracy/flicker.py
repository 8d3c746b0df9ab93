"""Flicker: how much masks change from frame to frame where the picture stays the same."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.images import Floats, denormalize
from portrait_tflite.metrics import threshold
from portrait_tflite.vocabulary import Flicker, ModelSpec

# Difference of two frames, of 255, up to which a pixel is still: noise and compression stay below.
_STILL = 6.0
_NOISE_PX = 5  # width of the window that noise is averaged in


class FlickerMeter:
    """Takes the frames of a video in turn, each with every mask of it."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._picture: Floats | None = None
        self._masks: dict[str, NDArray[np.bool_]] = {}
        self._changed: dict[str, list[float]] = {}

    def add(self, inputs: Floats, masks: Mapping[str, Floats]) -> None:
        """Take the next frame.

        Args:
            inputs: What the network was fed with, `[1, h, w, c]`.
            masks: `[mask_h, mask_w]` each, by the names of the networks.
        """
        picture = _smooth(inputs[0, ..., : self._spec.channels.depth], self._spec)
        binary = {name: threshold(np.nan_to_num(mask)) for name, mask in masks.items()}
        if self._picture is not None:
            still = np.abs(picture - self._picture).max(axis=-1) <= _STILL
            for name, mask in binary.items():
                self._compare(name, still, mask)
        self._picture, self._masks = picture, binary

    def flicker(self, reference: str, name: str) -> Flicker | None:
        """Return how a network flickers beside the reference; None where nothing was still."""
        if not self._changed.get(name):
            return None
        mine, theirs = self._changed[name], self._changed[reference]
        return Flicker(len(mine), float(np.mean(theirs)), float(np.mean(mine)))

    def _compare(self, name: str, still: NDArray[np.bool_], mask: NDArray[np.bool_]) -> None:
        height, width = mask.shape
        at_mask = cv2.resize(still.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        where = at_mask.astype(bool)
        if where.any():
            changed = mask[where] != self._masks[name][where]
            self._changed.setdefault(name, []).append(float(np.mean(changed)))


def _smooth(picture: Floats, spec: ModelSpec) -> Floats:
    pixels = denormalize(picture, spec)
    smooth = cv2.blur(pixels, (_NOISE_PX, _NOISE_PX)).reshape(pixels.shape)
    return np.asarray(smooth, np.float32)

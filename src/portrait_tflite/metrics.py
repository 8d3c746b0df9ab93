"""Metrics between two masks, on numpy arrays.

A mask is `[height, width]`: probabilities, of which 0.5 and more is person, or booleans. Every
metric is symmetric in its two masks and averaged over images by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5
_FINE = 0.005  # of the diagonal
_FINE_SIDE = 800  # pixels; a disc for the tolerance on more takes tens of milliseconds

_SQUARE = np.ones((2, 2), np.uint8)

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Mask = Floats | NDArray[np.bool_]


@dataclass(frozen=True)
class Overlap:
    """How two binary masks overlap, in pixels."""

    intersection: int
    union: int
    pixels: int

    @property
    def iou(self) -> float:
        """Foreground intersection over union, 0–1; 1 where both masks are empty."""
        return self.intersection / self.union if self.union else 1.0

    @property
    def mean_iou(self) -> float:
        """Mean of foreground and background IoU, 0–1."""
        # Outside both masks lies the background's intersection, outside of their own
        # intersection its union.
        intersection, union = self.pixels - self.union, self.pixels - self.intersection
        return (self.iou + (intersection / union if union else 1.0)) / 2


def overlap(a: Mask, b: Mask) -> Overlap:
    """Count where two masks of the same shape agree.

    Raises:
        ValueError: The shapes differ.
    """
    one, other = _binary(a, b)
    intersection = cv2.countNonZero(cv2.bitwise_and(one, other))
    union = cv2.countNonZero(one) + cv2.countNonZero(other) - intersection
    return Overlap(intersection, union, one.size)


def iou(a: Mask, b: Mask) -> float:
    """Foreground IoU (Jaccard index) of two masks, 0–1; 1 where both are empty."""
    return overlap(a, b).iou


def mean_iou(a: Mask, b: Mask) -> float:
    """Mean of foreground and background IoU, 0–1 (Long et al. 2015, section 5, two classes)."""
    return overlap(a, b).mean_iou


def boundary_f(a: Mask, b: Mask, tolerance_px: int = 2) -> float:
    """F measure of two masks' boundaries (Martin et al. 2004; Perazzi et al. 2016, section 4.1).

    A boundary pixel is matched when the other boundary passes within `tolerance_px` of it. As in
    Perazzi et al., the bipartite matching is approximated by dilation with a disc.

    Args:
        tolerance_px: Radius of the disc in pixels, 0 or more.

    Returns:
        Harmonic mean of the two shares of matched pixels, 0–1; 1 where neither mask has a boundary.

    Raises:
        ValueError: The shapes differ.
    """
    one, other = (_boundary(mask) for mask in _binary(a, b))
    count_one, count_other = cv2.countNonZero(one), cv2.countNonZero(other)
    if not count_one or not count_other:
        return 1.0 if count_one == count_other else 0.0
    disc = _disc(tolerance_px)
    precision = cv2.countNonZero(cv2.bitwise_and(one, cv2.dilate(other, disc))) / count_one
    recall = cv2.countNonZero(cv2.bitwise_and(other, cv2.dilate(one, disc))) / count_other
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0


def boundary_f_fine(a: Mask, b: Mask) -> float:
    """F measure of two masks' boundaries within 0.5 % of the picture's diagonal; see `boundary_f`.

    Masks of pictures longer than `_FINE_SIDE` are made smaller first: the tolerance is relative,
    and shrinks with them.
    """
    one, other = (_at_most(mask, _FINE_SIDE) for mask in _binary(a, b))
    diagonal = float(np.hypot(*one.shape))
    return boundary_f(one.astype(bool), other.astype(bool), max(1, round(_FINE * diagonal)))


def _at_most(mask: Bytes, side: int) -> Bytes:
    scale = side / max(mask.shape)
    if scale >= 1:
        return mask
    size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def mae(a: Floats, b: Floats) -> float:
    """Mean absolute difference of two soft masks of the same shape, 0–1."""
    if a.shape != b.shape:
        raise ValueError(f"two masks of one shape are required. Received: {a.shape}, {b.shape}.")
    return cv2.norm(a, b, cv2.NORM_L1) / a.size


def threshold(mask: Mask) -> NDArray[np.bool_]:
    """Turn a soft mask of any shape into a binary one; a binary one stays itself."""
    return np.asarray(mask if mask.dtype == np.bool_ else mask >= THRESHOLD, np.bool_)


def _binary(a: Mask, b: Mask) -> tuple[Bytes, Bytes]:
    """Return both masks as bytes of 0 and 1, on which OpenCV counts several times faster."""
    if a.shape != b.shape:
        raise ValueError(f"two masks of one shape are required. Received: {a.shape}, {b.shape}.")
    return threshold(a).view(np.uint8), threshold(b).view(np.uint8)


def _boundary(mask: Bytes) -> Bytes:
    """Mark pixels that differ from their right, lower or lower right neighbour with 1.

    The frame of the picture is no boundary: a person cut off by it has none there.
    """
    # Those are the 2×2 squares, named by their upper left pixel, that hold a 0 and a 1.
    highest = cv2.dilate(mask, _SQUARE, anchor=(0, 0))
    return np.asarray(highest - cv2.erode(mask, _SQUARE, anchor=(0, 0)), np.uint8)


@cache
def _disc(radius: int) -> Bytes:
    """Structuring element of all pixels within `radius` of its centre."""
    offsets = np.arange(-radius, radius + 1)
    return (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.uint8)

"""Strips of pictures: what the network saw, both masks, and where they differ.

They are embedded in the report as small images; no picture is written anywhere else.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.images import Bytes, Floats
from portrait_tflite.metrics import threshold

# Six strips of this size are a few hundred kB in the report.
LONG_SIDE = 256

# Red, green, blue. Orange and sky blue are told apart with every kind of colour vision
# (Okabe and Ito, "Color Universal Design", 2008).
BOTH_BACKGROUND = (28, 32, 38)
BOTH_PERSON = (112, 118, 126)
LOST = (255, 176, 0)
GAINED = (86, 180, 233)

_JPEG_QUALITY = 85


@dataclass(frozen=True, eq=False)
class Strip:
    """One picture with the reference's mask and a variant's.

    Attributes:
        image: Name of the picture.
        kind: Whether the variant loses most on it, or about as much as on most.
        variant: Whose mask `mask` is.
        picture: RGB bytes `[h, w, 3]`, at most `LONG_SIDE` long.
        float_mask: Soft mask `[h, w]` of the reference, 0–1, at the picture's size.
        mask: The variant's.
        iou_float: IoU of the reference, at the label's resolution.
        iou: IoU of the variant; without labels its agreement with the reference.
    """

    image: str
    kind: Literal["worst", "median"]
    variant: str
    picture: Bytes
    float_mask: Floats
    mask: Floats
    iou_float: float
    iou: float


@dataclass(frozen=True)
class Panel:
    """One embedded image: `uri` holds all of it, `alt` says in words what is on it."""

    label: str
    alt: str
    uri: str
    width: int
    height: int


def panels(strip: Strip, reference: str) -> tuple[Panel, ...]:
    """Draw a strip's four images.

    Args:
        reference: What the report calls the owner of `float_mask`.
    """
    size = strip.picture.shape[1], strip.picture.shape[0]
    share = 100 * differing(strip)
    images = (
        ("input", f"the picture {strip.image}", _jpeg(strip.picture)),
        (reference, f"mask of the {reference}", _png(_gray(strip.float_mask))),
        (strip.variant, f"mask of {strip.variant}", _png(_gray(strip.mask))),
        (
            "difference",
            f"where the two masks differ: {share:.2f} % of the picture",
            _png(difference(strip)),
        ),
    )
    return tuple(Panel(label, alt, uri, *size) for label, alt, uri in images)


def difference(strip: Strip) -> Bytes:
    """Colour `[h, w, 3]` by who sees a person: both, none, or only one of the two (RGB).

    Where they differ is drawn a pixel wider on every side: along a boundary it is one pixel mostly,
    which nobody sees.
    """
    before, after = threshold(strip.float_mask), threshold(strip.mask)
    agreed = np.array([BOTH_BACKGROUND, BOTH_PERSON], np.uint8)[before.astype(np.uint8)]
    for colour, only in ((LOST, before & ~after), (GAINED, after & ~before)):
        wider = cv2.dilate(only.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        agreed[wider & (before == after)] = colour
        agreed[only] = colour
    return np.asarray(agreed, np.uint8)


def differing(strip: Strip) -> float:
    """Return the share of pixels, 0–1, that only one of the two masks takes for a person."""
    return float(np.mean(threshold(strip.float_mask) != threshold(strip.mask)))


def _gray(mask: Floats) -> Bytes:
    return np.asarray(np.clip(mask, 0, 1) * 255 + 0.5, np.uint8)


def _jpeg(picture: Bytes) -> str:
    return _encode(picture, ".jpg", "image/jpeg", [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def _png(image: Bytes) -> str:
    return _encode(image, ".png", "image/png", [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _encode(image: NDArray[np.uint8], suffix: str, kind: str, options: list[int]) -> str:
    ordered = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    _, data = cv2.imencode(suffix, ordered, options)
    return f"data:{kind};base64,{base64.b64encode(data.tobytes()).decode('ascii')}"

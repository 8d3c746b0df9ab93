"""Alpha blending of a frame with what is to be behind the person."""

from __future__ import annotations

import numpy as np

from portrait_tflite.effects.blur import BLUR_STRENGTH, blur_background
from portrait_tflite.effects.matte import require_pair, to_bytes
from portrait_tflite.errors import UsageError
from portrait_tflite.images import Bytes, Floats, fit_image
from portrait_tflite.vocabulary import Effect, Fit, ModelSpec

GREEN = (0, 177, 64)  # RGB of chroma-key green


def blend(frame: Bytes, matte: Floats, behind: Bytes | Floats) -> Bytes:
    """Put the person of a frame before something else.

    Per pixel and channel, with frame F, matte α and what is behind B, in 0–255:
    `out = floor(α·F + (1 − α)·B + 0.5)`. The stored numbers are blended, as screens' shaders do
    and not light.

    Args:
        behind: `[h, w, 3]`, or `[3]` for one colour.

    Raises:
        UsageError: No frame with a matte of its size.
    """
    require_pair(frame, matte)
    back = np.asarray(behind, np.float32)
    return to_bytes(back + matte[..., None] * (frame.astype(np.float32) - back))


def show_mask(matte: Floats) -> Bytes:
    """Show a matte in gray `[h, w, 3]`: `floor(255·α + 0.5)` in every channel."""
    return np.repeat(to_bytes(matte * np.float32(255))[..., None], 3, axis=2)


def add_alpha(frame: Bytes, matte: Floats) -> Bytes:
    """Cut the person out: RGBA `[h, w, 4]`, straight alpha `floor(255·α + 0.5)`, RGB unchanged."""
    require_pair(frame, matte)
    return np.dstack([frame, to_bytes(matte * np.float32(255))])


def fill_color(frame: Bytes, matte: Floats, color: tuple[int, int, int] = GREEN) -> Bytes:
    """Put the person before one RGB colour."""
    return blend(frame, matte, np.array(color, np.uint8))


def cover(picture: Bytes, height: int, width: int) -> Bytes:
    """Bring a background `[h, w, 3]` to a frame's size: its middle is cropped, then resized.

    The same geometry and bilinear sampling as the fit `crop` of a network's input.
    """
    return fit_image(picture, ModelSpec(height, width, fit=Fit.CROP))


def apply_effect(
    effect: Effect,
    frame: Bytes,
    matte: Floats,
    *,
    color: tuple[int, int, int] = GREEN,
    background: Bytes | None = None,
    strength: float = BLUR_STRENGTH,
) -> Bytes:
    """Apply an effect by its name.

    Args:
        color: For `color`.
        background: For `background`, a picture of any size.
        strength: For `blur`; see `blur_background`.

    Returns:
        RGB `[h, w, 3]`; RGBA for `cutout`.

    Raises:
        UsageError: The shapes do not fit, or there is no background picture for `background`.
    """
    require_pair(frame, matte)
    if effect is Effect.MASK:
        return show_mask(matte)
    if effect is Effect.CUTOUT:
        return add_alpha(frame, matte)
    if effect is Effect.BLUR:
        return blend(frame, matte, blur_background(frame, matte, strength))
    if effect is Effect.COLOR:
        return fill_color(frame, matte, color)
    if background is None:
        raise UsageError("a background picture is required for the effect background.")
    return blend(frame, matte, cover(background, *frame.shape[:2]))

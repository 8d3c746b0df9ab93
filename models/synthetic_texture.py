"""Noise, patterns and outlines of which drawn portraits are made."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.images import Bytes, Floats

Points = NDArray[np.float64]
Colour = tuple[float, float, float]  # RGB, 0–255

_SHIFT = 4  # OpenCV's fixed point: 1/16 of a pixel
_ALIASING = cv2.LINE_AA

# Hue (0–6: red, yellow, green, cyan, blue, magenta), its spread, and how often it comes.
_HUES = ((0.5, 0.3), (3.5, 0.4), (1.8, 0.4), (3.0, 2.0))
_HUE_SHARES = (0.5, 0.25, 0.15, 0.1)


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, *, coarsest: int = 2, decay: float = 1.0
) -> Floats:
    """Return noise `[height, width]` of mean 0 and deviation 1, as rough as photographs.

    Args:
        coarsest: Cells along the longer side in the first octave.
        decay: Deviation of an octave against that of the one before; 1 gives the power spectrum
            1/f² of natural images (Field 1987), less is smoother.
    """
    total = np.zeros((height, width), np.float32)
    cells, weight, longest = coarsest, 1.0, max(height, width)
    while cells < longest:
        rows = max(2, round(cells * height / longest))
        columns = max(2, round(cells * width / longest))
        grid = rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(weight)
        resized = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
        total += np.asarray(resized, np.float32)
        cells, weight = cells * 2, weight * decay
    return np.asarray((total - total.mean()) / max(float(total.std()), 1e-6), np.float32)


def streaks(rng: np.random.Generator, height: int, width: int, angle: float, fine: float) -> Floats:
    """Return noise `[height, width]` drawn out along `angle` (degrees from the vertical).

    Args:
        fine: Streaks per pixel across, at most 1.
    """
    side = int(1.5 * max(height, width)) + 2
    grid = rng.standard_normal((10, max(4, int(side * fine))), dtype=np.float32)
    coarse = rng.standard_normal((5, max(4, side // 12)), dtype=np.float32)
    field = cv2.resize(grid, (side, side), interpolation=cv2.INTER_LINEAR)
    field = cv2.add(field, cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR))
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
    shift = np.array([[0, 0, (side - width) / 2], [0, 0, (side - height) / 2]])
    turned = cv2.warpAffine(field, turn - shift, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.float32)


def ellipse(
    centre: tuple[float, float], radii: tuple[float, float], *, angle: float = 0, points: int = 40
) -> Points:
    """Return the outline of an ellipse, `[points, 2]` as (x, y); `angle` in degrees."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    rx, ry = radii
    turn = np.array([[rx * cos, rx * sin], [-ry * sin, ry * cos]])
    return np.asarray(_circle(points) @ turn + np.array(centre), np.float64)


@functools.cache
def _circle(points: int) -> Points:
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def rectangle(centre: tuple[float, float], rx: float, ry: float, angle: float = 0) -> Points:
    """Return the corners of a rectangle of half sides `rx`, `ry`; `angle` in degrees."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    corners = np.array([[-rx, -ry], [rx, -ry], [rx, ry], [-rx, ry]])
    turned = corners @ np.array([[cos, sin], [-sin, cos]]) + np.array(centre)
    return np.asarray(turned, np.float64)


def roughen(rng: np.random.Generator, outline: Points, amount: float) -> Points:
    """Move every point of an outline from or to its middle by about `amount` of its distance."""
    middle = outline.mean(axis=0)
    raw = rng.normal(0, 1, len(outline))
    smooth = (raw + np.roll(raw, 1) + np.roll(raw, -1)) / 2
    moved = middle + (outline - middle) * (1 + amount * smooth)[:, None]
    return np.asarray(moved, np.float64)


def smooth_curve(corners: Points, per_side: int = 8) -> Points:
    """Round a closed polygon `[n, 2]` by Chaikin's corner cutting."""
    rounds = max(1, int(np.log2(per_side)))
    for _ in range(rounds):
        after = np.roll(corners, -1, axis=0)
        cut = np.stack([0.75 * corners + 0.25 * after, 0.25 * corners + 0.75 * after], axis=1)
        corners = cut.reshape(-1, 2)
    return corners


def gradient(
    rng: np.random.Generator, height: int, width: int, first: Colour, second: Colour
) -> Bytes:
    """Return a ramp between two colours in some direction, RGB `[height, width, 3]`."""
    # A ramp is smooth, so few corners of it are computed and OpenCV draws the rest.
    x, y = np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8))
    angle = rng.uniform(0, 2 * np.pi)
    share = np.clip((x * np.cos(angle) + y * np.sin(angle) + 1) / 2, 0, 1)[..., None]
    ramp = (np.array(first) * (1 - share) + np.array(second) * share).astype(np.uint8)
    return np.asarray(cv2.resize(ramp, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def fill(canvas: Bytes, outline: Points, colour: Colour) -> None:
    """Fill an outline on `canvas` `[h, w, 3]`, its edge antialiased."""
    fixed = np.round(outline * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], colour, _ALIASING, _SHIFT)


def stroke(canvas: Bytes, path: Points, colour: Colour, thickness: float, closed: bool) -> None:
    """Draw a line along `path`, antialiased, at least one pixel thick."""
    fixed = np.round(path * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(canvas, [fixed], closed, colour, max(1, round(thickness)), _ALIASING, _SHIFT)


def random_colour(
    rng: np.random.Generator, *, saturation: float = 0.5, bright: tuple[float, float] = (0.1, 0.95)
) -> Colour:
    """Draw an RGB colour, 0–255: warm, blue or green as most things are, seldom a strong one."""
    hue = rng.normal(*_HUES[rng.choice(len(_HUES), p=_HUE_SHARES)])
    strength = min(1.0, 1.3 * saturation * float(rng.beta(1.0, 2.4)))
    value = 255 * rng.uniform(*bright)
    ramp = (min(1.0, max(0.0, abs((hue + turn) % 6 - 3) - 1)) for turn in (0, 4, 2))
    red, green, blue = (value * (1 - strength * (1 - share)) for share in ramp)
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return `first` with `share` (0–1) of `second`."""
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return red, green, blue


def scale_colour(colour: Colour, factor: float) -> Colour:
    """Return a lighter or darker colour."""
    red, green, blue = (min(255.0, factor * c) for c in colour)
    return red, green, blue

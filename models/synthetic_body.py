"""Neck, shoulders and clothes of a drawn person."""

from __future__ import annotations

import numpy as np

from portrait_tflite.models.synthetic_person import Painting, Palette, Pose, Region, mirrored
from portrait_tflite.models.synthetic_texture import (
    ellipse,
    random_colour,
    scale_colour,
    smooth_curve,
)

Rng = np.random.Generator


def draw_body(rng: Rng, painting: Painting, pose: Pose, palette: Palette) -> None:
    """Draw neck, shoulders, arms and what they wear, down to the picture's lower edge."""
    low = (painting.albedo.shape[0] - pose.centre[1]) / pose.unit + 2
    wide, neck = pose.shoulders, rng.uniform(0.5, 0.68)
    slope = rng.uniform(1.75, 2.05)
    _draw_neck(painting, pose, palette, neck)
    half = np.array(
        [
            [neck + 0.02, slope - 0.32], [0.55 * wide, slope - 0.02], [0.9 * wide, slope + 0.22],
            [1.05 * wide, slope + 0.75], [1.12 * wide, slope + 2.2],
            [rng.uniform(1.05, 1.35) * wide, low],
        ]
    )  # fmt: skip
    torso = smooth_curve(mirrored(half), 4)
    painting.fill(pose.body(torso), palette.cloth, Region.CLOTH)
    _draw_neckline(rng, painting, pose, palette, neck, slope)
    _draw_folds(rng, painting, pose, palette, slope)
    if rng.random() < 0.5:
        _draw_arms(painting, pose, palette, slope, low)


def _draw_neck(painting: Painting, pose: Pose, palette: Palette, neck: float) -> None:
    joints = np.array([[neck, 0.5], [neck, 1.35], [neck + 0.25, 2.3]])
    outline = mirrored(joints)
    # The upper end follows the tilted head, the lower one the body.
    upper = outline[:, 1:] < 1
    pixels = np.where(upper, pose.head(outline), pose.body(outline))
    painting.fill(smooth_curve(pixels, 4), scale_colour(palette.skin, 0.88), Region.SKIN)


def _draw_neckline(
    rng: Rng, painting: Painting, pose: Pose, palette: Palette, neck: float, slope: float
) -> None:
    """Cut the neckline: round, V with an inner shirt, jacket with lapels, or a collar."""
    kind, top = rng.integers(4), slope - 0.4
    deep = slope + rng.uniform(0.15, 0.5)
    if kind == 0:
        cut = ellipse((0, top), (neck + 0.18, deep - top))
        painting.fill(pose.body(cut), scale_colour(palette.skin, 0.92), Region.SKIN)
        painting.stroke(pose.body(cut[: len(cut) // 2]), scale_colour(palette.cloth, 0.7),
                        0.07 * pose.unit, Region.CLOTH)  # fmt: skip
        _draw_neck_front(painting, pose, palette, neck, top)
        return
    point = deep + rng.uniform(0.2, 1.8)
    wedge = np.array([[-neck - 0.15, top + 0.02], [neck + 0.15, top + 0.02], [0, point]])
    under = palette.inner if kind > 1 else scale_colour(palette.skin, 0.94)
    painting.fill(pose.body(wedge), under, Region.CLOTH if kind > 1 else Region.SKIN)
    if kind == 3:
        tie = random_colour(rng, saturation=0.9)
        shape = np.array([[-0.13, slope - 0.05], [0.13, slope - 0.05], [0.2, point], [-0.2, point]])
        painting.fill(pose.body(shape), tie, Region.CLOTH)
    _draw_neck_front(painting, pose, palette, neck, top)
    shade = scale_colour(palette.inner if kind > 1 else palette.cloth, rng.uniform(0.75, 1.1))
    for side in (-1, 1):
        flap = np.array(
            [[side * (neck + 0.2), top - 0.05], [side * (neck - 0.12), slope - 0.2],
             [side * 0.12, slope + 0.2], [side * 0.62, slope + 0.28]]
        )  # fmt: skip
        painting.fill(pose.body(flap), shade, Region.CLOTH)
        painting.stroke(pose.body(flap), scale_colour(shade, 0.65), 0.03 * pose.unit, Region.CLOTH)


def _draw_neck_front(
    painting: Painting, pose: Pose, palette: Palette, neck: float, top: float
) -> None:
    throat = ellipse((0, top), (neck, 0.32))
    painting.fill(pose.body(throat), scale_colour(palette.skin, 0.88), Region.SKIN)


def _draw_folds(rng: Rng, painting: Painting, pose: Pose, palette: Palette, slope: float) -> None:
    """Draw seams, buttons and creases."""
    for _ in range(rng.integers(2, 8)):
        x, y = rng.uniform(-1, 1) * pose.shoulders, slope + rng.uniform(0.4, 2.5)
        drift = np.linspace(0, 1, 6)
        path = np.stack([x * (1 - 0.3 * drift), y + drift * rng.uniform(0.4, 1.8)], 1)
        path[:, 0] += np.cumsum(rng.normal(0, 0.05, 6))
        colour = scale_colour(palette.cloth, rng.uniform(0.6, 1.2))
        painting.stroke(pose.body(path), colour, rng.uniform(0.01, 0.06) * pose.unit, Region.CLOTH)
    if rng.random() < 0.35:
        for y in np.arange(slope + 0.5, slope + 4, 0.45):
            painting.fill(pose.body(ellipse((0, y), (0.06, 0.06))), palette.inner, Region.CLOTH)


def _draw_arms(painting: Painting, pose: Pose, palette: Palette, slope: float, low: float) -> None:
    dark = scale_colour(palette.cloth, 0.6)
    for side in (-1, 1):
        path = np.array(
            [[0.72, slope + 0.9], [0.74, slope + 1.8], [0.8, slope + 3.2], [0.82, low]]
        ) * np.array([side * pose.shoulders, 1])  # fmt: skip
        painting.stroke(pose.body(path), dark, 0.05 * pose.unit, Region.CLOTH)

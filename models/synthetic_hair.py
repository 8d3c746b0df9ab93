"""Hair and headwear of a drawn person: what lies behind the head, and what lies on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from portrait_tflite.models.synthetic_person import Painting, Palette, Pose, Region
from portrait_tflite.models.synthetic_texture import (
    Points,
    ellipse,
    random_colour,
    roughen,
    scale_colour,
    smooth_curve,
)

Rng = np.random.Generator


class Style(StrEnum):
    """Hair styles and headwear; the value is for reading only."""

    BALD = "bald"
    SHORT = "short"
    SIDE = "side parting"
    CURLY = "curly"
    AFRO = "afro"
    BOB = "bob"
    LONG = "long"
    BUN = "bun"
    CAP = "cap"
    BEANIE = "beanie"
    SCARF = "headscarf"


_WEIGHTS = {
    Style.BALD: 0.05, Style.SHORT: 0.2, Style.SIDE: 0.13, Style.CURLY: 0.08, Style.AFRO: 0.06,
    Style.BOB: 0.12, Style.LONG: 0.2, Style.BUN: 0.06, Style.CAP: 0.05, Style.BEANIE: 0.03,
    Style.SCARF: 0.02,
}  # fmt: skip


@dataclass(frozen=True)
class Hair:
    """One person's hair.

    Attributes:
        volume: How far it stands off the head, in head units.
        length: Where long hair ends, in head units below the middle of the head.
        rough: Unevenness of its outline, as a share of its radius.
    """

    style: Style
    volume: float
    length: float
    rough: float


def random_hair(rng: Rng) -> Hair:
    """Draw a style and its measures."""
    styles = list(_WEIGHTS)
    style = styles[rng.choice(len(styles), p=np.array(list(_WEIGHTS.values())))]
    return Hair(
        style,
        volume=float(rng.uniform(0.08, 0.34)),
        length=float(rng.uniform(1.7, 4.2) if style is Style.LONG else rng.uniform(0.7, 1.4)),
        rough=float(rng.uniform(0.008, 0.05)),
    )


def draw_hair_behind(
    rng: Rng, painting: Painting, pose: Pose, palette: Palette, hair: Hair
) -> None:
    """Draw what neck and head will hide in part."""
    dark = scale_colour(palette.hair, 0.75)
    if hair.style in (Style.LONG, Style.BOB):
        wide = 1.1 + hair.volume
        half = np.array(
            [[0.4, -1.45 - hair.volume], [wide, -0.9], [wide + 0.1, 0.2],
             [wide + rng.uniform(-0.1, 0.45), hair.length], [0.3, hair.length + 0.15]]
        )  # fmt: skip
        outline = np.concatenate([half, half[::-1] * np.array([-1, 1])])
        outline = roughen(rng, smooth_curve(outline, 8), hair.rough)
        painting.fill(pose.head(outline), dark, Region.HAIR)
    elif hair.style is Style.AFRO:
        size = rng.uniform(1.45, 2.0)
        outline = roughen(rng, ellipse((0, -0.35), (size, 0.95 * size), points=90), 0.03)
        painting.fill(pose.head(outline), palette.hair, Region.HAIR)
    elif hair.style is Style.BUN:
        knot = (rng.normal(0, 0.25), -1.72)
        outline = roughen(rng, ellipse(knot, (0.48, 0.42)), 0.04)
        painting.fill(pose.head(outline), dark, Region.HAIR)
    elif hair.style is Style.SCARF:
        outline = ellipse((0, 0.35), (1.32, 1.95))
        painting.fill(pose.head(outline), palette.inner, Region.CLOTH)


def draw_hair_before(
    rng: Rng, painting: Painting, pose: Pose, palette: Palette, hair: Hair
) -> None:
    """Draw what lies on head and shoulders."""
    if hair.style in (Style.CAP, Style.BEANIE):
        _draw_cap(rng, painting, pose, palette, hair)
        _draw_hat(rng, painting, pose, brim=hair.style is Style.CAP)
        return
    if hair.style is Style.SCARF:
        _draw_scarf(painting, pose, palette)
        return
    if hair.style is Style.BALD:
        return
    _draw_cap(rng, painting, pose, palette, hair)
    if hair.style in (Style.CURLY, Style.AFRO):
        _draw_curls(rng, painting, pose, palette, hair)
    if hair.style in (Style.LONG, Style.BOB):
        _draw_locks(rng, painting, pose, palette, hair)
    _draw_strands(rng, painting, pose, palette, hair)


def _draw_cap(rng: Rng, painting: Painting, pose: Pose, palette: Palette, hair: Hair) -> None:
    """Draw the hair on the skull: from ear to ear, down to a hairline with parting or fringe."""
    outline = roughen(rng, _skull(rng, hair), hair.rough * 0.6)
    painting.fill(pose.head(outline), palette.hair, Region.HAIR)


def _skull(rng: Rng, hair: Hair) -> Points:
    low = rng.uniform(-0.1, 0.35)
    out = 1.03 + 0.6 * hair.volume
    turn = np.linspace(0, np.pi, 25)
    outer = np.stack([out * np.cos(turn), -(1.4 + hair.volume) * np.sin(turn) ** 0.8], axis=1)
    sides = np.array([[0.9, low], [0.86, -0.35]])
    x = np.linspace(0.8, -0.8, 9)
    height = rng.uniform(-1.0, -0.72)
    if hair.style in (Style.BOB, Style.LONG) and rng.random() < 0.4:
        height = rng.uniform(-0.6, -0.4)  # a fringe
    line = height + 0.35 * np.abs(x) ** 2.5
    if hair.style is Style.SIDE:
        line = height + 0.3 * (x * rng.choice((-1, 1)) + 0.2) + 0.2 * np.abs(x) ** 3
    hairline = np.stack([x, line + rng.normal(0, 0.02, 9)], axis=1)
    right = np.concatenate([[[out, low - 0.1]], sides])
    return np.concatenate([outer[::-1], right, hairline, right[::-1] * np.array([-1, 1])])


def _draw_curls(rng: Rng, painting: Painting, pose: Pose, palette: Palette, hair: Hair) -> None:
    for _ in range(70):
        turn = rng.uniform(np.pi * 0.95, np.pi * 2.05)
        far = rng.uniform(0.95, 1.15 + hair.volume)
        centre = (far * np.cos(turn), 1.25 * far * np.sin(turn) - 0.05)
        curl = ellipse(centre, (rng.uniform(0.08, 0.2),) * 2, points=12)
        shade = scale_colour(palette.hair, rng.uniform(0.75, 1.35))
        painting.fill(pose.head(curl), shade, Region.HAIR)


def _draw_locks(rng: Rng, painting: Painting, pose: Pose, palette: Palette, hair: Hair) -> None:
    """Draw long hair that falls before the ears, and with some before the shoulders."""
    wave = rng.uniform(0, 0.12)
    for side in (-1, 1):
        y = np.linspace(-0.9, hair.length if rng.random() < 0.75 else 1.2, 12)
        bend = wave * np.sin(y * rng.uniform(2, 5) + rng.uniform(0, 6))
        inner = rng.uniform(0.72, 0.88) + 0.1 * np.clip(y, 0, 2) + bend
        outer = inner + np.linspace(0.3, rng.uniform(0.35, 0.8), 12) + hair.volume * 0.5
        outline = np.concatenate(
            [np.stack([side * inner, y], axis=1), np.stack([side * outer, y], axis=1)[::-1]]
        )
        painting.fill(pose.head(roughen(rng, outline, hair.rough)), palette.hair, Region.HAIR)


def _draw_strands(rng: Rng, painting: Painting, pose: Pose, palette: Palette, hair: Hair) -> None:
    """Draw single hairs in and around the hair, so that its edge is not a clean line."""
    long = hair.style in (Style.LONG, Style.BOB)
    step = np.linspace(0, 1, 6)[:, None]
    for _ in range(rng.integers(25, 60)):
        turn = rng.uniform(0.0, 1.0) * np.pi
        away = np.array([np.cos(turn), -np.sin(turn)])
        along = np.array([0.2 * np.cos(turn), 1.0]) if long else away[::-1] * (1, -1)
        start = away * np.array([0.98 + 0.6 * hair.volume, 1.36 + 0.9 * hair.volume])
        reach = rng.uniform(0.1, 0.35) * (0.6 + hair.length if long else rng.choice((-1, 1)))
        path = start + step * reach * along + step**2 * rng.normal(0, 0.07, 2)
        shade = scale_colour(palette.hair, rng.uniform(0.7, 1.5))
        painting.stroke(pose.head(path), shade, 0.012 * pose.unit, Region.HAIR)


def _draw_hat(rng: Rng, painting: Painting, pose: Pose, *, brim: bool) -> None:
    colour = random_colour(rng, saturation=0.8)
    turn = np.linspace(0, np.pi, 20)
    edge = rng.uniform(-0.75, -0.5)
    dome = np.stack([1.14 * np.cos(turn), edge - rng.uniform(0.85, 1.15) * np.sin(turn)], axis=1)
    painting.fill(pose.head(dome), colour, Region.CLOTH)
    top, low = edge - 0.2, edge + 0.04
    band = np.array([[-1.15, top], [1.15, top], [1.15, low], [-1.15, low]])
    painting.fill(pose.head(band), scale_colour(colour, 0.8), Region.CLOTH)
    if brim:
        visor = ellipse((0.5 * pose.yaw, edge + 0.03), (1.1, 0.2))
        painting.fill(pose.head(visor), scale_colour(colour, 0.65), Region.CLOTH)


def _draw_scarf(painting: Painting, pose: Pose, palette: Palette) -> None:
    outer, inner = ellipse((0, -0.05), (1.26, 1.56)), ellipse((0, 0.12), (0.86, 1.12))
    ring = np.concatenate([outer, outer[:1], inner[::-1], inner[-1:]])
    painting.fill(pose.head(ring), palette.inner, Region.CLOTH)
    throat = np.array([[-0.95, 1.0], [0.95, 1.0], [1.5, 2.2], [0, 2.7], [-1.5, 2.2]])
    shaded = scale_colour(palette.inner, 0.9)
    painting.fill(pose.head(smooth_curve(throat, 4)), shaded, Region.CLOTH)

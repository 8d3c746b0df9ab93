"""The drawn person: pose, colours and bare head; body, face and hair have files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.images import Bytes
from portrait_tflite.models.synthetic_texture import (
    Colour,
    Points,
    ellipse,
    fill,
    mix,
    random_colour,
    scale_colour,
    smooth_curve,
    stroke,
)

Rng = np.random.Generator


class Region(IntEnum):
    """What a pixel of the person is made of; its channel in `Painting.regions`."""

    SKIN = 0
    HAIR = 1
    CLOTH = 2


@dataclass(frozen=True)
class Pose:
    """Where the head is. Head coordinates: origin between the ears, x right, y down, and 1 is half
    the width of the head; it ends at y = ±1.32.

    Attributes:
        centre: Of the head, in pixels.
        unit: Pixels per head unit.
        tilt: Rotation of the head in radians.
        yaw: How far the face looks aside, −1…1.
        lean: How far the body stands beside the head, in head units.
        shoulders: Half their width in head units.
    """

    centre: tuple[float, float]
    unit: float
    tilt: float
    yaw: float
    lean: float
    shoulders: float

    def head(self, points: Points) -> Points:
        """Map `[n, 2]` from head coordinates to pixels."""
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        turn = self.unit * np.array([[cos, sin], [-sin, cos]])
        return np.asarray(points @ turn + np.array(self.centre), np.float64)

    def body(self, points: Points) -> Points:
        """Map `[n, 2]` from head coordinates to pixels, for parts that do not tilt with it."""
        moved = self.unit * (points + np.array([self.lean, 0])) + np.array(self.centre)
        return np.asarray(moved, np.float64)


@dataclass(frozen=True)
class Palette:
    """Colours of one person, before light falls on them."""

    skin: Colour
    hair: Colour
    cloth: Colour
    inner: Colour  # shirt under a jacket, print on a pullover


@dataclass(frozen=True)
class Painting:
    """The picture as it grows.

    Attributes:
        albedo: Colours without light, RGB `[h, w, 3]`.
        regions: How much of each pixel is skin, hair or cloth, 0–255, `[h, w, 3]`.
    """

    albedo: Bytes
    regions: Bytes

    def fill(self, outline: Points, colour: Colour, region: Region) -> None:
        """Fill an outline with a colour of a region."""
        fill(self.albedo, outline, colour)
        fill(self.regions, outline, _PURE[region])

    def stroke(
        self,
        path: Points,
        colour: Colour,
        thickness: float,
        region: Region,
        *,
        closed: bool = False,
    ) -> None:
        """Draw a line along `path`."""
        stroke(self.albedo, path, colour, thickness, closed)
        stroke(self.regions, path, _PURE[region], thickness, closed)


_PURE: dict[Region, Colour] = {
    Region.SKIN: (255.0, 0.0, 0.0),
    Region.HAIR: (0.0, 255.0, 0.0),
    Region.CLOTH: (0.0, 0.0, 255.0),
}

# From light to dark; what lies between is mixed.
_SKIN: tuple[Colour, ...] = (
    (250, 224, 205), (240, 200, 172), (222, 174, 138), (198, 144, 106), (160, 108, 76),
    (116, 76, 54), (74, 48, 36),
)  # fmt: skip
_HAIR: tuple[Colour, ...] = (
    (18, 15, 14), (28, 22, 19), (48, 33, 24), (74, 50, 33), (110, 76, 46), (150, 110, 66),
    (205, 170, 112), (130, 58, 30), (150, 145, 140), (215, 212, 208),
)  # fmt: skip


def random_pose(rng: Rng, height: int, width: int) -> Pose:
    """Frame a head and shoulders; now and then a person farther off."""
    far = rng.random() < 0.12
    share = rng.uniform(0.12, 0.24) if far else rng.uniform(0.34, 0.66)  # of the height
    unit = share * min(height, 1.25 * width) / 2.64
    crown = rng.uniform(0.08, 0.3) if far else rng.uniform(-0.05, 0.18)
    centre = (
        width * float(np.clip(rng.normal(0.5, 0.1), 0.2, 0.8)),
        crown * height + 1.45 * unit,
    )
    return Pose(
        centre=centre,
        unit=unit,
        tilt=float(rng.normal(0, 0.09)),
        yaw=float(np.clip(rng.normal(0, 0.4), -1, 1)),
        lean=float(rng.normal(0, 0.18)),
        shoulders=float(rng.uniform(2.2, 3.3)),
    )


def random_palette(rng: Rng) -> Palette:
    """Draw skin, hair and clothes; dark skin goes with dark hair mostly."""
    tone = rng.beta(1.0, 1.4) * (len(_SKIN) - 1)
    lower = min(int(tone), len(_SKIN) - 2)
    skin = mix(_SKIN[lower], _SKIN[lower + 1], tone - lower)
    shades = 3 if tone > 3 and rng.random() < 0.9 else len(_HAIR)
    hair = scale_colour(_HAIR[rng.integers(shades)], rng.uniform(0.8, 1.25))
    cloth = random_colour(rng, saturation=0.75, bright=(0.03, 0.98))
    return Palette(skin, hair, cloth, random_colour(rng, saturation=0.6, bright=(0.05, 1.0)))


def draw_head(rng: Rng, painting: Painting, pose: Pose, palette: Palette) -> Points:
    """Draw ears and the bare head; returns its outline in pixels."""
    jaw, cheek = rng.uniform(0.42, 0.66), rng.uniform(0.78, 0.92)
    half = np.array(
        [
            [0.45, -1.38], [0.92, -1.05], [1.03, -0.35], [0.97, 0.25], [cheek, 0.72],
            [jaw, 1.16], [0.2, 1.38],
        ]
    )  # fmt: skip
    for side in (-1, 1):
        # The ear on the side that is turned to us shows more.
        out = 1.0 + 0.06 * (1 - side * pose.yaw)
        ear = ellipse((side * out, 0.08), (0.14, 0.28), angle=8 * side)
        painting.fill(pose.head(ear), scale_colour(palette.skin, 0.93), Region.SKIN)
        inner = ellipse((side * out, 0.08), (0.06, 0.16), angle=8 * side)
        painting.fill(pose.head(inner), scale_colour(palette.skin, 0.72), Region.SKIN)
    outline = pose.head(smooth_curve(mirrored(half), 8))
    painting.fill(outline, palette.skin, Region.SKIN)
    return outline


def mirrored(half: NDArray[np.float64]) -> Points:
    """Close a right half, top to bottom, by its mirror image."""
    return np.concatenate([half, half[::-1] * np.array([-1, 1])])

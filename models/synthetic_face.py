"""Features of a drawn face: eyes, brows, nose, mouth, beard, glasses."""

from __future__ import annotations

import cv2
import numpy as np

from portrait_tflite.images import Floats
from portrait_tflite.models.synthetic_person import Painting, Palette, Pose, Region
from portrait_tflite.models.synthetic_texture import (
    Colour,
    Points,
    ellipse,
    mix,
    random_colour,
    scale_colour,
    smooth_curve,
)

Rng = np.random.Generator

_EYE_Y, _BROW_Y, _MOUTH_Y = -0.05, -0.32, 0.72
_IRIS: tuple[Colour, ...] = ((60, 38, 24), (92, 62, 36), (88, 110, 80), (84, 120, 150))


def draw_face(rng: Rng, painting: Painting, pose: Pose, palette: Palette) -> None:
    """Draw the features onto the bare head, turned by the pose's yaw."""
    turn = 0.28 * pose.yaw
    if rng.random() < 0.28:
        _draw_beard(rng, painting, pose, palette)
    _draw_nose(painting, pose, palette, turn)
    _draw_mouth(rng, painting, pose, palette, turn)
    iris = scale_colour(_IRIS[rng.choice(len(_IRIS), p=[0.5, 0.25, 0.1, 0.15])], 1.0)
    opening = rng.uniform(0.05, 0.1)
    for side in (-1, 1):
        # The far eye is narrower and nearer to the nose.
        narrow = 1 - 0.25 * max(0.0, side * pose.yaw)
        x = turn + side * 0.4 * narrow
        _draw_eye(rng, painting, pose, palette, (x, _EYE_Y), 0.19 * narrow, opening, iris)
        brow = _arc((x, _BROW_Y), 0.27 * narrow, rng.uniform(0.04, 0.1))
        colour = mix(palette.hair, palette.skin, rng.uniform(0.1, 0.4))
        painting.stroke(pose.head(brow), colour, rng.uniform(0.05, 0.1) * pose.unit, Region.SKIN)
    if rng.random() < 0.25:
        _draw_glasses(rng, painting, pose, turn)


def face_relief(rng: Rng, pose: Pose, height: int, width: int) -> Floats:
    """Return how much lighter or darker the face's hollows and ridges make its skin, `[h, w]`."""
    turn, lit = 0.28 * pose.yaw, float(rng.choice((-1, 1)))
    # Left and right of the nose: one side catches the light, the other lies in its shadow.
    flanks = [
        (1.1 * turn + 0.17 * side, 0.15, 0.07, 0.2, 0.1 * side * lit - 0.04) for side in (-1, 1)
    ]
    x, y, wide, tall, amount = np.array(_spots(turn) + flanks).T
    u = (np.arange(width) - pose.centre[0]) / pose.unit
    v = (np.arange(height) - pose.centre[1]) / pose.unit
    across = np.exp(-(((u - x[:, None]) / wide[:, None]) ** 2)) * rng.uniform(0.6, 1.3)
    down = np.exp(-(((v - y[:, None]) / tall[:, None]) ** 2)) * amount[:, None]
    # Each spot is a product of a column and a row. Not `@`: for so little work, BLAS's threads
    # cost more than they save.
    relief = np.einsum("kh,kw->hw", down.astype(np.float32), across.astype(np.float32))
    tilt = cv2.getRotationMatrix2D(pose.centre, -float(np.rad2deg(pose.tilt)), 1.0)
    return np.asarray(cv2.warpAffine(relief, tilt, (width, height)), np.float32)


def _spots(turn: float) -> list[tuple[float, float, float, float, float]]:
    """List hollows and ridges: middle x and y, spread in x and y, and change of brightness."""
    middle = [
        (turn, 0.1, 0.07, 0.25, 0.12),  # ridge of the nose
        (1.15 * turn, 0.32, 0.1, 0.08, 0.12),
        (1.15 * turn, 0.49, 0.16, 0.06, -0.2),
        (turn, 0.95, 0.22, 0.07, -0.16),  # below the lip
        (turn, 1.12, 0.22, 0.12, 0.07),
        (0.5 * turn, -0.7, 0.5, 0.25, 0.08),  # forehead
        (0.0, -1.02, 0.9, 0.14, -0.18),  # shadow of the hair
    ]
    paired = [
        (turn + side * x, y, wide, tall, amount)
        for side in (-1, 1)
        for x, y, wide, tall, amount in (
            (0.36, -0.12, 0.24, 0.14, -0.22),  # sockets
            (0.5, 0.3, 0.22, 0.17, 0.09),  # cheeks
            (0.34, 0.6, 0.06, 0.14, -0.08),
            (0.9, -0.3, 0.16, 0.4, -0.12),  # temples
            (0.85, 0.75, 0.2, 0.35, -0.16),  # jaw
        )
    ]
    return middle + paired


def _arc(centre: tuple[float, float], half: float, rise: float) -> Points:
    x = np.linspace(-1, 1, 9)
    return np.stack([centre[0] + half * x, centre[1] - rise * (1 - x**2)], axis=1)


def _draw_eye(
    rng: Rng,
    painting: Painting,
    pose: Pose,
    palette: Palette,
    centre: tuple[float, float],
    half: float,
    opening: float,
    iris: Colour,
) -> None:
    painting.fill(pose.head(ellipse(centre, (half, opening))), (226, 220, 214), Region.SKIN)
    looking = centre[0] + rng.normal(0, 0.01)
    for radius, colour in ((min(opening * 1.05, 0.09), iris), (0.04, (12.0, 10.0, 10.0))):
        disc = ellipse((looking, centre[1]), (radius, radius))
        painting.fill(pose.head(disc), colour, Region.SKIN)
    glint = ellipse((looking + 0.025, centre[1] - 0.03), (0.018, 0.018), points=10)
    painting.fill(pose.head(glint), (250, 250, 250), Region.SKIN)
    lid = scale_colour(palette.skin, 0.35)
    painting.stroke(pose.head(_arc(centre, half, opening)), lid, 0.035 * pose.unit, Region.SKIN)


def _draw_nose(painting: Painting, pose: Pose, palette: Palette, turn: float) -> None:
    dark = scale_colour(palette.skin, 0.32)
    tip = 1.15 * turn
    wings = ellipse((tip, 0.36), (0.18, 0.09))
    painting.fill(pose.head(wings), scale_colour(palette.skin, 0.94), Region.SKIN)
    for side in (-1, 1):
        nostril = ellipse((tip + side * 0.1, 0.42), (0.055, 0.03), points=14)
        painting.fill(pose.head(nostril), dark, Region.SKIN)


def _draw_mouth(rng: Rng, painting: Painting, pose: Pose, palette: Palette, turn: float) -> None:
    wide, smile = rng.uniform(0.26, 0.4), rng.uniform(-0.02, 0.1)
    lips = mix(scale_colour(palette.skin, 0.78), (176, 62, 66), rng.uniform(0.1, 0.6))
    centre = (turn, _MOUTH_Y)
    upper = _arc(centre, wide, 0.08 - smile)
    lower = _arc((turn, _MOUTH_Y), wide, -(0.1 + smile))[::-1]
    painting.fill(pose.head(np.concatenate([upper, lower])), lips, Region.SKIN)
    if rng.random() < 0.4:
        above = _arc(centre, 0.8 * wide, 0.03 - smile)
        below = _arc(centre, 0.8 * wide, -(0.04 + smile))
        teeth = np.concatenate([above, below[::-1]])
        painting.fill(pose.head(teeth), (236, 230, 222), Region.SKIN)
    else:
        line = _arc(centre, wide, -smile)
        painting.stroke(pose.head(line), scale_colour(lips, 0.5), 0.03 * pose.unit, Region.SKIN)


def _draw_beard(rng: Rng, painting: Painting, pose: Pose, palette: Palette) -> None:
    full, top = rng.uniform(0, 0.25), rng.uniform(0.25, 0.5)
    half = np.array(
        [[0.98, -0.05], [0.95, 0.4], [0.82 + full, 0.85], [0.5 + full, 1.25 + full],
         [0.15, 1.42 + full]]
    )  # fmt: skip
    inner = np.array([[-0.2, 1.0], [-0.4, top + 0.1], [-0.75, top - 0.1], [-0.86, -0.05]])
    left = half[::-1] * np.array([-1, 1])
    outline = np.concatenate([half, left, inner[::-1], inner * np.array([-1, 1])])
    stubble = mix(palette.hair, palette.skin, rng.choice([0.0, 0.35, 0.65]))
    painting.fill(pose.head(smooth_curve(outline, 4)), stubble, Region.HAIR)
    if rng.random() < 0.7:
        moustache = ellipse((0.28 * pose.yaw, 0.58), (0.36, 0.09))
        painting.fill(pose.head(moustache), stubble, Region.HAIR)


def _draw_glasses(rng: Rng, painting: Painting, pose: Pose, turn: float) -> None:
    frame = random_colour(rng, bright=(0.02, 0.5))
    wide, tall = rng.uniform(0.28, 0.36), rng.uniform(0.18, 0.3)
    dark = rng.random() < 0.35
    for side in (-1, 1):
        centre = (turn + side * 0.4, _EYE_Y + 0.02)
        lens = pose.head(ellipse(centre, (wide, tall)))
        if dark:
            painting.fill(lens, scale_colour(frame, 0.5), Region.SKIN)
        painting.stroke(lens, frame, 0.05 * pose.unit, Region.SKIN, closed=True)
        temple = np.array([[centre[0] + side * wide, _EYE_Y], [side * 1.03, _EYE_Y]])
        painting.stroke(pose.head(temple), frame, 0.05 * pose.unit, Region.SKIN)
    bridge = _arc((turn, _EYE_Y), 0.4 - wide + 0.02, 0.04)
    painting.stroke(pose.head(bridge), frame, 0.05 * pose.unit, Region.SKIN)

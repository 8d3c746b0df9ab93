"""A room behind a drawn person: walls, frames, windows, shelves of books."""

from __future__ import annotations

import numpy as np

from portrait_tflite.images import Bytes
from portrait_tflite.models.synthetic_texture import (
    ellipse,
    fill,
    gradient,
    random_colour,
    rectangle,
    scale_colour,
)

Rng = np.random.Generator


def draw_room(rng: Rng, height: int, width: int) -> Bytes:
    """Draw a wall with things on it, RGB `[height, width, 3]`."""
    wall = random_colour(rng, saturation=0.4, bright=(0.35, 0.98))
    scene = gradient(rng, height, width, wall, scale_colour(wall, rng.uniform(0.6, 1.0)))
    if rng.random() < 0.5:
        corner, slope = rng.uniform(0.1, 0.9) * width, rng.normal(0, 0.03) * width
        side = np.array([[corner, 0], [width, 0], [width, height], [corner + slope, height]])
        fill(scene, side, scale_colour(wall, rng.uniform(0.6, 1.15)))
    for _ in range(rng.integers(1, 5)):
        draw = (_frame, _window, _shelf)[rng.integers(3)]
        draw(rng, scene)
    return scene


def _frame(rng: Rng, scene: Bytes) -> None:
    height, width = scene.shape[:2]
    centre = rng.uniform(0, width), rng.uniform(0, 0.7 * height)
    rx, ry = rng.uniform(0.05, 0.2) * width, rng.uniform(0.05, 0.2) * height
    border = random_colour(rng, bright=(0.02, 0.95))
    fill(scene, rectangle(centre, rx, ry), border)
    fill(scene, rectangle(centre, 0.85 * rx, 0.85 * ry), random_colour(rng, bright=(0.5, 1)))
    for _ in range(rng.integers(2, 9)):
        spot = centre[0] + rng.normal(0, 0.3) * rx, centre[1] + rng.normal(0, 0.3) * ry
        radii = rng.uniform(0.05, 0.3) * rx, rng.uniform(0.05, 0.3) * ry
        fill(scene, ellipse(spot, radii), random_colour(rng))


def _window(rng: Rng, scene: Bytes) -> None:
    height, width = scene.shape[:2]
    centre = rng.uniform(0, width), rng.uniform(0.1, 0.6) * height
    rx, ry = rng.uniform(0.1, 0.3) * width, rng.uniform(0.15, 0.4) * height
    light = random_colour(rng, saturation=0.25, bright=(0.85, 1.0))
    fill(scene, rectangle(centre, 1.1 * rx, 1.08 * ry), random_colour(rng, saturation=0.2))
    across, down = rng.integers(1, 4), rng.integers(1, 4)
    for i in range(across):
        for j in range(down):
            pane = (
                centre[0] + rx * (2 * (i + 0.5) / across - 1),
                centre[1] + ry * (2 * (j + 0.5) / down - 1),
            )
            fill(scene, rectangle(pane, 0.9 * rx / across, 0.9 * ry / down), light)


def _shelf(rng: Rng, scene: Bytes) -> None:
    height, width = scene.shape[:2]
    wood = random_colour(rng, saturation=0.5, bright=(0.1, 0.7))
    x, end = rng.uniform(-0.2, 0.6) * width, rng.uniform(0.7, 1.2) * width
    base = rng.uniform(0.15, 0.9) * height
    row = rng.uniform(0.08, 0.2) * height
    board = np.array([[x, base], [end, base], [end, base + 0.1 * row], [x, base + 0.1 * row]])
    fill(scene, board, wood)
    while x < min(end, width):
        thick, tall = rng.uniform(0.008, 0.03) * width, row * rng.uniform(0.6, 0.98)
        book = np.array([[x, base - tall], [x + thick, base - tall], [x + thick, base], [x, base]])
        fill(scene, book, random_colour(rng, saturation=0.9))
        x += thick * (1 if rng.random() < 0.95 else 4)

"""What stands behind a drawn person: studios, rooms, streets, leaves, lights out of focus."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from portrait_tflite.images import Bytes
from portrait_tflite.models.synthetic_room import draw_room
from portrait_tflite.models.synthetic_texture import (
    Colour,
    ellipse,
    fill,
    fractal_noise,
    gradient,
    mix,
    random_colour,
    rectangle,
    roughen,
    scale_colour,
    stroke,
)

Rng = np.random.Generator


def draw_background(rng: Rng, height: int, width: int) -> Bytes:
    """Draw a scene without a person, RGB `[height, width, 3]`."""
    kinds, weights = zip(*_KINDS, strict=True)
    draw = kinds[rng.choice(len(kinds), p=np.array(weights) / sum(weights))]
    scene: Bytes = draw(rng, height, width)
    scene = _texture(rng, scene)
    # Depth of field: every third background is out of focus.
    softness = (0.0, rng.uniform(0.4, 1.2), rng.uniform(1.5, 6))
    sigma = softness[rng.choice(3, p=(0.4, 0.25, 0.35))]
    if sigma:
        scene = cv2.GaussianBlur(scene, (0, 0), sigma * max(height, width) / 256).astype(np.uint8)
    return scene


def _texture(rng: Rng, scene: Bytes) -> Bytes:
    """Give the scene uneven light and grain at every scale."""
    height, width = scene.shape[:2]
    light = 1 + 0.12 * rng.beta(1, 3) * fractal_noise(rng, height, width, decay=0.8)
    return np.asarray(cv2.multiply(scene, cv2.merge([light] * 3), dtype=cv2.CV_8U), np.uint8)


def _studio(rng: Rng, height: int, width: int) -> Bytes:
    """A backdrop: even, often white or gray, with a pool of light."""
    bright = (0.75, 1.0) if rng.random() < 0.5 else (0.05, 0.9)
    colour = random_colour(rng, saturation=0.35, bright=bright)
    scene = gradient(rng, height, width, colour, scale_colour(colour, rng.uniform(0.4, 1.0)))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    pool = np.exp(-((x - rng.uniform(-0.5, 0.5)) ** 2 + (y - rng.uniform(-0.6, 0.3)) ** 2) * 1.5)
    lit: Bytes = np.clip(scene * (0.8 + rng.uniform(0, 0.5) * pool[..., None]), 0, 255).astype(
        np.uint8
    )
    return lit


def _haze(rng: Rng, height: int, width: int) -> Bytes:
    """Clouds of two or three colours, as a painted wall or a far landscape."""
    first, second, third = (np.array(random_colour(rng), np.float32) for _ in range(3))
    share = np.clip(fractal_noise(rng, height, width, decay=0.7) * 0.35 + 0.5, 0, 1)[..., None]
    spots = np.clip(fractal_noise(rng, height, width, decay=0.6) * 0.5, 0, 1)[..., None]
    scene = first * (1 - share) + second * share
    lit: Bytes = np.clip(scene * (1 - spots) + third * spots, 0, 255).astype(np.uint8)
    return lit


def _clutter(rng: Rng, height: int, width: int) -> Bytes:
    """Things over things in all sizes: the dead-leaves model (Lee, Mumford, Huang 2001)."""
    scene = gradient(rng, height, width, random_colour(rng), random_colour(rng))
    base = random_colour(rng)
    count = 110
    # Radii with density r^-3 cover every scale alike, which gives natural statistics.
    radii = 0.03 * max(height, width) / np.sqrt(rng.uniform(0.006, 1, count))
    for radius in sorted(radii, reverse=True):
        centre = rng.uniform(0, width), rng.uniform(0, height)
        colour = mix(random_colour(rng, saturation=0.7), base, rng.uniform(0, 0.7))
        shape = rng.integers(3)
        if shape == 0:
            outline = rectangle(centre, radius, radius * rng.uniform(0.3, 2), rng.normal(0, 10))
        else:
            sizes = (radius, radius * rng.uniform(0.4, 1.0))
            outline = ellipse(centre, sizes, angle=rng.uniform(0, 180), points=18)
            outline = roughen(rng, outline, 0.08 * shape)
        fill(scene, outline, colour)
    return scene


def _lights(rng: Rng, height: int, width: int) -> Bytes:
    """A dark or dim place with lights out of focus."""
    dark = random_colour(rng, bright=(0.02, 0.4))
    scene = gradient(rng, height, width, dark, random_colour(rng, bright=(0.05, 0.5)))
    warm = random_colour(rng, saturation=0.8, bright=(0.7, 1))
    radius = rng.uniform(0.015, 0.07) * max(height, width)
    for _ in range(rng.integers(12, 60)):
        x, y, size = rng.uniform(0, width), rng.uniform(0, height), radius * rng.uniform(0.6, 1.4)
        colour = mix(warm, random_colour(rng, bright=(0.6, 1)), rng.random())
        left, top = max(0, int(x - size) - 2), max(0, int(y - size) - 2)
        part = scene[top : int(y + size) + 3, left : int(x + size) + 3]
        disc = np.zeros_like(part)
        outline = ellipse((x - left, y - top), (size, size), points=28)
        fill(disc, outline, scale_colour(colour, rng.uniform(0.2, 0.8)))
        part[:] = cv2.add(part, disc)
    return scene


def _leaves(rng: Rng, height: int, width: int) -> Bytes:
    """Foliage, dark behind and light in front, with sky between now and then."""
    sky = random_colour(rng, saturation=0.3, bright=(0.75, 1))
    shadow: Colour = (rng.uniform(8, 40), rng.uniform(20, 60), rng.uniform(5, 30))
    scene = gradient(rng, height, width, sky if rng.random() < 0.5 else shadow, shadow)
    lit: Colour = (rng.uniform(70, 190), rng.uniform(120, 200), rng.uniform(20, 90))
    size = rng.uniform(0.008, 0.03) * max(height, width)
    for step in np.linspace(0, 1, 260):
        centre = rng.uniform(0, width), height * (1 - rng.beta(1, 1.3))
        colour = scale_colour(mix(shadow, lit, step * rng.uniform(0.3, 1)), rng.uniform(0.7, 1.3))
        radii = size * rng.uniform(0.7, 1.6), size * rng.uniform(0.25, 0.7)
        fill(scene, ellipse(centre, radii, angle=rng.uniform(0, 180), points=10), colour)
    return scene


def _street(rng: Rng, height: int, width: int) -> Bytes:
    """Sky, houses with rows of windows, ground."""
    sky = random_colour(rng, saturation=0.4, bright=(0.6, 1.0))
    scene = gradient(rng, height, width, sky, scale_colour(sky, 1.1))
    x, ground = -0.1 * width, rng.uniform(0.6, 0.9) * height
    while x < width:
        wide, top = rng.uniform(0.15, 0.45) * width, rng.uniform(-0.1, 0.5) * height
        wall = random_colour(rng, saturation=0.5, bright=(0.2, 0.85))
        fill(scene, np.array([[x, top], [x + wide, top], [x + wide, ground], [x, ground]]), wall)
        pane = scale_colour(wall, rng.uniform(0.3, 0.8))
        step_x, step_y = rng.uniform(0.04, 0.09) * width, rng.uniform(0.05, 0.12) * height
        for column in np.arange(x + step_x, x + wide - step_x / 2, step_x):
            for row in np.arange(top + step_y, ground - step_y / 2, step_y):
                fill(scene, rectangle((column, row), 0.3 * step_x, 0.33 * step_y), pane)
        x += wide
    road = random_colour(rng, saturation=0.2, bright=(0.2, 0.7))
    fill(scene, np.array([[0, ground], [width, ground], [width, height], [0, height]]), road)
    return scene


def _masonry(rng: Rng, height: int, width: int) -> Bytes:
    """A wall of bricks, tiles or boards."""
    joint = random_colour(rng, saturation=0.2, bright=(0.3, 0.9))
    stone = random_colour(rng, saturation=0.6, bright=(0.2, 0.8))
    scene = gradient(rng, height, width, joint, joint)
    tall = rng.uniform(0.03, 0.12) * height
    wide = tall * rng.uniform(0.8, 12)
    for row, y in enumerate(np.arange(0, height + tall, tall)):
        for x in np.arange(-wide + (row % 2) * wide / 2, width + wide, wide):
            colour = scale_colour(stone, rng.uniform(0.8, 1.2))
            fill(scene, rectangle((x, y), 0.47 * wide, 0.45 * tall), colour)
    return scene


def _landscape(rng: Rng, height: int, width: int) -> Bytes:
    """Hills behind hills under a sky, paler with distance."""
    sky = random_colour(rng, saturation=0.5, bright=(0.6, 1.0))
    scene = gradient(rng, height, width, sky, random_colour(rng, saturation=0.3, bright=(0.7, 1)))
    land = random_colour(rng, saturation=0.7, bright=(0.15, 0.6))
    x = np.linspace(0, width, 40)
    for depth in np.linspace(0, 1, rng.integers(2, 6)):
        line = np.cumsum(rng.normal(0, 0.012, len(x)))
        y = height * (rng.uniform(0.25, 0.45) + 0.4 * depth + line - line.mean())
        outline = np.concatenate([np.stack([x, y], 1), [[width, height], [0, height]]])
        fill(scene, outline, mix(sky, land, 0.25 + 0.75 * depth))
        stroke(scene, outline[: len(x)], scale_colour(land, 0.7), 1, closed=False)
    return scene


_Draw = Callable[[Rng, int, int], Bytes]
# Each kind with how often it comes.
_KINDS: tuple[tuple[_Draw, float], ...] = (
    (_studio, 3),
    (draw_room, 3),
    (_clutter, 3),
    (_leaves, 2),
    (_street, 2),
    (_haze, 1),
    (_lights, 1),
    (_masonry, 1),
    (_landscape, 1.5),
)

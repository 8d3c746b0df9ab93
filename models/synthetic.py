"""Drawn portraits with exact masks: the default calibration set, and pictures for tests.

Nothing of them is a photograph, but their statistics are those of photographs: the full range of
bytes, natural spectra, light from a side, noise and compression.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from portrait_tflite.images import Bytes, Floats
from portrait_tflite.models.synthetic_background import draw_background
from portrait_tflite.models.synthetic_body import draw_body
from portrait_tflite.models.synthetic_face import draw_face
from portrait_tflite.models.synthetic_hair import (
    draw_hair_before,
    draw_hair_behind,
    random_hair,
)
from portrait_tflite.models.synthetic_person import (
    Painting,
    Palette,
    Pose,
    draw_head,
    random_palette,
    random_pose,
)
from portrait_tflite.models.synthetic_texture import fractal_noise, streaks

Rng = np.random.Generator

# Where, as a share of white, the scale of brightness begins and ceases to be straight.
_TOE, _SHOULDER = 0.06, 0.75


def draw_portrait(seed: int, height: int, width: int) -> tuple[Bytes, Bytes]:
    """Draw a portrait; same arguments, same picture.

    Returns:
        RGB `[height, width, 3]` and the mask of the person `[height, width]`, 0 or 255.
    """
    rng = np.random.default_rng((seed, height, width))
    scene = draw_background(rng, height, width)
    painting = Painting(scene, np.zeros_like(scene))
    pose, palette, hair = random_pose(rng, height, width), random_palette(rng), random_hair(rng)
    draw_hair_behind(rng, painting, pose, palette, hair)
    draw_body(rng, painting, pose, palette)
    draw_head(rng, painting, pose, palette)
    draw_face(rng, painting, pose, palette)
    draw_hair_before(rng, painting, pose, palette, hair)
    lit = _light(rng, painting, pose, palette)
    person = painting.regions.max(axis=2)
    mask = np.where(person >= 128, 255, 0).astype(np.uint8)
    return _photograph(rng, lit), mask


def _light(rng: Rng, painting: Painting, pose: Pose, palette: Palette) -> Floats:
    """Give every region its texture and the person their shades; `[h, w, 3]`, 0–1 and above."""
    height, width = painting.albedo.shape[:2]
    share = painting.regions.astype(np.float32) / 255
    skin, hair, cloth = (share[..., i] for i in range(3))
    colours = painting.albedo.astype(np.float32) / 255
    grain = fractal_noise(rng, height, width, coarsest=16)
    strands = streaks(rng, height, width, rng.uniform(-35, 35), rng.uniform(0.25, 0.6))
    folds = streaks(rng, height, width, rng.uniform(-30, 30), rng.uniform(0.02, 0.05))
    factor = 1 + skin * (0.03 * grain) + hair * (0.2 * strands)
    factor += cloth * (0.05 * grain + 0.07 * folds)
    factor *= 1 + (skin + hair + cloth) * (_shade(rng, pose, height, width) - 1)
    lit = colours * factor[..., None]
    print_share = (cloth * _pattern(rng, height, width, pose))[..., None]
    printed = np.array(palette.inner, np.float32) / 255 * factor[..., None]
    return np.asarray(lit * (1 - print_share) + printed * print_share, np.float32)


def _shade(rng: Rng, pose: Pose, height: int, width: int) -> Floats:
    """Shade the head as an ellipsoid and the body as a cylinder, lit from a side."""
    u = ((np.arange(width, dtype=np.float32) - pose.centre[0]) / pose.unit)[None, :]
    v = ((np.arange(height, dtype=np.float32) - pose.centre[1]) / pose.unit)[:, None]
    light = (rng.normal(0, 0.7), rng.normal(-0.5, 0.3), 1.0)
    head = _lambert(u / 1.25, v / 1.65, light)
    body = _lambert(u / (1.35 * pose.shoulders), 0 * v, light)
    below = 1 / (1 + np.exp(np.clip((1.45 - v) * 6, -30, 30)))
    chin = 1 - 0.35 * np.exp(-(u**2) / 0.5) * np.exp(-(((v - 1.5) / 0.22) ** 2))
    ambient = rng.uniform(0.3, 0.8)
    shade = ambient + (1 - ambient) * 1.15 * (head * (1 - below) + body * below)
    return np.asarray(shade * chin, np.float32)


def _lambert(x: Floats, y: Floats, light: tuple[float, float, float]) -> Floats:
    """Return the brightness `[h, w]` of a rounded thing whose silhouette is at x² + y² = 1."""
    z = np.sqrt(1 - np.minimum(x**2 + y**2, 0.97))
    length = math.hypot(*light)
    facing = (light[0] / length) * x + (light[1] / length) * y + (light[2] / length) * z
    return np.asarray(np.maximum(0, facing), np.float32)


def _pattern(rng: Rng, height: int, width: int, pose: Pose) -> Floats:
    """Return how much of the second colour the cloth shows, `[h, w]`: plain, stripes, checks…"""
    kind = rng.choice(5, p=[0.45, 0.2, 0.1, 0.1, 0.15])
    if kind == 0:
        return np.zeros((height, width), np.float32)
    if kind == 4:
        return np.clip(fractal_noise(rng, height, width, coarsest=8, decay=0.8), 0, 1)
    drape = 0.4 * fractal_noise(rng, height, width, coarsest=2, decay=0.5)
    period = pose.unit * rng.uniform(0.08, 0.4)
    angle = float(rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]))
    x = np.arange(width, dtype=np.float32)[None, :] / period
    y = np.arange(height, dtype=np.float32)[:, None] / period
    bands = _bands(x * math.cos(angle) + y * math.sin(angle) + drape)
    crossed = _bands(y * math.cos(angle) - x * math.sin(angle) + drape) if kind > 1 else bands
    mixed = bands * crossed if kind == 3 else (bands + crossed) / 2
    return np.asarray(mixed * rng.uniform(0.3, 1.0), np.float32)


def _bands(position: Floats) -> Floats:
    return np.asarray(np.clip(np.sin(2 * np.pi * position) * 3 + 0.5, 0, 1), np.float32)


def _photograph(rng: Rng, lit: Floats) -> Bytes:
    """Take the picture: exposure, colour of the light, lens, sensor, compression."""
    height, width = lit.shape[:2]
    image = lit * _vignette(height, width, rng.uniform(0, 0.35))[..., None]
    if rng.random() < 0.06:
        image[:] = image.mean(axis=2, keepdims=True)
    # The camera exposes for a middle gray, and does not always hit it.
    wanted = float(np.clip(rng.normal(0.5, 0.11), 0.2, 0.8))
    exposure = float(np.clip(wanted / float(image.mean()), 0.6, 1.7))
    image *= exposure * np.exp(rng.normal(0, 0.05, 3)).astype(np.float32)
    image = _develop(image, rng.uniform(0.95, 1.35))
    blur = rng.uniform(0, 0.8)
    if blur > 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), blur), np.float32)
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(
        rng.uniform(0.002, 0.02)
    )
    # Brightest and darkest reach the ends of the scale, as a camera's own processing sees to.
    taken = np.clip(image * 262 - 3, 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(70, 97))]
    _, data = cv2.imencode(".jpg", taken, quality)
    # Encoded and decoded in the same order: which channel is called red does not matter to it.
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _develop(light: Floats, contrast: float) -> Floats:
    """Turn light into brightness: contrast, with a soft end in black and in white as film has."""
    image = (light - 0.5) * contrast + 0.5
    image = np.where(image > _TOE, image, _TOE * np.exp((image - _TOE) / _TOE))
    room = 1 - _SHOULDER
    bent = _SHOULDER + room * np.tanh((image - _SHOULDER) / room)
    return np.asarray(np.where(image > _SHOULDER, bent, image), np.float32)


def _vignette(height: int, width: int, strength: float) -> Floats:
    """Return how much light reaches each pixel, `[h, w]`: less in the corners."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    return np.asarray(1 - strength * (x**2 + y**2) / 2, np.float32)

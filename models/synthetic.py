"""Drawn portraits with exact masks: the default calibration set, and pictures for tests.

Nothing of them is a photograph, but their statistics are those of photographs: the full range of
bytes, natural spectra, light from a side, noise and compression.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from portrait_tflite.images import Bytes, Floats, prepare
from portrait_tflite.models.synthetic_background import draw_background
from portrait_tflite.models.synthetic_body import draw_body
from portrait_tflite.models.synthetic_face import draw_face, face_relief
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
from portrait_tflite.vocabulary import ModelSpec

Rng = np.random.Generator

# Where, as a share of white, the scale of brightness begins and ceases to be straight.
_TOE, _SHOULDER = 0.06, 0.75
_PROBES = 4  # portraits; logits of a trained net leave 0 to 1 on the first


def draw_inputs(spec: ModelSpec) -> list[Floats]:
    """Draw a few portraits as a network takes them, `[1, h, w, c]`: to see what comes of them."""
    portraits = (draw_portrait(seed, spec.height, spec.width)[0] for seed in range(_PROBES))
    return [prepare(portrait, spec) for portrait in portraits]


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
    person = np.maximum.reduce(cv2.split(painting.regions))
    mask = np.where(person >= 128, 255, 0).astype(np.uint8)
    return _photograph(rng, lit), mask


def _light(rng: Rng, painting: Painting, pose: Pose, palette: Palette) -> Floats:
    """Give every region its texture and the person their shades.

    Returns:
        Planes of red, green and blue, `[3, h, w]`, 0–1 and above. Planes, since NumPy is several
        times slower where the last axis holds three values.
    """
    height, width = painting.albedo.shape[:2]
    skin, hair, cloth = _planes(painting.regions)
    grain = fractal_noise(rng, height, width, coarsest=16)
    strands = streaks(rng, height, width, rng.uniform(-35, 35), rng.uniform(0.25, 0.6))
    folds = streaks(rng, height, width, rng.uniform(-30, 30), rng.uniform(0.02, 0.05))
    factor = 1 + skin * (0.02 * grain + face_relief(rng, pose, height, width))
    factor += hair * (0.2 * strands) + cloth * (rng.uniform(0.01, 0.05) * grain + 0.07 * folds)
    factor *= 1 + (skin + hair + cloth) * (_shade(rng, pose, height, width) - 1)
    colours = _soften(painting.albedo, skin, pose)
    pattern = _pattern(rng, height, width, pose)
    if pattern is not None:
        second = np.array(palette.inner, np.float32)[:, None, None] / 255
        colours += cloth * pattern * (second - colours)
    return np.asarray(colours * factor, np.float32)


def _planes(image: Bytes) -> Floats:
    """Turn bytes `[h, w, 3]` into planes of 0–1, `[3, h, w]`."""
    return np.stack(cv2.split(image)).astype(np.float32) / np.float32(255)


def _soften(albedo: Bytes, skin: Floats, pose: Pose) -> Floats:
    """Blur what is drawn on skin, which has no sharp lines but for the eyes; planes of 0–1."""
    sharp = _planes(albedo)
    blurred = cv2.GaussianBlur(albedo, (0, 0), max(0.3, 0.022 * pose.unit))
    return np.asarray(sharp + 0.75 * skin * (_planes(blurred.astype(np.uint8)) - sharp), np.float32)


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


def _pattern(rng: Rng, height: int, width: int, pose: Pose) -> Floats | None:
    """Return how much of a second colour the cloth shows, `[h, w]`: stripes, checks, a print.

    None where it is plain.
    """
    kind = rng.choice(5, p=[0.45, 0.2, 0.1, 0.1, 0.15])
    if kind == 0:
        return None
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
    """Take the picture: exposure, colour of the light, lens, sensor, compression.

    Returns:
        RGB `[h, w, 3]` of the planes `[3, h, w]`.
    """
    _, height, width = lit.shape
    image = lit * _vignette(height, width, rng.uniform(0, 0.35))
    if rng.random() < 0.06:
        image[:] = image.mean(axis=0)
    # The camera exposes for a middle gray, and does not always hit it.
    wanted = float(np.clip(rng.normal(0.5, 0.11), 0.2, 0.8))
    exposure = float(np.clip(wanted / float(image.mean()), 0.6, 1.7))
    image *= (exposure * np.exp(rng.normal(0, 0.05, 3))).astype(np.float32)[:, None, None]
    image = _develop(image, rng.uniform(0.95, 1.35))
    blur = rng.uniform(0, 0.8)
    if blur > 0.3:
        image = np.stack([cv2.GaussianBlur(plane, (0, 0), blur) for plane in image])
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(
        rng.uniform(0.002, 0.02)
    )
    # Brightest and darkest reach the ends of the scale, as a camera's own processing sees to.
    taken = np.clip(image * 262 - 3, 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(70, 97))]
    # OpenCV calls the first plane blue: so it must, for the picture to be compressed as RGB.
    _, data = cv2.imencode(".jpg", cv2.merge(list(taken[::-1])), quality)
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _develop(light: Floats, contrast: float) -> Floats:
    """Turn light into brightness: contrast, with a soft end in black and in white as film has."""
    image = (light - 0.5) * contrast + 0.5
    # Both ends meet the straight part with its slope, and never quite reach black and white.
    dark = _TOE**2 / (2 * _TOE - np.minimum(image, _TOE))
    over = np.maximum(image - _SHOULDER, 0) / (1 - _SHOULDER)
    bright = (1 - _SHOULDER) * over / np.sqrt(1 + over**2)
    return np.asarray(dark + np.clip(image, _TOE, _SHOULDER) - _TOE + bright, np.float32)


def _vignette(height: int, width: int, strength: float) -> Floats:
    """Return how much light reaches each pixel, `[h, w]`: less in the corners."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    return np.asarray(1 - strength * (x**2 + y**2) / 2, np.float32)

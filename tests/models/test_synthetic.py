"""Drawn portraits: reproducible, of any size, and near photographs in their statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.models.synthetic_texture import fractal_noise, random_colour

_SEEDS = range(40)


@pytest.fixture(scope="module")
def portraits() -> list[tuple[np.ndarray, np.ndarray]]:
    return [draw_portrait(seed, 96, 96) for seed in _SEEDS]


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 2**40), st.integers(16, 120), st.integers(16, 120))
def test_draws_any_seed_at_any_size(seed: int, height: int, width: int) -> None:
    image, mask = draw_portrait(seed, height, width)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert mask.shape == (height, width)
    assert set(np.unique(mask)) <= {0, 255}


def test_is_reproducible() -> None:
    first, second = draw_portrait(7, 64, 48), draw_portrait(7, 64, 48)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_seeds_differ(portraits: list[tuple[np.ndarray, np.ndarray]]) -> None:
    assert len({image.tobytes() for image, _ in portraits}) == len(portraits)


def test_every_picture_holds_a_person_and_a_background(
    portraits: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    shares = np.array([mask.mean() / 255 for _, mask in portraits])
    assert shares.min() > 0.05
    assert shares.max() < 0.95
    assert 0.35 < shares.mean() < 0.65


def test_uses_the_full_range_of_bytes(portraits: list[tuple[np.ndarray, np.ndarray]]) -> None:
    images = np.stack([image for image, _ in portraits])
    assert images.min() == 0
    assert images.max() == 255
    assert 90 < images.mean() < 150


def test_spectrum_falls_as_in_photographs(portraits: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Photographs resized to a net's input: power about frequency^-3, here within 0.6 of it."""
    window = np.hanning(96)[:, None] * np.hanning(96)
    frequency = np.fft.fftfreq(96) * 96
    radius = np.hypot(frequency[:, None], frequency).astype(int).ravel()
    slopes = []
    for image, _ in portraits:
        gray = image.mean(axis=2)
        power = np.abs(np.fft.fft2((gray - gray.mean()) * window)) ** 2
        rings = np.bincount(radius, power.ravel()) / np.bincount(radius)
        slopes.append(np.polyfit(np.log(np.arange(3, 40)), np.log(rings[3:40]), 1)[0])
    assert -3.6 < np.mean(slopes) < -2.4


def test_fractal_noise_is_normalized() -> None:
    noise = fractal_noise(np.random.default_rng(0), 40, 70)
    assert noise.shape == (40, 70)
    assert noise.mean() == pytest.approx(0, abs=1e-4)
    assert noise.std() == pytest.approx(1, abs=1e-3)


def test_colours_are_bytes() -> None:
    rng = np.random.default_rng(0)
    colours = np.array([random_colour(rng, saturation=1) for _ in range(200)])
    assert colours.min() >= 0
    assert colours.max() <= 255

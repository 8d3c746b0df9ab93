"""Choosing few pictures of many: spread over the set, and the same ones every time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait_tflite.quantize.calibration import load_calibration
from portrait_tflite.quantize.calibration.choosing import farthest_first
from portrait_tflite.quantize.checks.thumbnails import features
from portrait_tflite.vocabulary import ModelSpec

_SPEC = ModelSpec(16, 16)


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Ninety dark pictures, which hardly differ, and ten bright ones of all colours."""
    rng = np.random.default_rng(0)
    for number in range(100):
        level = 200 * np.array([number % 2, number // 2 % 2, number // 4 % 2]) + 50
        colour = level if number < 10 else np.array([10, 10, 10])
        noise = rng.integers(-8, 8, (16, 16, 3))
        picture = np.clip(colour + noise, 0, 255).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{number:03}.png"), picture)
    return tmp_path


def test_rare_pictures_are_among_the_chosen(uneven: Path) -> None:
    for seed in range(3):
        chosen = {entry.name for entry in load_calibration(uneven, _SPEC, 25, seed).entries}
        colours = {int(name[:3]) % 8 for name in chosen if int(name[:3]) < 10}
        assert colours == set(range(8))  # by chance two or three of ten would be


def test_the_seed_sets_the_choice(uneven: Path) -> None:
    one, same, other = (load_calibration(uneven, _SPEC, 12, seed) for seed in (1, 1, 2))
    assert one.entries == same.entries
    assert one.entries != other.entries


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
def test_choices_are_far_apart(number: int, count: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(number, 3)).astype(np.float32)
    chosen = farthest_first(points, count)
    assert len(chosen) == len(set(chosen)) == min(number, count)
    assert chosen[0] == 0
    distance = np.linalg.norm(points[:, None] - points[chosen], axis=-1)
    apart = [distance[later, :place].min() for place, later in enumerate(chosen) if place]
    assert apart == sorted(apart, reverse=True)
    if apart:
        # Nothing left is farther from the choice than the choice is within itself.
        assert distance.min(axis=1).max() <= apart[-1] + 1e-6


def test_copies_are_chosen_last() -> None:
    points = np.array([[0.0], [0.0], [1.0], [0.5], [1.0]], np.float32)
    assert farthest_first(points, 5) == [0, 2, 3, 1, 4]


def test_features_tell_layout_and_colour() -> None:
    small = np.zeros((3, 16, 16, 3), np.float32)
    small[0, :8], small[1, 8:] = 1, 1
    small[2] = 0.5
    described = features(small)
    assert described.dtype == np.float32
    distances = np.linalg.norm(described[:, None] - described, axis=-1)
    assert (distances + np.eye(3) > 0.5).all()

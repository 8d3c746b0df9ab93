"""Flicker: counted where the picture is still, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from portrait_tflite.images import Floats
from portrait_tflite.quantize.accuracy.flicker import FlickerMeter
from portrait_tflite.quantize.accuracy.validation import open_samples
from portrait_tflite.quantize.accuracy.verify import verify_variants
from portrait_tflite.vocabulary import ModelSpec

_SPEC = ModelSpec(16, 16)


def _steady(inputs: Floats) -> Floats:
    mask = np.zeros(inputs.shape[1:3], np.float32)
    mask[4:12, 4:12] = 1
    return mask


def _still(count: int, noise: float = 0.0) -> list[Floats]:
    rng = np.random.default_rng(0)
    scene = rng.uniform(0.1, 0.9, (1, 16, 16, 3))
    return [(scene + rng.normal(0, noise, scene.shape)).astype(np.float32) for _ in range(count)]


def _measure(frames: list[Floats], masks: list[Floats]) -> FlickerMeter:
    meter = FlickerMeter(_SPEC)
    for frame, mask in zip(frames, masks, strict=True):
        meter.add(frame, {"float": _steady(frame), "int8": mask})
    return meter


def test_a_mask_that_comes_and_goes_flickers() -> None:
    frames = _still(6, noise=0.01)
    masks = [_steady(frames[0]) if number % 2 else np.zeros((16, 16), np.float32)
             for number in range(6)]  # fmt: skip
    found = _measure(frames, masks).flicker("float", "int8")
    assert found is not None
    assert found.pairs == 5
    assert found.float_model == 0
    assert found.variant == pytest.approx(64 / 256)


def test_a_steady_mask_does_not() -> None:
    frames = _still(4)
    found = _measure(frames, [_steady(frame) for frame in frames]).flicker("float", "int8")
    assert found is not None
    assert (found.float_model, found.variant) == (0, 0)


def test_changes_where_the_picture_changes_are_none() -> None:
    frames = [frame.copy() for frame in _still(2)]
    frames[1][:, :, :8] = 1 - frames[1][:, :, :8]  # the left half is another
    mask = _steady(frames[0])
    changed = mask.copy()
    changed[:, :5] = 1
    found = _measure(frames, [mask, changed]).flicker("float", "int8")
    assert found is not None
    assert found.variant == 0


def test_masks_of_another_size() -> None:
    frames = _still(2)
    masks = [np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)]
    found = _measure(frames, masks).flicker("float", "int8")
    assert found is not None
    assert found.variant == 1


def test_pictures_that_have_nothing_in_common_tell_nothing() -> None:
    rng = np.random.default_rng(1)
    levels = (0.0, 1.0, 0.0)
    frames = [np.full((1, 16, 16, 3), level, np.float32) for level in levels]
    masks = [rng.random((16, 16)).astype(np.float32) for _ in frames]
    assert _measure(frames, masks).flicker("float", "int8") is None


def test_verifying_a_video_measures_it(film: Callable[..., Path]) -> None:
    samples = open_samples(film(8))
    calls = iter(range(100))

    def flickering(inputs: Floats) -> Floats:
        return _steady(inputs) * np.float32(next(calls) % 2)

    variants = {"float": _steady, "int8": flickering}
    scores = verify_variants(_steady, variants, _SPEC, samples, 1, video=True)
    assert scores["int8"].images == 8
    assert not scores["int8"].labelled
    flicker = scores["int8"].flicker
    assert flicker is not None
    assert (flicker.pairs, flicker.float_model) == (7, 0)
    assert flicker.variant == pytest.approx(0.25)
    assert scores["float"].flicker is not None
    assert verify_variants(_steady, variants, _SPEC, samples, 1)["int8"].flicker is None

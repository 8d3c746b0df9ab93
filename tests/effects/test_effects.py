"""Effects against their formulae, written out pixel by pixel, over frames of many shapes."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait_tflite import effects
from portrait_tflite.errors import UsageError
from portrait_tflite.metrics import boundary_f_fine, mae
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.vocabulary import Effect

Array = Any


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    """Draw a frame and its matte; the matte has whole regions of 0 and of 1, as real ones do."""
    height, width = draw(st.integers(1, 23)), draw(st.integers(1, 23))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frame = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    matte = np.clip(rng.normal(0.5, 0.7, (height, width)), 0, 1).astype(np.float32)
    return frame, matte


@settings(deadline=None, max_examples=60)
@given(pairs(), st.integers(0, 2**32 - 1))
def test_blending_is_the_formula(pair: tuple[Array, Array], seed: int) -> None:
    frame, matte = pair
    behind = np.random.default_rng(seed).integers(0, 256, frame.shape, dtype=np.uint8)
    alpha = matte[..., None].astype(np.float64)
    expected = np.floor(alpha * frame + (1 - alpha) * behind + 0.5)
    found = effects.blend(frame, matte, behind)
    # Single and double precision may fall on both sides of a half.
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.01
    np.testing.assert_array_equal(found[matte == 1], frame[matte == 1])
    np.testing.assert_array_equal(found[matte == 0], behind[matte == 0])


@settings(deadline=None, max_examples=25)
@given(pairs(), st.sampled_from([0.01, 0.1, 0.21, 0.6, 1.0]))
def test_blur_is_the_formula(pair: tuple[Array, Array], strength: float) -> None:
    frame, matte = pair
    expected = _blur(frame.astype(np.float64), matte.astype(np.float64), strength)
    np.testing.assert_allclose(
        effects.blur_background(frame, matte, strength), expected, rtol=0, atol=0.02
    )


def _blur(frame: Array, matte: Array, strength: float) -> Array:
    height, width = matte.shape
    sigma = strength * min(height, width)
    k = max(1, math.floor(sigma / 2))
    rows, columns = -(-height // k), -(-width // k)
    cells = np.zeros((rows, columns, 4))
    for y, x in np.ndindex(height, width):
        weight = (1 - matte[y, x]) / k**2
        cells[y // k, x // k] += weight * np.array([*frame[y, x], 1])
    reach = math.ceil(3 * sigma / k)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * (sigma / k) ** 2))
    taps /= taps.sum()
    for axis in (0, 1):
        padded = np.pad(cells, [(reach, reach) if a == axis else (0, 0) for a in range(3)])
        count = cells.shape[axis]
        cells = sum(t * np.take(padded, range(i, i + count), axis) for i, t in enumerate(taps))
    near = _bilinear(_bilinear(cells, height, k, 0), width, k, 1)
    return (near[..., :3] + frame / 256) / (near[..., 3:] + 1 / 256)


def _bilinear(cells: Array, count: int, k: int, axis: int) -> Array:
    at = np.clip((np.arange(count) + 0.5) / k - 0.5, 0, cells.shape[axis] - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, cells.shape[axis] - 1)
    share = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
    return np.take(cells, low, axis) * (1 - share) + np.take(cells, high, axis) * share


@settings(deadline=None, max_examples=20)
@given(pairs(), st.integers(1, 4))
def test_edges_are_the_formula(pair: tuple[Array, Array], step: int) -> None:
    frame, matte = pair
    height, width = matte.shape
    colors = frame / 255
    expected = np.zeros((height, width))
    for y, x in np.ndindex(height, width):
        total = weights = 0.0
        for dy, dx in np.ndindex(5, 5):
            row = min(max(y + step * (dy - 2), 0), height - 1)
            column = min(max(x + step * (dx - 2), 0), width - 1)
            unlike = ((colors[row, column] - colors[y, x]) ** 2).sum()
            near = (dy - 2) ** 2 + (dx - 2) ** 2
            weight = math.exp(-near / 4.5) * math.exp(-unlike / 0.02)
            total += weight * matte[row, column]
            weights += weight
        t = min(max((total / weights - 0.1) / 0.8, 0), 1)
        expected[y, x] = t * t * (3 - 2 * t)
    np.testing.assert_allclose(effects.refine_edges(frame, matte, step), expected, atol=1e-4)


def test_edges_bring_a_coarse_mask_nearer_to_the_person() -> None:
    """On drawn portraits whose mask is a binary one of 60×45: against the mask as it was drawn."""
    before, after = [], []
    for seed in range(4):
        frame, drawn = draw_portrait(seed, 480, 360)
        true = drawn / np.float32(255)
        coarse = cv2.resize(true, (45, 60), interpolation=cv2.INTER_AREA)
        matte = np.asarray(cv2.resize(np.rint(coarse), (360, 480)), np.float32)
        refined = effects.refine_edges(frame, matte, effects.edge_step(480, 360, 60, 45))
        before.append((boundary_f_fine(matte, true), -mae(matte, true)))
        after.append((boundary_f_fine(refined, true), -mae(refined, true)))
    assert (np.mean(after, axis=0) > np.mean(before, axis=0)).all()


def test_the_step_is_a_pixel_of_the_mask() -> None:
    assert effects.edge_step(1280, 720, 256, 256) == 5
    assert effects.edge_step(100, 100, 256, 256) == 1


def test_the_person_does_not_bleed_into_the_blur() -> None:
    frame = np.zeros((40, 40, 3), np.uint8)
    frame[10:30, 10:30] = 255
    matte = (frame[..., 0] / 255).astype(np.float32)
    assert effects.blur_background(frame, matte, 0.1)[matte == 0].max() < 1
    nobody = np.zeros_like(matte)
    assert effects.blur_background(frame, nobody, 0.1)[nobody == 0][0].max() < 10
    assert effects.blur_background(frame, nobody, 0.1)[9, 20].max() > 50


@settings(deadline=None, max_examples=40)
@given(pairs(), st.integers(0, 2**32 - 1))
def test_smoothing_holds_flicker_and_follows_motion(pair: tuple[Array, Array], seed: int) -> None:
    _, mask = pair
    before = np.random.default_rng(seed).random(mask.shape, np.float32)
    found = effects.smooth(mask, before)
    change = np.abs(before - mask)
    expected = mask + 0.7 * np.maximum(0, 1 - change / 0.5) * (before - mask)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(found[change >= 0.5], mask[change >= 0.5])
    assert (found >= np.minimum(mask, before) - 1e-6).all()
    assert (found <= np.maximum(mask, before) + 1e-6).all()
    np.testing.assert_array_equal(effects.smooth(mask, None), mask)


@settings(deadline=None, max_examples=20)
@given(pairs(), st.sampled_from(Effect))
def test_every_effect_keeps_the_size(pair: tuple[Array, Array], effect: Effect) -> None:
    frame, matte = pair
    background = np.full((7, 11, 3), (1, 2, 3), np.uint8)
    shown = effects.apply_effect(effect, frame, matte, background=background, color=(1, 2, 3))
    assert shown.dtype == np.uint8
    assert shown.shape == (*matte.shape, 4 if effect is Effect.CUTOUT else 3)
    if effect is Effect.CUTOUT:
        np.testing.assert_array_equal(shown[..., :3], frame)
        np.testing.assert_array_equal(shown[..., 3], np.floor(matte * np.float32(255) + 0.5))
    if effect is Effect.MASK:
        np.testing.assert_array_equal(shown[..., 1], np.floor(matte * np.float32(255) + 0.5))
    if effect in (Effect.COLOR, Effect.BACKGROUND):
        assert (shown[matte == 0] == (1, 2, 3)).all()


def test_a_background_is_cropped_in_the_middle() -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 200
    assert (effects.cover(wide, 20, 20) == 200).all()


@pytest.mark.parametrize(
    ("frame", "matte"),
    [
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.float32)),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.float32)),
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.float32)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)),
        (np.zeros((0, 4, 3), np.uint8), np.zeros((0, 4), np.float32)),
    ],
)
def test_what_does_not_fit_is_refused(frame: Array, matte: Array) -> None:
    for use in (
        effects.blur_background,
        effects.fill_color,
        lambda f, m: effects.refine_edges(f, m, 1),
        lambda f, m: effects.apply_effect(Effect.MASK, f, m),
    ):
        with pytest.raises(UsageError, match=r"a frame \[h, w, 3\] of uint8 and a matte"):
            use(frame, matte)


def test_what_is_missing_or_out_of_range_is_named() -> None:
    frame, matte = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)
    with pytest.raises(UsageError, match="a background picture is required"):
        effects.apply_effect(Effect.BACKGROUND, frame, matte)
    for strength in (0.0, -1.0, math.nan, 1.5):
        with pytest.raises(UsageError, match="a blur strength above 0"):
            effects.blur_background(frame, matte, strength)
    with pytest.raises(UsageError, match="two masks of one size"):
        effects.smooth(matte, matte[1:])

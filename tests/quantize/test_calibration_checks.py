"""Every check of the calibration pictures, with arrays that must trip it."""

from __future__ import annotations

import numpy as np
import pytest

from portrait_tflite.images import Floats
from portrait_tflite.quantize.calibration_checks import check_inputs, check_skipped
from portrait_tflite.vocabulary import Channels, Check, ModelSpec

_SPEC = ModelSpec(8, 8, input_range=(-1.0, 1.0))


def _inputs(count: int = 120, channels: int = 3) -> Floats:
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (count, 8, 8, channels)).astype(np.float32)


def _named(inputs: Floats, name: str, spec: ModelSpec = _SPEC) -> Check:
    return {check.name: check for check in check_inputs(inputs, spec)}[name]


def test_a_good_set_passes_all() -> None:
    checks = (*check_inputs(_inputs(), _SPEC), check_skipped([], 120))
    assert all(check.passed for check in checks)


def test_too_few_is_a_warning() -> None:
    check = _named(_inputs(99), "enough pictures")
    assert not check.passed
    assert check.level == "warn"
    assert "99 pictures" in check.detail


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_fails(bad: float) -> None:
    inputs = _inputs()
    inputs[3, 0, 0, 0] = bad
    check = _named(inputs, "finite")
    assert not check.passed
    assert check.level == "fail"
    assert check.detail.startswith("1 pictures")


def test_the_same_picture_again_and_again_fails() -> None:
    check = _named(np.repeat(_inputs(1), 100, axis=0), "not all alike")
    assert not check.passed
    assert check.level == "fail"


def test_copies_are_counted() -> None:
    inputs = _inputs()
    inputs[1:4] = inputs[0]
    check = _named(inputs, "no duplicates")
    assert not check.passed
    assert check.level == "warn"
    assert check.detail.startswith("3 pictures")


@pytest.mark.parametrize("scale", [2.0, 127.5])
def test_another_range_fails(scale: float) -> None:
    check = _named(_inputs() * np.float32(scale), "input range")
    assert not check.passed
    assert check.level == "fail"


def test_mean_and_std_are_part_of_the_range() -> None:
    spec = ModelSpec(8, 8, input_range=(0, 1), mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2))
    pixels = np.random.default_rng(0).uniform(0, 1, (120, 8, 8, 3)).astype(np.float32)
    inputs = (pixels - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    assert _named(inputs, "input range", spec).passed
    assert not _named(inputs + 1, "input range", spec).passed


def test_only_dark_pictures_are_a_warning() -> None:
    check = _named(_inputs() * np.float32(0.2) - np.float32(0.8), "dark and bright")
    assert not check.passed
    assert check.level == "warn"


def test_gray_input() -> None:
    spec = ModelSpec(8, 8, channels=Channels.GRAY, input_range=(-1.0, 1.0))
    assert all(check.passed for check in check_inputs(_inputs(channels=1), spec))


def test_skipped_files_are_counted_and_named() -> None:
    check = check_skipped(["d.txt", "a.txt", "b.txt", "c.txt"], 20)
    assert not check.passed
    assert check.level == "warn"
    assert check.detail == "4 skipped (a.txt, b.txt, c.txt, …), 20 used"

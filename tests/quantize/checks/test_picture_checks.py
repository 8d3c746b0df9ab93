"""Every check of the calibration pictures, with arrays that must trip it."""

from __future__ import annotations

import numpy as np
import pytest

from portrait_tflite.images import Floats
from portrait_tflite.quantize.checks.picture_checks import CHECKS, check_inputs, check_skipped
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


@pytest.mark.parametrize(("batches", "passed"), [(12, False), (4, False), (3, True)])
def test_the_same_batch_again_and_again_fails(batches: int, *, passed: bool) -> None:
    check = _named(np.concatenate([_inputs(16)] * batches), "not all alike")
    assert check.passed is passed
    assert check.detail.startswith(f"16 of {16 * batches} pictures differ")
    assert ("next(iter(dataset))" in check.detail) is not passed


def test_one_picture_that_is_never_quite_the_same_fails() -> None:
    """A frozen frame with the noise of a camera, or of a codec."""
    noise = np.random.default_rng(1).normal(0, 0.05, (100, 32, 32, 3)).astype(np.float32)
    for one in _photographs(2):
        for contrast in (1.0, 0.2):
            check = _named(np.clip((one + noise) * np.float32(contrast), -1, 1), "not all alike")
            assert (check.passed, check.level) == (False, "fail")
            assert check.detail.startswith(
                "100 of 100 pictures differ, but all show nearly the same"
            )


def test_different_pictures_in_little_light_are_not_one() -> None:
    dark = _photographs() * np.float32(0.03) - np.float32(0.9)
    assert _named(dark, "not all alike").passed
    assert not _named(dark, "diverse").passed
    plain = np.linspace(-1, -0.98, 100, dtype=np.float32)[:, None, None, None]
    assert _named(np.broadcast_to(plain, (100, 8, 8, 3)).copy(), "not all alike").passed


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


_IMAGENET = ModelSpec(
    8, 8, input_range=(0, 1), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)


@pytest.mark.parametrize(
    ("low", "high", "spec"),
    [
        (0, 1, _SPEC),
        (0, 1, ModelSpec(8, 8, input_range=(0, 255))),
        (0, 1, _IMAGENET),
        (-1, 1, _IMAGENET),
    ],
)
def test_the_range_of_another_network_fails_where_it_lies_inside(
    low: float, high: float, spec: ModelSpec
) -> None:
    inputs = np.random.default_rng(0).uniform(low, high, (120, 8, 8, 3)).astype(np.float32)
    check = _named(inputs, "input range", spec)
    assert (check.passed, check.level) == (False, "fail")
    assert check.detail.endswith(f"as if they were prepared for a network of {low} to {high}")


def test_pictures_of_little_contrast_are_no_other_range() -> None:
    pixels = np.random.default_rng(0).uniform(-0.5, 0.5, (120, 8, 8, 3)).astype(np.float32)
    for inputs in (pixels, pixels - 0.5, pixels * 0.5 + 0.5):
        assert _named(inputs.astype(np.float32), "input range").passed
    assert _named(
        _inputs() * np.float32(0.5) + np.float32(0.5), "input range", ModelSpec(8, 8)
    ).passed


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


def _photographs(count: int = 120, seed: int = 0) -> Floats:
    """Draw what is smooth, as photographs are: 4×4 patches of colour."""
    rng = np.random.default_rng(seed)
    patches = rng.uniform(-1, 1, (count, 4, 4, 3)).astype(np.float32)
    return patches.repeat(8, axis=1).repeat(8, axis=2)


def test_photographs_pass_all() -> None:
    assert all(check.passed for check in check_inputs(_photographs(), _SPEC))


def test_nearly_the_same_pictures_are_a_warning() -> None:
    inputs = _photographs()
    rng = np.random.default_rng(1)
    inputs[5] = np.clip(inputs[3] + rng.normal(0, 0.02, inputs[3].shape), -1, 1)
    inputs[6] = inputs[4]  # an exact copy is another check's affair
    check = _named(inputs, "no near duplicates")
    assert (check.passed, check.level) == (False, "warn")
    assert check.detail.startswith("1 pictures are nearly the same")
    assert _named(inputs, "no duplicates").detail.startswith("1 pictures")


def test_frames_of_one_scene_are_not_diverse() -> None:
    scene = _photographs(1)
    steps = np.random.default_rng(1).normal(0, 0.05, (120, 32, 1, 1)).astype(np.float32)
    check = _named(np.clip(scene + steps, -1, 1), "diverse")
    assert (check.passed, check.level) == (False, "warn")


def test_gray_pictures_in_a_colour_net_are_a_warning() -> None:
    inputs = _photographs()
    inputs[:40] = inputs[:40, ..., :1]
    check = _named(inputs, "in colour")
    assert (check.passed, check.level) == (False, "warn")
    assert check.detail == "40 of 120 pictures are gray"
    inputs[20:40] = _photographs(20, seed=2)
    assert _named(inputs, "in colour").passed  # some there are in any album


def test_gray_pictures_in_a_gray_net_are_right() -> None:
    spec = ModelSpec(8, 8, channels=Channels.GRAY, input_range=(-1.0, 1.0))
    assert _named(_photographs()[..., :1], "in colour", spec).passed


@pytest.mark.parametrize("channels", [Channels.RGB, Channels.GRAY])
def test_masks_among_the_pictures_are_a_warning(channels: Channels) -> None:
    spec = ModelSpec(32, 32, channels=channels, input_range=(-1.0, 1.0))
    inputs = _photographs()[..., : channels.depth].copy()
    assert _named(inputs, "no masks", spec).passed
    inputs[7] = -1
    inputs[7, 8:20, 8:20] = 0.98  # white, as JPEG leaves it
    inputs[7, 8:20, 7] = 0.3  # an edge, as resizing leaves it
    check = _named(inputs, "no masks", spec)
    assert (check.passed, check.level) == (False, "warn")
    assert check.detail.startswith("1 of 120 pictures")


def test_every_check_has_a_name_of_its_own() -> None:
    names = [check.name for check in check_inputs(_photographs(20), _SPEC)]
    assert len(set(names)) == len(names) == len(CHECKS)

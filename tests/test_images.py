from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait_tflite.errors import UsageError
from portrait_tflite.images import (
    fit_image,
    list_images,
    normalize,
    pair_with_masks,
    placement,
    prepare,
    read_image,
    read_mask,
    read_reduced,
    restore_mask,
)
from portrait_tflite.vocabulary import Channels, Fit, Interpolation, ModelSpec

_SIZES = st.integers(8, 90)


def test_normalization_follows_range_mean_and_std() -> None:
    spec = ModelSpec(1, 1, input_range=(-1.0, 1.0), mean=(0.5, 0.0, 0.0), std=(2.0, 1.0, 1.0))
    values = normalize(np.array([[[255, 0, 51]]], np.uint8), spec)
    np.testing.assert_allclose(values[0, 0], [0.25, -1.0, -0.6], atol=1e-6)


def test_channels_are_ordered_as_the_spec_says() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 200  # red
    assert fit_image(image, ModelSpec(4, 4))[0, 0].tolist() == [200, 0, 0]
    assert fit_image(image, ModelSpec(4, 4, Channels.BGR))[0, 0].tolist() == [0, 0, 200]
    assert fit_image(image, ModelSpec(4, 4, Channels.GRAY)).shape == (4, 4, 1)


def test_letterbox_bars_are_black_and_the_aspect_ratio_is_kept() -> None:
    image = np.full((20, 40, 3), 255, np.uint8)
    fitted = fit_image(image, ModelSpec(32, 32, fit=Fit.LETTERBOX))
    assert fitted[:8].max() == 0
    assert fitted[8:24].min() == 255
    assert fitted[24:].max() == 0


def test_crop_sees_the_middle() -> None:
    at = placement(20, 40, ModelSpec(32, 32, fit=Fit.CROP))
    assert (at.left, at.right, at.top, at.bottom) == (10, 30, 0, 20)


@settings(deadline=None, max_examples=60)
@given(height=_SIZES, width=_SIZES, net=st.tuples(_SIZES, _SIZES), fit=st.sampled_from(list(Fit)))
def test_a_mask_comes_back_to_the_pictures_size(
    height: int, width: int, net: tuple[int, int], fit: Fit
) -> None:
    spec = ModelSpec(*net, fit=fit)
    assert prepare(np.zeros((height, width, 3), np.uint8), spec).shape == (1, *net, 3)
    restored = restore_mask(np.ones(net, np.float32), height, width, spec)
    assert restored.shape == (height, width)
    at = placement(height, width, spec)
    assert restored[at.top : at.bottom, at.left : at.right].min() == pytest.approx(1)


def test_a_point_comes_back_to_its_place() -> None:
    for fit in Fit:
        spec = ModelSpec(64, 64, fit=fit)
        image = np.zeros((60, 100, 3), np.uint8)
        image[20:40, 40:60] = 255
        mask = prepare(image, spec)[0, ..., 0]
        restored = restore_mask(mask, 60, 100, spec)
        rows, columns = np.nonzero(restored > 0.5)
        assert rows.mean() == pytest.approx(29.5, abs=1)
        assert columns.mean() == pytest.approx(49.5, abs=1)


def test_binary_masks_of_zero_and_one_are_masks_too(tmp_path: Path) -> None:
    for name, foreground in (("bytes", 255), ("bits", 1)):
        mask = np.zeros((4, 4), np.uint8)
        mask[1:3] = foreground
        cv2.imwrite(str(tmp_path / f"{name}.png"), mask)
        read = read_mask(tmp_path / f"{name}.png")
        assert read is not None
        assert read.max() == 1.0


def test_what_is_no_picture_reads_as_none(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    for path in tmp_path.iterdir():
        assert read_image(path) is None
        assert read_mask(path) is None


def test_pictures_shrink_as_the_spec_says() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[::4, ::4] = 255  # one pixel of sixteen
    seen = {
        how: fit_image(image, ModelSpec(2, 2, interpolation=how)).max() for how in Interpolation
    }
    assert seen == {
        Interpolation.NEAREST: 255,
        Interpolation.BILINEAR: 0,
        Interpolation.AREA: round(255 / 16),
    }


def _touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def test_masks_are_found_by_stem_whatever_their_suffix(tmp_path: Path) -> None:
    images = _touch(tmp_path / "images", "a.jpg", "b.png", "c.jpg")
    masks = _touch(tmp_path / "masks", "a.TIF", "c.bmp", "d.png", "b.txt")
    pairs, missing = pair_with_masks(images, tmp_path / "masks")
    assert pairs == [(images[0], masks[0]), (images[2], masks[1])]
    assert missing == [images[1]]


def test_two_masks_of_one_picture_are_refused(tmp_path: Path) -> None:
    images = _touch(tmp_path / "images", "a.jpg")
    _touch(tmp_path / "masks", "a.png", "a.jpg")
    with pytest.raises(UsageError, match=r"one mask for a\.jpg is required.*a\.jpg and a\.png in"):
        pair_with_masks(images, tmp_path / "masks")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder of images is required. Received: .*missing"):
        list_images(tmp_path / "missing")


@pytest.mark.parametrize(("side", "expected"), [(800, 100), (200, 200)])
def test_large_pictures_are_reduced_and_small_ones_whole(
    tmp_path: Path, side: int, expected: int
) -> None:
    image = np.zeros((side, side + 8, 3), np.uint8)
    image[..., 2] = 250  # red, as OpenCV writes it
    cv2.imwrite(str(tmp_path / "a.jpg"), image)
    reduced = read_reduced(tmp_path / "a.jpg")
    assert reduced is not None
    assert reduced.shape[0] == expected
    assert reduced[..., 0].mean() > 240 > 20 > reduced[..., 2].mean()
    (tmp_path / "b.jpg").write_bytes(b"none")
    assert read_reduced(tmp_path / "b.jpg") is None

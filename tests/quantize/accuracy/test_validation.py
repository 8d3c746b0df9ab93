"""Validation folders: what is a labelled set, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from portrait_tflite.errors import UsageError
from portrait_tflite.quantize.accuracy.validation import Sample, load_validation, read_sample

Build = Callable[..., Path]


def test_images_and_masks_of_the_same_stems_are_labelled(red_folder: Build) -> None:
    folder = red_folder(3)
    (folder / "masks" / "00.png").rename(folder / "masks" / "00.bmp")
    samples = load_validation(folder)
    assert [sample.name for sample in samples] == ["00.png", "01.png", "02.png"]
    assert samples[0].label == folder / "masks" / "00.bmp"
    decoded = read_sample(samples[0])
    assert decoded is not None
    assert decoded.label is not None
    assert decoded.label.shape == decoded.image.shape[:2]


def test_images_alone_and_flat_folders_are_unlabelled(red_folder: Build) -> None:
    folder = red_folder(2, labelled=False)
    for place in (folder, folder / "images"):
        samples = load_validation(place)
        assert [sample.label for sample in samples] == [None, None]


def test_missing_masks_are_counted_and_the_first_is_named(red_folder: Build) -> None:
    folder = red_folder(4)
    (folder / "masks" / "01.png").unlink()
    (folder / "masks" / "03.png").unlink()
    with pytest.raises(UsageError, match=r"2 of 4 images without one, first 01\.png"):
        load_validation(folder)


def test_masks_without_images_are_refused_rather_than_ignored(red_folder: Build) -> None:
    folder = red_folder(1)
    (folder / "images").rename(folder / "photos")
    with pytest.raises(UsageError, match=r"images/ beside masks/ is required"):
        load_validation(folder)


def test_a_mask_of_another_size_is_named_with_both_sizes(red_folder: Build) -> None:
    folder = red_folder(2)
    cv2.imwrite(str(folder / "masks" / "01.png"), np.zeros((12, 16), np.uint8))
    with pytest.raises(UsageError, match=r"32×24 here.*01\.png of 16×12 for 01\.png"):
        load_validation(folder)


def test_a_mask_that_is_no_picture_is_named(red_folder: Build) -> None:
    folder = red_folder(1)
    (folder / "masks" / "00.png").write_bytes(b"not a picture")
    with pytest.raises(UsageError, match=r"can be read is required.*00\.png"):
        load_validation(folder)


@pytest.mark.parametrize("exists", [True, False])
def test_folders_without_pictures_are_refused(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "nothing"
    if exists:
        folder.mkdir()
    with pytest.raises(UsageError, match=r"required.*Received.*nothing"):
        load_validation(folder)


def test_a_picture_that_cannot_be_decoded_is_none(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 cut off")
    assert read_sample(Sample("broken.jpg", path)) is None

"""Choosing, reading and recording calibration pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from portrait_tflite.errors import UsageError
from portrait_tflite.images import prepare, read_image
from portrait_tflite.quantize.accuracy.scoring import prepare_sample
from portrait_tflite.quantize.accuracy.validation import Sample
from portrait_tflite.quantize.calibration import (
    calibration_images,
    hold_out,
    load_calibration,
    manifest,
    representative_dataset,
)
from portrait_tflite.quantize.pictures import PictureRequest, gather_pictures
from portrait_tflite.vocabulary import Channels, Check, Fit, Interpolation, ModelSpec

_SPEC = ModelSpec(16, 24, input_range=(-1.0, 1.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty different pictures."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for number in range(20):
        cv2.imwrite(str(pictures / f"{number:02}.png"), rng.integers(0, 256, (20, 20, 3), np.uint8))
    return pictures


def _check(checks: tuple[Check, ...], name: str) -> Check:
    return {check.name: check for check in checks}[name]


def test_reads_a_folder(folder: Path) -> None:
    calibration = load_calibration(folder, _SPEC, count=12)
    assert calibration.inputs.shape == (12, 16, 24, 3)
    assert calibration.inputs.dtype == np.float32
    assert calibration.record.images == 12
    assert len({entry.name for entry in calibration.entries}) == 12
    image = read_image(folder / calibration.entries[5].name)
    assert image is not None
    assert np.array_equal(calibration.inputs[5:6], prepare(image, _SPEC))


def test_choice_is_set_by_the_seed(folder: Path) -> None:
    first, same = (load_calibration(folder, _SPEC, 10, seed=1) for _ in range(2))
    other = load_calibration(folder, _SPEC, 10, seed=2)
    assert first.entries == same.entries
    assert first.record.sha256 == same.record.sha256
    assert first.entries != other.entries


def test_reads_images_beside_masks(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    folder.rename(tmp_path / "images")
    assert len(calibration_images(tmp_path)) == 20
    assert load_calibration(tmp_path, _SPEC).record.images == 20


def test_few_pictures_are_a_warning(folder: Path) -> None:
    record = load_calibration(folder, _SPEC).record
    assert record.images == 20
    check = _check(record.checks, "enough pictures")
    assert not check.passed
    assert check.level == "warn"


def test_other_files_are_skipped_and_counted(folder: Path) -> None:
    (folder / "notes.txt").write_text("no picture")
    (folder / "broken.jpg").write_bytes(b"no picture either")
    (folder / "empty.png").write_bytes(b"")
    record = load_calibration(folder, _SPEC).record
    check = _check(record.checks, "only pictures")
    assert record.images == 20
    assert check.detail == "3 skipped (broken.jpg, empty.png, notes.txt), 20 used"


def test_excluded_pictures_are_not_used(folder: Path) -> None:
    kept = frozenset(folder / f"{number:02}.png" for number in range(5))
    names = {entry.name for entry in load_calibration(folder, _SPEC, exclude=kept).entries}
    assert names == {f"{number:02}.png" for number in range(5, 20)}


def test_copies_are_a_warning(folder: Path) -> None:
    (folder / "copy.png").write_bytes((folder / "00.png").read_bytes())
    assert not _check(load_calibration(folder, _SPEC).record.checks, "no duplicates").passed


def test_fewer_than_eight_are_refused(folder: Path) -> None:
    for number in range(13):
        (folder / f"{number:02}.png").write_bytes(b"")
    with pytest.raises(UsageError, match=r"at least 8 pictures .* with 7, 13 files that are none"):
        load_calibration(folder, _SPEC)


def test_eight_left_after_exclusion_are_required(folder: Path) -> None:
    kept = frozenset(sorted(folder.iterdir())[:13])
    with pytest.raises(UsageError, match="with 7, 13 kept for scoring"):
        load_calibration(folder, _SPEC, exclude=kept)


def test_the_same_picture_under_many_names_is_refused(folder: Path) -> None:
    data = (folder / "00.png").read_bytes()
    for path in folder.iterdir():
        path.write_bytes(data)
    with pytest.raises(UsageError, match="1 of 20 pictures differ"):
        load_calibration(folder, _SPEC)


@pytest.mark.parametrize("name", ["missing", "file.txt"])
def test_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(UsageError, match="folder of images is required"):
        load_calibration(tmp_path / name, _SPEC)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"at least 8 pictures .* with 0"):
        load_calibration(tmp_path, _SPEC)


def test_folder_that_cannot_be_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)  # the tests may run as root
    with pytest.raises(UsageError, match=r"can be read is required.*Permission denied"):
        load_calibration(folder, _SPEC)


@pytest.fixture
def locked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Three pictures that the system does not let one read; the tests may run as root."""
    paths = {folder / f"{number:02}.png" for number in range(3)}
    real_bytes, real_array = Path.read_bytes, np.fromfile

    def require(path: Path) -> None:
        if path in paths:
            raise PermissionError(13, "Permission denied", str(path))

    def read_bytes(self: Path) -> bytes:
        require(self)
        return real_bytes(self)

    def fromfile(file: Path, **options: Any) -> Any:
        require(file)
        return real_array(file, **options)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(np, "fromfile", fromfile)
    return paths


def test_pictures_that_may_not_be_read_are_skipped_and_counted(
    folder: Path, locked: set[Path]
) -> None:
    pictures = gather_pictures(
        PictureRequest(str(folder)), _SPEC, folder / "drawn", needed=True, zoo=False
    )
    assert not locked & {sample.image for sample in pictures.samples}
    assert pictures.calibration is not None
    assert pictures.calibration.record.images == 17 - len(pictures.samples)
    check = _check(pictures.calibration.record.checks, "only pictures")
    assert check.detail.startswith("3 skipped (00.png, 01.png, 02.png)")


def test_nothing_is_held_out_of_what_may_not_be_read(locked: set[Path]) -> None:
    paths = sorted(locked)
    assert hold_out(paths) == (paths, [])


@pytest.mark.parametrize("interpolation", list(Interpolation))
def test_calibrates_on_what_is_later_scored(folder: Path, interpolation: Interpolation) -> None:
    spec = ModelSpec(7, 9, fit=Fit.CROP, interpolation=interpolation)
    calibration = load_calibration(folder, spec, count=8)
    for entry, array in zip(calibration.entries, calibration.inputs, strict=True):
        scored = prepare_sample(Sample(entry.name, folder / entry.name), spec)
        assert scored is not None
        assert np.array_equal(scored.input[0], array)


def test_count_below_eight_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--calibration-count must be 8 or more.* Received: 0"):
        load_calibration("synthetic", _SPEC, count=0)


def test_draws_portraits() -> None:
    spec = ModelSpec(24, 24, channels=Channels.GRAY, input_range=(0.0, 255.0))
    calibration = load_calibration("synthetic", spec, count=10)
    again = load_calibration("synthetic", spec, count=10)
    other = load_calibration("synthetic", spec, count=10, seed=1)
    assert calibration.inputs.shape == (10, 24, 24, 1)
    assert calibration.record == again.record
    assert calibration.entries[3].sha256 == "synthetic:3"
    assert not {e.sha256 for e in other.entries} & {e.sha256 for e in calibration.entries}


def test_representative_dataset_gives_every_picture_once(folder: Path) -> None:
    calibration = load_calibration(folder, _SPEC)
    dataset = representative_dataset(calibration)
    for _ in range(2):  # the converter may ask twice
        pictures = [picture for (picture,) in dataset()]
        assert all(picture.shape == (1, 16, 24, 3) for picture in pictures)
        assert len({picture.tobytes() for picture in pictures}) == 20


def test_manifest_is_json_and_names_every_picture(folder: Path) -> None:
    written = json.loads(json.dumps(manifest(load_calibration(folder, _SPEC))))
    assert written["schema"] == 1
    assert written["images"] == len(written["entries"]) == 20
    assert all(len(entry["sha256"]) == 64 for entry in written["entries"])


def test_holds_out_a_fifth_by_content(folder: Path) -> None:
    paths = calibration_images(folder)
    kept, held = hold_out(paths)
    assert len(held) == 4
    assert sorted(kept + held) == paths
    renamed = [path.rename(path.with_stem(f"new-{path.stem}")) for path in paths]
    assert [path.name.removeprefix("new-") for path in hold_out(renamed)[1]] == [
        path.name for path in held
    ]


def test_copies_never_lie_on_both_sides(folder: Path) -> None:
    for path in calibration_images(folder):
        path.with_stem(f"{path.stem}-copy").write_bytes(path.read_bytes())
    kept, held = hold_out(calibration_images(folder))
    assert not {p.read_bytes() for p in kept} & {p.read_bytes() for p in held}


def test_holding_out_of_nothing() -> None:
    assert hold_out([]) == ([], [])

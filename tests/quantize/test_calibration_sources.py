"""Array files, videos and manifests as calibration pictures, and what is held out of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from portrait_tflite.errors import UsageError
from portrait_tflite.images import Bytes, Floats, normalize, prepare
from portrait_tflite.quantize.accuracy.validation import read_sample
from portrait_tflite.quantize.calibration import CalibrationSet, load_calibration, manifest
from portrait_tflite.quantize.pictures import PictureRequest, Pictures, gather_pictures
from portrait_tflite.vocabulary import Channels, Check, ModelSpec

_SPEC = ModelSpec(16, 24, input_range=(-1.0, 1.0))


def _pixels(count: int = 20, height: int = 20, width: int = 20) -> Bytes:
    """Draw patches of colour: photographs are as smooth."""
    patches = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)
    return np.stack([cv2.resize(one, (width, height)) for one in patches])


def _check(calibration: CalibrationSet, name: str) -> Check:
    return {check.name: check for check in calibration.record.checks}[name]


def _gather(source: Path, folder: Path, spec: ModelSpec = _SPEC, count: int = 200) -> Pictures:
    request = PictureRequest(str(source), count)
    return gather_pictures(request, spec, folder / "held", needed=True, zoo=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty pictures in files."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, picture in enumerate(_pixels()):
        cv2.imwrite(str(pictures / f"{number:02}.png"), picture)
    return pictures


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_bytes_of_an_array_are_prepared_as_files_are(tmp_path: Path, suffix: str) -> None:
    path, pixels = tmp_path / f"faces{suffix}", _pixels()
    if suffix == ".npy":
        np.save(path, pixels)
    else:
        np.savez(path, images=pixels, labels=np.zeros(20))
    calibration = load_calibration(path, _SPEC)
    assert calibration.record.images == 20
    for entry, array in zip(calibration.entries, calibration.inputs, strict=True):
        number = int(entry.name.removeprefix(f"faces{suffix}#"))
        assert np.array_equal(array, prepare(pixels[number], _SPEC)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_what_the_network_gets(tmp_path: Path, dtype: type) -> None:
    inputs = normalize(_pixels(12, 16, 24), _SPEC)
    np.save(tmp_path / "x.npy", inputs.astype(dtype))
    calibration = load_calibration(tmp_path / "x.npy", _SPEC)
    assert calibration.inputs.dtype == np.float32
    assert {a.tobytes() for a in calibration.inputs} == {a.tobytes() for a in inputs}


def test_floats_of_another_range_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", _pixels(12, 16, 24).astype(np.float32))
    with pytest.raises(UsageError, match=r"values are 0 to \d+, of -1 to 1 possible"):
        load_calibration(tmp_path / "x.npy", _SPEC)


def test_floats_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    inputs = normalize(_pixels(12, 16, 24), _SPEC)
    inputs[2, 0, 0, 0] = np.nan
    np.save(tmp_path / "x.npy", inputs)
    with pytest.raises(UsageError, match=r"1 pictures hold NaN or infinity"):
        load_calibration(tmp_path / "x.npy", _SPEC)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((12, 16, 24, 3), np.int64),
        np.zeros((12, 16, 24), np.uint8),
        np.zeros((12, 8, 8, 3), np.float32),
        np.zeros((12, 16, 24, 3), bool),
        np.float32(3),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: Floats) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(UsageError, match=r"uint8 RGB pictures .*floats \[n, 16, 24, 3\].*x\.npy"):
        load_calibration(tmp_path / "x.npy", _SPEC)


def test_an_npz_of_several_unnamed_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=_pixels(), b=_pixels())
    with pytest.raises(UsageError, match=r"one called 'images'.* with a, b"):
        load_calibration(tmp_path / "x.npz", _SPEC)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".json", ".mp4"])
def test_broken_files_are_refused_in_a_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"\x93NUMPY" if suffix == ".npy" else b"PK\x03\x04 broken")
    with pytest.raises(UsageError, match="required. Received:") as refused:
        load_calibration(path, _SPEC)
    assert "\n" not in str(refused.value)
    with pytest.raises(UsageError, match="nothing there"):
        load_calibration(tmp_path / f"missing{suffix}", _SPEC)


def test_pickled_objects_are_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match="cannot be read"):
        load_calibration(tmp_path / "x.npy", _SPEC)


def test_frames_are_spread_over_a_video(film: Callable[..., Path]) -> None:
    path = film(100)
    calibration = load_calibration(path, ModelSpec(16, 24), count=10)
    numbers = [int(entry.name.removeprefix("clip.mp4#")) for entry in calibration.entries]
    assert numbers == sorted(numbers)
    assert len(numbers) == 10
    assert numbers[0] < 15
    assert numbers[-1] > 85
    red = calibration.inputs[..., 0].mean(axis=(1, 2)) * 255
    assert np.allclose(red, [2 * number for number in numbers], atol=4)


def test_the_end_of_a_video_is_held_out(film: Callable[..., Path], tmp_path: Path) -> None:
    pictures = _gather(film(100), tmp_path, ModelSpec(16, 24), count=16)
    assert pictures.calibration is not None
    used = [int(entry.name.split("#")[1]) for entry in pictures.calibration.entries]
    held = [int(sample.name.split("#")[1]) for sample in pictures.samples]
    assert len(used) == 16
    assert len(held) == 4
    assert max(used) < min(held)


def test_a_fifth_of_an_array_is_held_out_as_pictures(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", _pixels())
    pictures = _gather(tmp_path / "x.npy", tmp_path)
    assert pictures.calibration is not None
    assert len(pictures.samples) == 4
    assert pictures.calibration.record.images == 16
    for sample in pictures.samples:
        decoded = read_sample(sample)
        assert decoded is not None
        assert np.array_equal(decoded.image, _pixels()[int(sample.name.split("#")[1])])
    assert _check(pictures.calibration, "none scored on").passed


@pytest.mark.parametrize("channels", list(Channels))
def test_floats_are_held_out_as_the_pictures_they_were(tmp_path: Path, channels: Channels) -> None:
    spec = ModelSpec(16, 24, channels, mean=(0.5,), std=(0.25,))
    pixels = _pixels(20, 16, 24)
    inputs = np.concatenate([prepare(picture, spec) for picture in pixels])
    np.save(tmp_path / "x.npy", inputs)
    for sample in _gather(tmp_path / "x.npy", tmp_path, spec).samples:
        decoded = read_sample(sample)
        assert decoded is not None
        again = prepare(decoded.image, spec)
        assert np.allclose(again, inputs[int(sample.name.split("#")[1])], atol=1e-5)


@pytest.mark.parametrize("number", range(0, 20, 3))
def test_no_picture_with_nan_escapes_by_being_held_out(tmp_path: Path, number: int) -> None:
    inputs = normalize(_pixels(20, 16, 24), _SPEC)
    inputs[number, 5, 5] = np.inf
    np.save(tmp_path / "x.npy", inputs)
    with pytest.raises(UsageError, match="NaN or infinity"):
        _gather(tmp_path / "x.npy", tmp_path)


def test_the_same_array_again_and_again_is_refused(tmp_path: Path) -> None:
    """`next(iter(ds))` in a generator."""
    np.save(tmp_path / "x.npy", np.repeat(_pixels(1), 100, axis=0))
    with pytest.raises(UsageError, match="1 of 100 pictures differ"):
        _gather(tmp_path / "x.npy", tmp_path)


def _written(calibration: CalibrationSet, path: Path) -> Path:
    path.write_text(json.dumps(manifest(calibration)))
    return path


@pytest.mark.parametrize("kind", ["folder", "array", "video", "synthetic"])
def test_a_manifest_gives_the_same_set_again(
    folder: Path, tmp_path: Path, film: Callable[..., Path], kind: str
) -> None:
    np.save(tmp_path / "x.npy", _pixels())
    sources = {"folder": folder, "array": tmp_path / "x.npy", "synthetic": "synthetic"}
    source = film(60) if kind == "video" else sources[kind]
    spec = ModelSpec(16, 24)
    first = load_calibration(source, spec, count=9, seed=3)
    path = _written(first, tmp_path / "calibration.json")
    again = load_calibration(path, spec)
    assert again.entries == first.entries
    assert again.inputs.tobytes() == first.inputs.tobytes()
    assert _check(again, "as in the manifest").passed
    # What was made from a manifest says so in the same words.
    assert manifest(again)["entries"] == manifest(first)["entries"]
    third = load_calibration(_written(again, tmp_path / "again.json"), spec)
    assert third.record.sha256 == first.record.sha256


def test_a_manifest_holds_out_what_it_held_out(folder: Path, tmp_path: Path) -> None:
    first = _gather(folder, tmp_path)
    assert first.calibration is not None
    path = _written(first.calibration, tmp_path / "calibration.json")
    for number, added in enumerate(_pixels(60)[20:]):
        cv2.imwrite(str(folder / f"added-{number}.png"), added)
    again = _gather(path, tmp_path)
    assert again.samples == first.samples
    assert again.calibration is not None
    assert again.calibration.record.sha256 == first.calibration.record.sha256
    assert manifest(again.calibration)["held_out"] == manifest(first.calibration)["held_out"]
    first.samples[0].image.unlink()
    with pytest.raises(UsageError, match=rf"1 missing, first {first.samples[0].name}"):
        _gather(path, tmp_path)


def test_a_manifest_without_a_word_on_what_was_held_out(folder: Path, tmp_path: Path) -> None:
    first = _gather(folder, tmp_path)
    assert first.calibration is not None
    written = manifest(first.calibration)
    del written["held_out"]
    (tmp_path / "older.json").write_text(json.dumps(written))
    assert _gather(tmp_path / "older.json", tmp_path).samples == first.samples


def test_a_manifest_that_leaves_a_few_pictures(folder: Path, tmp_path: Path) -> None:
    path = _written(load_calibration(folder, _SPEC, 12), tmp_path / "calibration.json")
    again = _gather(path, tmp_path)
    assert 0 < len(again.samples) < 4
    assert again.scored_on == f"pictures of {folder} that {path} does not calibrate on"
    assert again.calibration is not None
    assert _check(again.calibration, "none scored on").passed


@pytest.mark.parametrize("name", ["calibration.json", "first.json"])
def test_a_manifest_among_its_pictures_is_no_odd_file(folder: Path, name: str) -> None:
    path = _written(load_calibration(folder, _SPEC, 9), folder / name)
    assert _check(load_calibration(path, _SPEC), "only pictures").passed
    (folder / "other.json").write_text("{}")
    check = _check(load_calibration(path, _SPEC), "only pictures")
    assert check.detail == "1 skipped (other.json), 9 used"


def test_a_folder_with_a_manifest_has_no_odd_file(folder: Path) -> None:
    _written(load_calibration(folder, _SPEC, 9), folder / "calibration.json")
    assert _check(load_calibration(folder, _SPEC), "only pictures").passed


def test_a_manifest_for_another_network_is_told(folder: Path, tmp_path: Path) -> None:
    path = _written(load_calibration(folder, _SPEC, 9), tmp_path / "calibration.json")
    check = _check(load_calibration(path, ModelSpec(8, 8)), "as in the manifest")
    assert (check.passed, check.level) == (False, "warn")


def test_a_manifest_whose_pictures_moved_with_it(folder: Path, tmp_path: Path) -> None:
    data = manifest(load_calibration(folder, _SPEC, 9))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.rename(elsewhere / "pictures")
    (elsewhere / "calibration.json").write_text(json.dumps({**data, "source": "pictures"}))
    assert load_calibration(elsewhere / "calibration.json", _SPEC).record.images == 9
    gone = (elsewhere / "pictures").rename(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"required where they were, or beside.*nothing there"):
        load_calibration(elsewhere / "calibration.json", _SPEC)
    for inside in (gone, gone / "images"):  # the manifest among the pictures, or beside images/
        inside.mkdir(exist_ok=True)
        for picture in gone.glob("*.png"):
            picture.rename(inside / picture.name)
        (gone / "calibration.json").write_text(json.dumps(data))
        again = load_calibration(gone / "calibration.json", _SPEC)
        assert again.record.sha256 == data["sha256"]


def test_a_manifest_finds_an_array_that_moved_with_it(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", _pixels())
    first = load_calibration(tmp_path / "x.npy", _SPEC, 9)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "x.npy").rename(elsewhere / "x.npy")
    again = load_calibration(_written(first, elsewhere / "calibration.json"), _SPEC)
    assert again.record.sha256 == first.record.sha256


def test_a_manifest_refuses_missing_and_changed_pictures(folder: Path, tmp_path: Path) -> None:
    calibration = load_calibration(folder, _SPEC, 9)
    path = _written(calibration, tmp_path / "calibration.json")
    name = calibration.entries[2].name
    kept = (folder / name).read_bytes()
    cv2.imwrite(str(folder / name), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(UsageError, match=rf"unchanged.*Received: another {name}"):
        load_calibration(path, _SPEC)
    (folder / name).unlink()
    with pytest.raises(UsageError, match=rf"Received: 1 missing, first {name}"):
        load_calibration(path, _SPEC)
    (folder / name).write_bytes(kept)
    assert load_calibration(path, _SPEC).record.sha256 == calibration.record.sha256


def test_pictures_that_are_scored_on_are_found(folder: Path, tmp_path: Path) -> None:
    validation = tmp_path / "val"
    validation.mkdir()
    rng = np.random.default_rng(1)
    cv2.imwrite(str(validation / "new.png"), rng.integers(0, 256, (20, 20, 3), np.uint8))
    request = PictureRequest(str(folder), validation=validation)

    def check() -> Check:
        found = gather_pictures(request, _SPEC, tmp_path / "held", needed=True, zoo=False)
        assert found.calibration is not None
        return _check(found.calibration, "none scored on")

    assert check().passed
    (validation / "same.png").write_bytes((folder / "03.png").read_bytes())
    again = cv2.resize(cv2.imread(str(folder / "05.png")), (40, 40))
    cv2.imwrite(str(validation / "anew.jpg"), again, [cv2.IMWRITE_JPEG_QUALITY, 97])
    found = check()
    assert (found.passed, found.level) == (False, "warn")
    assert "1 scored pictures are calibrated on (same.png)" in found.detail
    assert "1 nearly the same (anew.jpg)" in found.detail

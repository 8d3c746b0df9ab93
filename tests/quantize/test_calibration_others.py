"""Arrays for a network that takes more than the picture: read, checked, held out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portrait_tflite.errors import UsageError
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.quantize.accuracy.array_samples import require_arrays, samples_of_arrays
from portrait_tflite.quantize.accuracy.scoring import prepare_sample
from portrait_tflite.quantize.calibration import CalibrationSet, load_calibration, manifest
from portrait_tflite.quantize.calibration.manifest import read_manifest
from portrait_tflite.quantize.calibration.sources import names_of_arrays
from portrait_tflite.quantize.pictures import PictureRequest, Pictures, gather_pictures
from portrait_tflite.report.files import write_json
from portrait_tflite.vocabulary import Check, ModelSpec, OtherInput, StateSpec

_ROWS, _SIZE = 20, 16
_OTHERS = (OtherInput(1, "trimap", (_SIZE, _SIZE, 1)), OtherInput(2, "level", (1,)))
_SPEC = ModelSpec(_SIZE, _SIZE, others=_OTHERS)


def _arrays() -> dict[str, Any]:
    """The level of a row is its number: by that its trimap is known, and its picture."""
    pictures = np.stack([draw_portrait(n, _SIZE, _SIZE)[0] for n in range(_ROWS)])
    numbers = np.arange(_ROWS, dtype=np.float32)
    trimaps = np.broadcast_to(numbers[:, None, None, None], (_ROWS, _SIZE, _SIZE, 1))
    return {"images": pictures, "trimap": trimaps / _ROWS, "level": numbers[:, None]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.savez(tmp_path / "inputs.npz", **_arrays())
    return tmp_path / "inputs.npz"


def _check(calibration: CalibrationSet, name: str) -> Check:
    return {check.name: check for check in calibration.record.checks}[name]


def _gather(source: str, folder: Path, *, needed: bool = True) -> Pictures:
    request = PictureRequest(source, 40)
    return gather_pictures(request, _SPEC, folder / "held", needed=needed, zoo=False)


def test_rows_stay_beside_their_pictures(path: Path, tmp_path: Path) -> None:
    pictures = _gather(str(path), tmp_path)
    calibration = pictures.calibration
    assert calibration is not None
    assert len(calibration.inputs) + len(pictures.samples) == _ROWS
    for number, entry in enumerate(calibration.entries):
        row = int(entry.name.split("#")[1])
        assert calibration.others["level"][number].tolist() == [row]
        assert np.allclose(calibration.others["trimap"][number], row / _ROWS)
    for sample in pictures.samples:
        row = int(sample.name.split("#")[1])
        assert sample.others["level"].tolist() == [[row]]
        prepared = prepare_sample(sample, _SPEC)
        assert prepared is not None
        picture, others = prepared.input
        assert np.allclose(picture[0] * 255, _arrays()["images"][row], atol=1e-3)
        assert others is sample.others
    assert _check(calibration, "other inputs").passed
    assert "trimap 0 to" in _check(calibration, "other inputs").detail


def test_the_digest_knows_other_rows(path: Path) -> None:
    before = load_calibration(path, _SPEC)
    np.savez(path, **{**_arrays(), "level": _arrays()["level"] + 1})
    assert load_calibration(path, _SPEC).record.sha256 != before.record.sha256


def test_a_manifest_brings_the_rows_again(path: Path, tmp_path: Path) -> None:
    before = _gather(str(path), tmp_path).calibration
    assert before is not None
    written = tmp_path / "calibration.json"
    write_json(written, manifest(before))
    assert read_manifest(written).source == str(path)
    assert names_of_arrays(str(written)) == names_of_arrays(str(path)) == tuple(_arrays())
    again = load_calibration(written, _SPEC)
    assert np.array_equal(again.others["level"], before.others["level"])
    assert _check(again, "as in the manifest").passed


def test_one_number_in_all_rows_is_warned_of(path: Path) -> None:
    np.savez(path, **{**_arrays(), "level": np.full((_ROWS, 1), 0.5)})
    check = _check(load_calibration(path, _SPEC), "other inputs")
    assert (check.passed, check.level) == (False, "warn")
    assert "level is always 0.5" in check.detail


def test_drawn_portraits_come_with_noise(tmp_path: Path) -> None:
    pictures = _gather("synthetic", tmp_path)
    calibration = pictures.calibration
    assert calibration is not None
    assert calibration.others["trimap"].shape == (40, _SIZE, _SIZE, 1)
    assert "noise of 0 to 1" in _check(calibration, "other inputs").detail
    levels = [float(sample.others["level"][0, 0]) for sample in pictures.samples]
    assert len(set(levels)) == len(levels)
    assert 0 <= min(levels) < max(levels) <= 1
    assert not set(levels) & set(calibration.others["level"][:, 0].tolist())


def _nan(rows: Any) -> Any:
    rows = rows.copy()
    rows[3, 0] = np.nan
    return rows


@pytest.mark.parametrize(
    ("change", "received"),
    [
        (lambda a: a.pop("trimap"), "no 'trimap' among images, level"),
        (lambda a: a.update(tri=a.pop("trimap")), "no 'trimap' among images, level, tri"),
        (lambda a: a.update(trimap=a["trimap"][:, :8]), r"float32 \[20, 8, 16, 1\]"),
        (lambda a: a.update(level=a["level"][:, 0]), r"'level' of float32 \[20\]"),
        (lambda a: a.update(level=a["level"].astype(np.uint8)), "'level' of uint8"),
        (lambda a: a.update(level=_nan(a["level"])), "NaN or infinity in 1 rows of 'level'"),
        (lambda a: a.update(level=a["level"][1:]), "19 rows of 'level' for 20 pictures"),
        (lambda a: a.update(level=np.array([object()] * 20)), "cannot be read"),
        (lambda a: a.update(a=a.pop("images"), b=a["trimap"]), "with a, b"),
        (lambda a: a.pop("images"), "with none"),
    ],
)
def test_unfit_arrays_are_refused(
    path: Path, change: Callable[[dict[str, Any]], Any], received: str
) -> None:
    arrays = _arrays()
    change(arrays)
    np.savez(path, **arrays)
    for read in (load_calibration, samples_of_arrays):
        with pytest.raises(UsageError, match=received) as caught:
            read(path, _SPEC)
        assert "\n" not in str(caught.value)


def test_pictures_alone_are_refused(tmp_path: Path) -> None:
    wanted = r"an \.npz with 'images' and .* trimap \[n, 16, 16, 1\], level \[n, 1\].* is required"
    np.save(tmp_path / "pictures.npy", _arrays()["images"])
    (tmp_path / "folder").mkdir()
    for name in ("pictures.npy", "folder", "clip.mp4"):
        with pytest.raises(UsageError, match=wanted):
            load_calibration(tmp_path / name, _SPEC)
        with pytest.raises(UsageError, match=wanted):
            require_arrays(tmp_path / name, _SPEC)
    require_arrays(tmp_path / "folder", ModelSpec(_SIZE, _SIZE))
    with pytest.raises(UsageError, match=r"--calibration FILE\.npz is required.* level \[n, 1\]"):
        gather_pictures(PictureRequest(), _SPEC, tmp_path, needed=True, zoo=False)


def test_float_files_need_no_arrays(tmp_path: Path) -> None:
    request = PictureRequest()
    pictures = gather_pictures(request, _SPEC, tmp_path / "drawn", needed=False, zoo=False)
    assert pictures.calibration is None
    assert all(sample.others["trimap"].shape[0] == 1 for sample in pictures.samples)


def test_pictures_of_an_array_file_are_scored_on_as_well(path: Path) -> None:
    samples = samples_of_arrays(path, ModelSpec(_SIZE, _SIZE))
    assert len(samples) == _ROWS
    assert not any(sample.others for sample in samples)
    assert np.array_equal(samples[3].pixels, _arrays()["images"][3])


@pytest.mark.parametrize(
    "spec",
    [_SPEC, ModelSpec(_SIZE, _SIZE, state=StateSpec(1, None, 0.0, 0))],
    ids=["others", "mask"],
)
def test_an_array_that_goes_to_no_input_is_refused(spec: ModelSpec, path: Path) -> None:
    np.savez(path, **_arrays(), guid=np.zeros((_ROWS, _SIZE, _SIZE, 1), np.float32))
    with pytest.raises(UsageError, match="which no input is called"):
        load_calibration(path, spec)


def test_labels_beside_pictures_alone_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "labelled.npz"
    np.savez(path, images=_arrays()["images"], labels=np.zeros(_ROWS))
    assert load_calibration(path, ModelSpec(_SIZE, _SIZE)).record.images == _ROWS

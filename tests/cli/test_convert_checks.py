"""Each check of calibration pictures through `convert`: sets that trip it, and one that does not.

Further sets stand in `test_convert_calibration.py` (channel order, ranges, one picture again and
again) and `test_convert_video.py` (previous masks).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from portrait_tflite.quantize.checks.picture_checks import ENOUGH

Run = Callable[..., Any]
Bytes = NDArray[np.uint8]

_SIDE = 32
_SPARE = 20
_MADE_ANEW = 5


def _portraits(count: int, seed: int = 0) -> Bytes:
    """Draw what the tiny network knows: a red rectangle on blue; in green, light that varies."""
    rng = np.random.default_rng(seed)
    pictures = np.zeros((count, _SIDE, _SIDE, 3), np.uint8)
    for picture in pictures:
        top, left = rng.integers(2, _SIDE // 2, 2)
        person = np.zeros((_SIDE, _SIDE), bool)
        person[top : top + _SIDE // 2, left : left + _SIDE // 2] = True
        light = cv2.resize(rng.integers(0, 256, (4, 4)).astype(np.uint8), (_SIDE, _SIDE))
        picture[...] = np.dstack([255 * person, light, 255 * ~person])
    return pictures


def _write(pictures: Bytes, folder: Path) -> Path:
    folder.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:03}.png"), picture[..., ::-1])
    return folder


@pytest.fixture
def tripped(run: Run, tiny: Any, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Give the checks that an int8 conversion with these pictures trips, by name."""

    def call(calibration: object, *options: object) -> dict[str, Any]:
        said = run(
            "convert", tiny.keras, "--int8", "--input-range", "0,1", "--no-benchmark", "--json",
            "--calibration", calibration, "--remedies", "none", "--max-drop", 100,
            "--out", tmp_path / "out", *options,
        )  # fmt: skip
        assert said.code == 0, said.err  # a warning is no failure
        checks = json.loads(said.out)["calibration"]["checks"]
        found = {check["name"]: check for check in checks if not check["passed"]}
        assert {check["level"] for check in found.values()} <= {"warn"}
        return found

    return call


def test_a_good_set_trips_none(tripped: Callable[..., Any], tiny: Any, tmp_path: Path) -> None:
    folder = _write(_portraits(ENOUGH + _SPARE), tmp_path / "photos")
    assert tripped(folder, "--validation", tiny.validation) == {}


def test_a_folder_of_everything(tripped: Callable[..., Any], tiny: Any, tmp_path: Path) -> None:
    folder = _write(_portraits(ENOUGH // 2), tmp_path / "photos")
    paths = sorted(folder.iterdir())
    for number, path in enumerate(paths[:_MADE_ANEW]):
        picture = cv2.imread(str(path))
        shutil.copy(path, folder / f"copy-{number}.png")
        again = np.clip(picture.astype(int) + 2, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"anew-{number}.png"), again)
        cv2.imwrite(str(folder / f"mask-{number}.png"), picture[..., 2])
    for path in paths[_MADE_ANEW : 4 * _MADE_ANEW]:
        cv2.imwrite(str(path.with_stem(f"gray-{path.stem}")), cv2.imread(str(path), 0))
    (folder / "broken.jpg").write_bytes(b"no picture")
    scored = sorted((tiny.validation / "images").iterdir())[0]
    shutil.copy(scored, folder / "scored.png")
    found = tripped(folder, "--validation", tiny.validation)
    assert found.keys() >= {
        "enough pictures", "no duplicates", "no near duplicates", "in colour", "no masks",
        "only pictures", "none scored on",
    }  # fmt: skip
    assert found["no duplicates"]["detail"].startswith(f"{_MADE_ANEW} pictures are copies")
    assert found["no masks"]["detail"].startswith(f"{_MADE_ANEW} of ")
    assert "broken.jpg" in found["only pictures"]["detail"]
    assert scored.name in found["none scored on"]["detail"]


def test_one_dark_scene(tripped: Callable[..., Any], tiny: Any, tmp_path: Path) -> None:
    (scene,) = _portraits(1)
    moved = [np.roll(scene, (n // 12, n % 12), (0, 1)) // 4 for n in range(ENOUGH)]
    np.save(tmp_path / "dark.npy", np.stack(moved))
    found = tripped(tmp_path / "dark.npy", "--validation", tiny.validation)
    assert found.keys() >= {"diverse", "dark and bright"}


def test_a_manifest_for_another_network(
    tripped: Callable[..., Any], tiny: Any, tmp_path: Path
) -> None:
    folder = _write(_portraits(_SPARE), tmp_path / "photos")
    assert "as in the manifest" not in tripped(folder)
    kept = tmp_path / "calibration.json"
    shutil.copy(tmp_path / "out" / kept.name, kept)
    assert "as in the manifest" not in tripped(kept)
    other = tripped(kept, "--mean", "0.01")["as in the manifest"]
    assert other["detail"] == "the same pictures, prepared otherwise"


def _floats() -> NDArray[np.float32]:
    return _portraits(_SPARE).astype(np.float32) / np.float32(255)


def _with_nan() -> NDArray[np.float32]:
    floats = _floats()
    floats[3, 0, 0, 0] = np.nan
    return floats


@pytest.mark.parametrize(
    ("name", "floats"),
    [
        ("finite", _with_nan()),
        ("input range", 255 * _floats()),
        ("not all alike", np.repeat(_floats()[:1], _SPARE, axis=0)),
    ],
)
def test_unfit_floats_end_it(
    refuse: Run, tiny: Any, tmp_path: Path, name: str, floats: NDArray[np.float32]
) -> None:
    np.savez(tmp_path / "floats.npz", floats)
    said = refuse(
        "convert", tiny.keras, "--int8", "--input-range", "0,1", "--json", "--calibration",
        tmp_path / "floats.npz", "--validation", tiny.validation, "--out", tmp_path / "out",
    )  # fmt: skip
    assert f"floats.npz, which fails '{name}': " in said

"""`convert` with other calibration sources than a folder, and what the doctor says of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from portrait_tflite.vocabulary import DRAWN

Run = Callable[..., Any]


@pytest.fixture
def convert(run: Run, tiny: Any, tmp_path: Path) -> Run:
    """Give `convert` of the tiny network to int8 in `tmp_path/NAME`."""

    def call(name: str, calibration: object, *options: object) -> Any:
        return run(
            "convert", tiny.keras, "--int8", "--input-range", "0,1", "--no-benchmark",
            "--calibration", calibration, "--out", tmp_path / name, *options,
        )  # fmt: skip

    return call


@pytest.fixture
def pixels(shoot: Callable[..., Path], tmp_path: Path) -> Any:
    """Sixty pictures as RGB bytes `[60, 32, 32, 3]`."""
    folder = shoot(tmp_path / "shot", 60, seed=9, labelled=False)
    return np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted(folder.iterdir())])


def _checks(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / "report.json").read_text("utf-8"))
    return {check["name"]: check for check in report["calibration"]["checks"]}


def test_a_manifest_gives_the_same_bytes(
    convert: Run, tiny: Any, shoot: Callable[..., Path], tmp_path: Path
) -> None:
    photos = shutil.copytree(tiny.calibration, tmp_path / "photos")
    assert convert("first", photos).code == 0
    # The folder is moved by then, and has more pictures.
    moved = photos.rename(tmp_path / "moved")
    for added in shoot(tmp_path / "more", 10, seed=6, labelled=False).iterdir():
        shutil.copy(added, moved / f"new-{added.name}")
    manifest = Path(shutil.copy(tmp_path / "first" / "calibration.json", moved))
    assert convert("again", manifest).code == 0
    one, other = ((tmp_path / name / "tiny-int8.tflite") for name in ("first", "again"))
    assert one.read_bytes() == other.read_bytes()
    checks = _checks(tmp_path / "again")
    for name in ("as in the manifest", "channel order", "few values clipped", "none scored on"):
        assert checks[name]["passed"], checks[name]
    # Of the manifest's pictures one is another by now.
    changed = json.loads(manifest.read_text("utf-8"))["entries"][2]["name"]
    shutil.copy(moved / "new-03.png", moved / changed)
    said = convert("changed", manifest)
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert f"Received: another {changed}. Give the folder itself to choose anew." in said.err


def test_a_manifest_of_a_run_that_held_nothing_out(convert: Run, tiny: Any, tmp_path: Path) -> None:
    photos = shutil.copytree(tiny.calibration, tmp_path / "photos")
    plain = ("--remedies", "none")
    assert convert("first", photos, "--validation", tiny.validation, *plain).code in (0, 3)
    manifest = shutil.copy(tmp_path / "first" / "calibration.json", photos)
    said = convert("again", manifest, *plain)
    assert said.code in (0, 3), said.err
    one, other = ((tmp_path / name / "tiny-int8.tflite") for name in ("first", "again"))
    assert one.read_bytes() == other.read_bytes()
    report = json.loads((tmp_path / "again" / "report.json").read_text("utf-8"))
    assert report["scored_on"] == DRAWN
    assert not report["variants"]["int8"]["accuracy"]["labelled"]
    assert "scored on drawn portraits" in said.out
    assert _checks(tmp_path / "again")["only pictures"]["passed"]


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_nearly_every_tensor_is_looked_at(convert: Run, tiny: Any, tmp_path: Path, io: str) -> None:
    said = convert("out", tiny.calibration, "--io", io, "--mean", "0.1,0.2,0.3", "--max-drop", "50")
    assert said.code == 0, said.err
    check = _checks(tmp_path / "out")["few values clipped"]
    assert check["passed"], check
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    int8 = report["variants"]["int8"]
    assert (int8["input"]["dtype"], int8["output"]["dtype"]) == (io, io)
    compared = int(check["detail"].split(" of ")[1].split()[0])
    assert compared >= 0.8 * sum(int8["ops"].values())


def test_an_array_file_of_swapped_colours(convert: Run, pixels: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "bgr.npz", pixels[..., ::-1])
    # Masks of swapped pictures are wrong, and alike in float and int8 or not: that is not the test.
    said = convert("swapped", tmp_path / "bgr.npz")
    assert said.code in (0, 3), said.err
    assert "scored on a fifth of" in said.out
    order = _checks(tmp_path / "swapped")["channel order"]
    assert (order["passed"], order["level"]) == (False, "warn")
    assert "warn: channel order" in said.out


def _one_picture(folder: Path, kind: str) -> Path:
    """Give the same picture a hundred times, as a user comes by it."""
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.integers(0, 256, (4, 4, 3)).astype(np.uint8), (64, 64))
    path = folder / {"array": "x.npy", "arrays": "x.npz", "video": "x.avi"}.get(kind, "x")
    if kind == "array":
        np.save(path, np.stack([frame] * 100))
    elif kind == "arrays":
        np.savez(path, images=np.stack([frame] * 100))
    elif kind == "video":
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 64))
        for _ in range(100):
            noise = rng.integers(-2, 3, frame.shape)
            writer.write(np.clip(frame + noise, 0, 255).astype(np.uint8))
        writer.release()
    else:
        path.mkdir()
        for number in range(100):
            quality = 50 + number // 2 if kind == "saved anew" else 90
            options = [cv2.IMWRITE_JPEG_QUALITY, quality]
            cv2.imwrite(str(path / f"{number}.jpg"), frame, options)
    return path


@pytest.mark.parametrize(
    ("kind", "found", "cause"),
    [
        ("array", "1 of 100 pictures differ", "next(iter(dataset))"),
        ("arrays", "1 of 100 pictures differ", "next(iter(dataset))"),
        ("copies", "1 of 100 pictures differ", "copies: of a file"),
        ("saved anew", "all show nearly the same", "one picture saved anew"),
        ("video", "all show nearly the same", "one frozen frame"),
    ],
)
def test_the_same_picture_again_and_again(
    refuse: Run, tiny: Any, tmp_path: Path, kind: str, found: str, cause: str
) -> None:
    said = refuse(
        "convert", tiny.keras, "--int8", "--input-range", "0,1", "--calibration",
        _one_picture(tmp_path, kind), "--out", tmp_path / "out",
    )  # fmt: skip
    assert "which fails 'not all alike': " in said
    assert found in said
    assert cause in said


def test_ranges_of_dull_pictures_are_warned_of(
    convert: Run, pixels: Any, tiny: Any, tmp_path: Path
) -> None:
    dull = 110 + pixels[:24] // 12
    sets = {"odd": np.concatenate([dull, pixels[24:25]]), "dull": dull}
    for name, images in sets.items():
        np.save(tmp_path / f"{name}.npy", images)
        said = convert(
            name, tmp_path / f"{name}.npy", "--validation", tiny.validation, "--remedies", "none"
        )
        assert said.code in (0, 3), said.err
    odd, dark = (_checks(tmp_path / name) for name in sets)
    for failed, held in ((odd["stable ranges"], dark), (dark["few values clipped"], odd)):
        assert (failed["passed"], failed["level"]) == (False, "warn")
        assert held[failed["name"]]["passed"], held[failed["name"]]


def test_an_array_for_another_network(refuse: Run, tiny: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((20, 32, 32, 3), np.float32))
    said = refuse(
        "convert", tiny.keras, "--int8", "--input-range=-1,1", "--calibration",
        tmp_path / "x.npy", "--out", tmp_path / "out",
    )  # fmt: skip
    assert "of -1 to 1 possible, as if they were prepared for a network of 0 to 1" in said

"""Pictures and output folders that `convert` must refuse, and those it only warns of."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Refuse = Callable[..., str]


@pytest.fixture
def arguments(tiny: Any, tmp_path: Path) -> list[object]:
    """Give a call that is good as it is; later options outdo earlier ones."""
    return [
        "convert", tiny.keras, "--int8", "--input-range", "0,1", "--no-benchmark",
        "--calibration", tiny.calibration, "--validation", tiny.validation, "--out",
        tmp_path / "out",
    ]  # fmt: skip


def spoil(folder: Path, good: int) -> None:
    """Leave `good` pictures as they are; the others become text."""
    for path in sorted(folder.iterdir())[good:]:
        path.write_text("no picture")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: shutil.rmtree(folder), r"folder of images is required.*nothing there"),
        (lambda folder: spoil(folder, 0), "at least 8 pictures is required"),
        (lambda folder: spoil(folder, 7), r"with 7, 5 files that are none"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "with 0"),
        (lambda folder: (shutil.rmtree(folder), folder.touch()), r"a file"),
    ],
    ids=["missing", "all unreadable", "7 usable", "empty", "a file"],
)
def test_calibration_folders(
    refuse: Refuse,
    arguments: list[object],
    shoot: Callable[..., Path],
    tmp_path: Path,
    prepare: Callable[[Path], object],
    message: str,
) -> None:
    folder = shoot(tmp_path / "pictures", 12, labelled=False)
    prepare(folder)
    assert re.search(message, refuse(*arguments, "--calibration", folder))


def test_calibration_folder_that_may_not_be_read(
    refuse: Refuse, arguments: list[object], tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = Path.iterdir

    def iterdir(path: Path) -> Any:
        if path == tiny.calibration:
            raise PermissionError(errno.EACCES, "Permission denied")
        return entries(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert "Permission denied" in refuse(*arguments)


def test_int8_of_a_foreign_model_wants_pictures(refuse: Refuse, tiny: Any, tmp_path: Path) -> None:
    call = ["convert", tiny.keras, "--int8", "--input-range", "0,1", "--out", tmp_path / "out"]
    assert "--calibration DIR is required" in refuse(*call)


def test_few_pictures_and_other_files_are_a_warning(
    run: Callable[..., Any], arguments: list[object], shoot: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shoot(tmp_path / "pictures", 9, labelled=False)
    (folder / "notes.txt").write_text("no picture")
    (folder / "broken.jpg").write_text("no picture")
    (folder / "folder.png").mkdir()
    said = run(*arguments, "--calibration", folder)
    assert said.code == 0, said.err
    checks = json.loads((tmp_path / "out" / "report.json").read_text())["calibration"]["checks"]
    failed = {check["name"]: check for check in checks if not check["passed"]}
    assert set(failed) == {"enough pictures", "only pictures"}
    assert {check["level"] for check in failed.values()} == {"warn"}
    assert failed["only pictures"]["detail"].startswith("2 skipped (broken.jpg, notes.txt)")
    assert "warn: only pictures: 2 skipped" in said.out


def test_without_validation_a_fifth_is_held_out(
    run: Callable[..., Any], tiny: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    call = ["convert", tiny.keras, "--int8", "--input-range", "0,1", "--no-benchmark"]
    said = run(*call, "--calibration", tiny.calibration, "--out", out)
    assert said.code == 0, said.err
    report = json.loads((out / "report.json").read_text())
    accuracy = report["variants"]["int8"]["accuracy"]
    assert not accuracy["labelled"]
    assert (accuracy["images"], report["calibration"]["images"]) == (2, 10)
    manifest = json.loads((out / "calibration.json").read_text())
    used = {entry["name"] for entry in manifest["entries"]}
    assert used.isdisjoint(image["image"] for image in accuracy["worst"])


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: (folder / "masks" / "03.png").unlink(), r"1 of 8 images without one"),
        (
            lambda folder: cv2.imwrite(
                str(folder / "masks" / "03.png"), np.zeros((9, 7), np.uint8)
            ),
            "mask of its image's size is required, 32×32 here.*7×9",
        ),
        (lambda folder: (folder / "masks" / "03.png").write_text("no"), "can be read is required"),
        (lambda folder: shutil.rmtree(folder / "images"), "images/ beside masks/ is required"),
        (lambda folder: spoil(folder / "images", 0), "can be decoded are required"),
    ],
    ids=["mask missing", "other size", "unreadable mask", "no images", "unreadable images"],
)
def test_validation_folders(
    refuse: Refuse,
    arguments: list[object],
    shoot: Callable[..., Path],
    tmp_path: Path,
    prepare: Callable[[Path], object],
    message: str,
) -> None:
    folder = shoot(tmp_path / "labelled", 8)
    prepare(folder)
    assert re.search(message, refuse(*arguments, "--validation", folder))


def test_out_that_holds_other_things(
    run: Callable[..., Any], refuse: Refuse, arguments: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    (out / "other-int8.tflite").write_text("of another model")
    assert "with 'other-int8.tflite'. Name another folder, or add --force" in refuse(*arguments)
    assert run(*arguments, "--force").code == 0
    assert run(*arguments).code == 2
    assert run(*arguments, "--force").code == 0
    assert (out / "thesis.txt").read_text() == "years of work"
    assert (out / "other-int8.tflite").read_text() == "of another model"
    assert (out / "tiny-int8.tflite").is_file()


def test_out_that_is_a_file(refuse: Refuse, arguments: list[object], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    assert "--out must be a folder" in refuse(*arguments)
    assert "cannot. Name another folder" in refuse(*arguments, "--out", tmp_path / "out" / "below")


@pytest.mark.parametrize("exists", [False, True])
def test_out_that_cannot_be_written(
    refuse: Refuse,
    arguments: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    exists: bool,
) -> None:
    if exists:
        (tmp_path / "out").mkdir()
    closed = tmp_path / "out" if exists else tmp_path
    real = os.access

    def access(path: Any, mode: int, **options: Any) -> bool:
        return not (mode & os.W_OK and Path(path) == closed) and real(path, mode, **options)

    monkeypatch.setattr(os, "access", access)
    assert f"{closed} cannot. Name another folder" in refuse(*arguments)


def test_a_full_disk(
    run: Callable[..., Any],
    refuse: Refuse,
    arguments: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(*arguments).code == 0  # earlier results, which must stay whole
    write = Path.write_bytes

    def write_bytes(path: Path, data: bytes) -> int:
        if ".portrait-tflite-" in str(path.parent) and path.name.endswith("-int8.tflite"):
            write(path, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    said = refuse(*arguments, "--io", "uint8")
    assert "No space left on device" in said
    assert "nothing was changed" in said

"""`convert --assets DIR` and `--metadata`: what an app needs, whole in one folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from portrait_tflite.cli.known_spec import spec_beside
from portrait_tflite.convert.files.model_metadata import attached_files
from portrait_tflite.images import prepare, read_image
from portrait_tflite.metrics import iou
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_stored

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def convert(tiny: Any) -> Callable[..., list[object]]:
    """Give the command line of a quick conversion."""

    def command(*arguments: object) -> list[object]:
        return [
            "-q", "convert", tiny.keras, "--input-range", "0,1", "--no-benchmark",
            "--calibration", tiny.calibration, "--validation", tiny.validation, *arguments,
        ]  # fmt: skip

    return command


def _files(data: Any) -> Iterator[dict[str, Any]]:
    """Yield every record of a file in a part of `model.json`."""
    if isinstance(data, dict) and {"file", "bytes", "sha256"} <= data.keys():
        yield data
    children = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for child in children:
        yield from _files(child)


def test_the_folder_is_whole_and_its_masks_hold(
    run: Run, convert: Callable[..., list[object]], tmp_path: Path
) -> None:
    out, assets = tmp_path / "out", tmp_path / "assets"
    where = ("--out", out, "--assets", assets)
    said = run(*convert(*where, "--int8", "--fp16", "--io", "uint8", "--metadata"))
    assert said.code == 0, said.err
    model = json.loads((assets / "model.json").read_text("utf-8"))
    named = {each["file"]: each for each in _files([model["variants"], model["golden"]])}
    assert {path.name for path in assets.iterdir()} == {"model.json", *named}
    for name, each in named.items():
        data = (assets / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (each["bytes"], each["sha256"])
    for name, variant in model["variants"].items():
        path = assets / variant["file"]
        assert path.read_bytes() == (out / variant["file"]).read_bytes()
        assert attached_files(path.read_bytes()) == {"labels.txt": b"person\n"}
        assert len(model["golden"]) == 3
        for case in model["golden"]:
            _assert_golden(assets, path, case, case["variants"][name])
    tolerances = {name: each["tolerance"] for name, each in model["variants"].items()}
    assert tolerances["int8"]["xnnpack"] == {"max_step": 0}
    assert tolerances["float16"]["xnnpack"] == {"least_iou": 0.995}
    plain = json.loads((out / "model.json").read_text("utf-8"))
    assert plain["golden"] == []
    # A second run replaces its own files, and no others.
    said = run(*convert(*where, "--fp16"))
    assert said.code == 0, said.err
    assert not (assets / "tiny-int8.tflite").exists()
    (assets / "mine.txt").write_text("mine")
    said = run(*convert(*where, "--fp16"))
    assert said.code == 2
    assert "'mine.txt'" in said.err


def _assert_golden(assets: Path, path: Path, case: Any, golden: Any) -> None:
    runner = open_model(path)
    spec = spec_beside(path)
    picture = read_image(assets / case["picture"]["file"])
    assert spec is not None
    assert picture is not None
    assert picture.shape[:2] != (spec.height, spec.width)
    (info,), (array,) = runner.inputs, golden["inputs"].values()
    given = np.fromfile(assets / array["file"], info.dtype).reshape(info.shape)
    np.testing.assert_array_equal(to_stored(prepare(picture, spec), info), given)
    assert runner.run(given)[0].tobytes() == (assets / golden["mask"]["file"]).read_bytes()


def test_metadata_of_an_int8_input_names_io(
    refuse: Callable[..., str], convert: Callable[..., list[object]], tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "out")
    said = refuse(*convert(*out, "--metadata")[1:])
    assert "--io uint8 (or float32) is required. Received: --io int8" in said
    said = refuse(*convert(*out, "--metadata", "--io", "uint8", "--channels", "bgr")[1:])
    assert "MediaPipe gives RGB. " in said
    said = refuse(*convert("--out", tmp_path / "a", "--assets", tmp_path / "a", "--fp16")[1:])
    assert "--assets must be another folder than --out" in said


_MEAN, _STD = (0.1, 0.05, 0.0), (0.8, 0.9, 1.1)


def test_mediapipe_fills_floats_of_a_mean_and_std_per_channel(
    run: Run,
    convert: Callable[..., list[object]],
    tiny: Any,
    mediapipe_segment: Callable[[Path, Path], list[str]],
    tmp_path: Path,
) -> None:
    import keras

    out, pictures = tmp_path / "out", tmp_path / "pictures"
    shutil.copytree(tiny.validation / "images", pictures)
    normalized = ("--mean", ",".join(map(str, _MEAN)), "--std", ",".join(map(str, _STD)))
    variants = ("--fp32", "--fp16", "--int8", "--io", "float32")
    said = run(*convert("--out", out, *variants, *normalized, "--metadata"))
    assert said.code == 0, said.err
    model = json.loads((out / "model.json").read_text("utf-8"))
    network = keras.models.load_model(tiny.keras)
    assert model["spec"]["mean"] == list(_MEAN)
    for variant in model["variants"].values():
        assert (variant["input"]["dtype"], variant["spec"]["mean"]) == ("float32", [])
        assert mediapipe_segment(out / variant["file"], pictures) == ["person"]
        for picture in sorted(pictures.glob("*.png")):
            colours = cv2.imread(str(picture))[None, ..., ::-1] / np.float32(255)
            ours = np.asarray(network((colours - np.float32(_MEAN)) / np.float32(_STD)))[0, ..., 0]
            theirs = np.load(picture.with_suffix(".npy"))
            assert 0.05 < np.mean(ours >= 0.5) < 0.95
            assert iou(theirs, ours) >= 0.99, (variant["file"], picture)
    # Whoever scores the files feeds each with what it takes.
    files = [out / model["variants"][name]["file"] for name in ("float32", "int8")]
    said = run("-q", "verify", *files, "--data", tiny.validation)
    assert said.code == 0, said.err


def test_every_command_reads_a_file_with_labels_behind_it(
    run: Run, convert: Callable[..., list[object]], tiny: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = run(*convert("--out", out, "--fp32", "--int8", "--io", "uint8", "--metadata"))
    assert said.code == 0, said.err
    file = out / "tiny-int8.tflite"
    assert run("-q", "audit", file).code == 0
    said = run("-q", "verify", out / "tiny-float32.tflite", file, "--data", tiny.validation)
    assert said.code == 0, said.err
    said = run("-q", "benchmark", file, "--delegate", "cpu,xnnpack", "--runs", "2")
    assert said.code == 0, said.err
    again = tmp_path / "again"
    data = ("--validation", tiny.validation, "--no-benchmark", "--out", again)
    said = run("-q", "convert", file, "--input-range", "0,1", *data)
    assert said.code == 0, said.err
    assert attached_files((again / file.name).read_bytes()) == {"labels.txt": b"person\n"}

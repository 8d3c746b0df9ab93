"""The packaged default net, converted for an app by one command, and run wherever an app would."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from portrait_tflite.benchmarks.arm import setup
from portrait_tflite.benchmarks.arm.count import run_on_arm
from portrait_tflite.cli.known_spec import spec_beside
from portrait_tflite.cli.main import _run
from portrait_tflite.errors import UnavailableError
from portrait_tflite.images import prepare, read_image, restore_mask
from portrait_tflite.metrics import iou
from portrait_tflite.models.registry import DEFAULT_NET, find_net
from portrait_tflite.quantize.accuracy.remembering import tflite_predictor
from portrait_tflite.runtime import open_model
from portrait_tflite.runtime_worker import run_on_tflite_runtime
from portrait_tflite.tensor_values import to_real
from portrait_tflite.tflite_runtime_python import find_tflite_runtime
from portrait_tflite.vocabulary import Delegate

_LARGEST = 2 * 1024 * 1024
Skip = Callable[[str], NoReturn]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert it; the folder has the report in `out` and what an app needs in `assets`."""
    home = tmp_path_factory.mktemp("default")
    wanted = ["--int8", "--fp16", "--io", "uint8", "--metadata", "--no-benchmark"]
    folders = ["--out", f"{home}/out", "--assets", f"{home}/assets"]
    assert _run(["-q", "convert", *wanted, *folders], debug=True) == 0
    return home


@pytest.fixture
def assets(folder: Path) -> Path:
    return folder / "assets"


@pytest.fixture
def model(assets: Path) -> dict[str, Any]:
    """Read `model.json` as an app does."""
    data: dict[str, Any] = json.loads((assets / "model.json").read_text("utf-8"))
    return data


def test_it_passes_in_one_partition_and_wholly_on_the_gpu_list(folder: Path) -> None:
    report = json.loads((folder / "out" / "report.json").read_text("utf-8"))
    assert report["passed"]
    int8, float16 = report["variants"]["int8"], report["variants"]["float16"]
    assert int8["audit"]["xnnpack"]["partitions"] == 1
    assert int8["audit"]["xnnpack"]["outside"] == []
    assert float16["audit"]["gpu"]["complete"]
    assert float16["half_precision"]
    assert (int8["output"]["scale"], int8["output"]["zero_point"]) == (1 / 256, 0)
    assert (int8["input"]["scale"], int8["input"]["zero_point"]) == (1, 0)


def test_its_weights_are_packaged_small_with_a_card() -> None:
    weights = find_net(DEFAULT_NET).weights_path
    assert weights is not None
    assert weights.stat().st_size <= _LARGEST
    assert weights.with_name("portrait.md").is_file()


def test_the_last_tflite_runtime_gives_the_same_mask(
    assets: Path, model: dict[str, Any], require_or_skip: Skip
) -> None:
    """Not the same bytes: 3×3 depthwise near-ties differ by a step, which later layers widen.

    `test_tflite_runtime.py` holds the bytes of single ops.
    """
    try:
        find_tflite_runtime()
    except UnavailableError as error:
        require_or_skip(str(error))
    path = assets / model["variants"]["int8"]["file"]
    runner = open_model(path, Delegate.CPU)
    output = runner.outputs[0]
    for case in model["golden"]:
        array = _golden_input(assets, model, case, "int8")
        ours = runner.run(array)[0]
        theirs = run_on_tflite_runtime(path, [array])[0]
        assert iou(to_real(ours, output)[0, ..., 0], to_real(theirs, output)[0, ..., 0]) > 0.99


def test_arm_gives_the_golden_masks(
    assets: Path, model: dict[str, Any], require_or_skip: Skip
) -> None:
    """int8 on XNNPACK bit for bit; float16, in half precision there, within its tolerance."""
    if not setup.status().ready:
        require_or_skip(setup.status().reason)
    case = model["golden"][0]
    for name, variant in model["variants"].items():
        array = _golden_input(assets, model, case, name)
        path = assets / variant["file"]
        (found,) = run_on_arm(path, [array], Delegate.XNNPACK)
        expected = _read(assets, case["variants"][name]["mask"], variant["output"])
        tolerance = variant["tolerance"]["xnnpack"]
        assert tolerance == ({"max_step": 0} if name == "int8" else {"least_iou": 0.995})
        assert len(np.unique(expected)) > 20
        if name == "int8":
            np.testing.assert_array_equal(found, expected)
        else:
            assert not np.array_equal(found, expected)  # else it was float32
            assert iou(found[0, ..., 0], expected[0, ..., 0]) >= tolerance["least_iou"]


def test_mediapipe_gives_the_same_mask(
    assets: Path,
    model: dict[str, Any],
    tmp_path: Path,
    mediapipe_segment: Callable[[Path, Path], list[str]],
) -> None:
    for variant in model["variants"].values():
        path = assets / variant["file"]
        spec = spec_beside(path)
        assert spec is not None
        predict = tflite_predictor(path, spec)
        for case in model["golden"]:
            shutil.copy(assets / case["picture"]["file"], tmp_path)
        assert mediapipe_segment(path, tmp_path) == ["person"]
        for picture in sorted(tmp_path.glob("*.png")):
            image = read_image(picture)
            assert image is not None
            ours = restore_mask(predict(prepare(image, spec)), *image.shape[:2], spec)
            assert 0.05 < np.mean(ours >= 0.5) < 0.95
            assert iou(ours, np.load(picture.with_suffix(".npy"))) >= 0.99


def _golden_input(assets: Path, model: dict[str, Any], case: dict[str, Any], name: str) -> Any:
    info = model["variants"][name]["input"]
    return _read(assets, case["variants"][name]["inputs"][info["name"]], info)


def _read(assets: Path, file: dict[str, Any], info: dict[str, Any]) -> Any:
    return np.fromfile(assets / file["file"], info["dtype"]).reshape(info["shape"])

"""`portrait-tflite convert released.tflite`: int8 from float files, and gates without labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def made(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files to take for released ones."""
    from portrait_tflite.cli.main import _run

    folder: Path = tmp_path_factory.mktemp("made") / "out"
    code = _run(
        [
            *("-q", "convert", str(tiny.keras), "--input-range", "0,1", "--no-benchmark"),
            *("--calibration", str(tiny.calibration), "--validation", str(tiny.validation)),
            *("--fp32", "--fp16", "--int8", "--dynamic", "--baseline", "--out", str(folder)),
        ],
        debug=False,
    )
    assert code == 0
    return folder


def _report(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text("utf-8"))


@pytest.fixture
def release(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Give a function that copies one of the files to where no model.json says its spec."""

    def copied(variant: str) -> Path:
        path = tmp_path / f"released-{variant}.tflite"
        path.write_bytes((made / f"tiny-{variant}.tflite").read_bytes())
        return path

    return copied


@pytest.mark.parametrize("variant", ["float32", "float16"])
def test_a_float_file_becomes_int8(
    run: Run, tiny: Any, release: Callable[[str], Path], tmp_path: Path, variant: str
) -> None:
    said = run(
        "convert", release(variant), "--int8", "--input-range", "0,1", "--no-benchmark",
        "--calibration", tiny.calibration, "--validation", tiny.validation,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    report = _report(tmp_path / "out")
    assert list(report["variants"]) == [variant, "int8", "as_released"]
    int8 = report["variants"]["int8"]
    assert (int8["input"]["dtype"], int8["output"]["dtype"]) == ("int8", "int8")
    assert int8["audit"]["xnnpack"]["partitions"] == 1
    assert int8["audit"]["xnnpack"]["outside"] == []
    assert int8["accuracy"]["labelled"]
    assert int8["accuracy"]["drop"]["miou"] <= 1
    assert (tmp_path / "out" / "calibration.json").is_file()


def test_int8_needs_pictures(refuse: Run, release: Callable[[str], Path], tmp_path: Path) -> None:
    source = release("float32")
    said = refuse("convert", source, "--int8", "--input-range", "0,1", "--out", tmp_path / "out")
    assert "--calibration DIR is required" in said


def test_int8_needs_a_float_file(
    refuse: Run, tiny: Any, release: Callable[[str], Path], tmp_path: Path
) -> None:
    said = refuse(
        "convert", release("dynamic"), "--int8", "--input-range", "0,1",
        "--calibration", tiny.calibration, "--out", tmp_path / "out",
    )  # fmt: skip
    assert "a float .tflite is required for --int8" in said
    assert "which is dynamic" in said


def test_without_labels_the_same_kernels_compare(
    run: Run, release: Callable[[str], Path], tmp_path: Path
) -> None:
    said = run(
        "convert", release("naive_batch1"), "--input-range", "0,1", "--no-benchmark",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "on the built-in kernels" in said.out
    report = _report(tmp_path / "out")
    assert report["scored_with"] == "cpu"
    assert report["variants"]["int8"]["accuracy"]["labelled"] is False

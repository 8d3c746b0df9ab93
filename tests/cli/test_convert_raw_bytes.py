"""`convert --io uint8` of a network with a mean and a std: the int8 file takes raw bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from portrait_tflite.cli.known_spec import specs_beside
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real

Run = Callable[..., Any]
MEAN, STD = (0.02, 0.03, 0.01), (1.1, 0.9, 1.05)


def test_the_int8_file_takes_bytes_and_every_command_knows(
    run: Run, tiny: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = run(
        "convert", tiny.keras, "--input-range", "0,1", "--no-benchmark",
        "--mean", ",".join(map(str, MEAN)), "--std", ",".join(map(str, STD)),
        "--calibration", tiny.calibration, "--validation", tiny.validation,
        "--out", out, "--fp32", "--int8", "--io", "uint8",
    )  # fmt: skip
    assert said.code == 0, said.err
    report = json.loads((out / "report.json").read_text("utf-8"))
    model = json.loads((out / "model.json").read_text("utf-8"))
    assert tuple(model["spec"]["mean"]) == MEAN
    for data in (report, model):
        assert "spec" not in data["variants"]["float32"]
        own = data["variants"]["int8"]["spec"]
        assert (own["input_range"], own["mean"], own["std"]) == ([0.0, 255.0], [], [])
    int8 = report["variants"]["int8"]
    assert (int8["input"]["scale"], int8["input"]["zero_point"]) == (1.0, 0)
    # Scored through the bytes: it loses no more than int8 does.
    assert int8["accuracy"]["drop"]["miou"] <= 1
    float_file, int8_file = out / "tiny-float32.tflite", out / "tiny-int8.tflite"
    _assert_raw_bytes_give_the_mask(tiny, int8_file)
    network, taken = specs_beside(int8_file)
    assert network is not None
    assert taken is not None
    assert (network.mean, taken.mean, taken.input_range) == (MEAN, (), (0.0, 255.0))
    assert specs_beside(float_file) == (network, network)
    said = run("verify", float_file, int8_file, "--data", tiny.validation, "--json")
    assert said.code == 0, said.err
    scored = json.loads(said.out)
    assert scored["spec"]["mean"] == list(MEAN)
    assert scored["accuracy"]["iou"] == int8["accuracy"]["iou"]


def _assert_raw_bytes_give_the_mask(tiny: Any, int8_file: Path) -> None:
    runner = open_model(int8_file)
    picture = sorted((tiny.validation / "images").iterdir())[0]
    pixels = cv2.imread(str(picture))[..., ::-1]
    label = cv2.imread(str(tiny.validation / "masks" / picture.name), 0) > 127
    mask = to_real(runner.run(np.ascontiguousarray(pixels[None]))[0], runner.outputs[0])
    assert np.mean((mask[0, ..., 0] > 0.5) == label) > 0.9

"""`convert --finetune`: approximate forms recovered, and what is refused."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Runner = Callable[..., Any]


@pytest.fixture
def _briefly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from portrait_tflite.convert.finetuning.options import FineTuningOptions
    from portrait_tflite.pipeline import fine_tuning

    options = functools.partial(FineTuningOptions, rounds=2, steps=15)
    monkeypatch.setattr(fine_tuning, "FineTuningOptions", options)
    monkeypatch.setenv("PORTRAIT_TFLITE_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("_briefly")
def test_the_files_hold_what_was_learned(run: Runner, tiny: Any, tmp_path: Path) -> None:
    arguments = (
        *("convert", tiny.keras, "--input-range", "0,1", "--calibration", tiny.calibration),
        *("--validation", tiny.validation, "--rewrite", "resize", "--no-benchmark", "--fp32"),
        *("--fp16", "--max-drop", "100"),
    )
    plain = run(*arguments, "--out", tmp_path / "plain")
    assert plain.code == 0, plain.err
    assert "1 layer became another function: fine-tune with --finetune DIR" in plain.out
    tuned = run(*arguments, "--out", tmp_path / "tuned", "--finetune", tiny.calibration)
    assert tuned.code == 0, tuned.err
    # Both delegates take the same forms: one run is enough, and the files compute the same.
    assert "fine-tuned for xnnpack and gpu on 11 unlabelled pictures" in tuned.out
    assert "fewer than 50 pictures" in tuned.out
    before, after = (
        json.loads((tmp_path / name / "report.json").read_text()) for name in ("plain", "tuned")
    )
    assert before["fine_tuning"] == []
    (record,) = after["fine_tuning"]
    assert record["delegates"] == ["xnnpack", "gpu"]
    assert (record["images"], record["held_out"], record["rounds"]) == (11, 1, 2)
    found, expected = record["rewritten_before"], before["rewritten"]
    assert found["max_rel_error"] == pytest.approx(expected["max_rel_error"], rel=1e-3)
    error = {name: report["rewritten"]["max_rel_error"] for name, report in
             (("before", before), ("after", after))}  # fmt: skip
    assert error["after"] < error["before"]
    mae = [r["variants"]["float32"]["accuracy"]["mae"] for r in (before, after)]
    assert mae[1] < mae[0]
    assert list((tmp_path / "cache").rglob("*.npz")) == []


def test_bad_usage_costs_no_work(refuse: Runner, tiny: Any, tmp_path: Path) -> None:
    convert = ("convert", tiny.keras, "--input-range", "0,1", "--calibration", tiny.calibration)
    said = refuse(*convert, "--fp32", "--finetune", tiny.calibration)
    assert "--rewrite with one of resize, strided, relu6, channels8, or --int8 with" in said
    said = refuse(*convert, "--rewrite", "resize", "--finetune", tmp_path / "none")
    assert "none (nothing there)" in said
    (tmp_path / "empty").mkdir()
    said = refuse(*convert, "--rewrite", "resize", "--finetune", tmp_path / "empty")
    assert "a folder with 10 pictures or more" in said
    said = refuse("convert", "x.tflite", "--finetune", tmp_path)
    assert "a Keras model is required for --finetune" in said


def test_a_folder_of_other_things_is_refused(refuse: Runner, tiny: Any, tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.png").write_text("no picture")
    convert = ("convert", tiny.keras, "--input-range", "0,1", "--calibration", tiny.calibration)
    said = refuse(*convert, "--rewrite", "resize", "--finetune", tmp_path)
    assert "with 0 that can be read" in said


@pytest.mark.usefixtures("_briefly")
def test_a_network_with_nothing_to_approximate(refuse: Runner, tiny: Any, tmp_path: Path) -> None:
    convert = ("convert", tiny.keras, "--input-range", "0,1", "--calibration", tiny.calibration)
    strided = ("--rewrite", "strided", "--finetune", tiny.calibration)
    said = refuse(*convert, "--fp32", *strided)
    assert "found nothing to approximate. Leave --finetune out." in said

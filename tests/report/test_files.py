"""Which files are ours, and what JSON cannot hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from portrait_tflite.report.files import model_json, report_json, write_outputs


def test_infinity_becomes_null(report: Any) -> None:
    assert report_json(replace(report, max_drop=float("inf")))["max_drop"] is None
    json.dumps(report_json(report), allow_nan=False)


def test_the_gpu_rejects_and_xnnpack_leaves_outside(report: Any) -> None:
    audit = report_json(report)["variants"]["int8"]["audit"]
    assert [op["op"] for op in audit["xnnpack"]["outside"]] == ["SOFTMAX"]
    assert audit["gpu"] == {"complete": True, "rejected": []}


def test_baselines_are_not_for_the_app(report: Any) -> None:
    data = model_json(report)
    assert list(data["variants"]) == ["int8"]
    assert data["licence"] == "free"
    assert data["variants"]["int8"]["recommended_delegate"] == "xnnpack"
    assert data["variants"]["int8"]["passed"] is False  # the small report's gate fails


def test_writes_every_file(report: Any, tmp_path: Path) -> None:
    write_outputs(tmp_path, report, {"int8": b"8", "naive": b"n"}, {}, None)
    assert (tmp_path / "net-int8.failed.tflite").read_bytes() == b"8"
    names = {path.name for path in tmp_path.iterdir()}
    expected = {"net-int8.failed.tflite", "net-naive.tflite"}
    reports = {"report.json", "report.html", "model.json", "rewrites.json", "accuracy.csv"}
    assert names == expected | reports

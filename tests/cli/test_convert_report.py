"""What stands in `report.json` and `model.json`: the fields of design.md, schema 1."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

_TOP = [
    "schema", "created", "command", "versions", "machine", "model", "rewrites", "skipped",
    "rewritten", "calibration", "variants", "max_drop", "passed", "scored_on", "benchmarks",
    "arm_cost", "selection", "fine_tuning", "scored_with",
]  # fmt: skip
_FORMS = ["float32", "float16", "int8", "dynamic", "int16x8"]
_TENSOR = {"name", "shape", "dtype", "scale", "zero_point"}
_OUTSIDE = {
    "op", "tensor", "layer", "reason", "fix", "rule", "index", "rewrite", "worth_mcycles",
    "partitions_saved",
}  # fmt: skip
_CANDIDATE = {"form", "outside", "cost", "host_ms", "barred"}


@pytest.fixture(scope="module")
def folder(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that `convert` can write of one network, timed a few times."""
    from portrait_tflite.cli.main import _run

    out = tmp_path_factory.mktemp("report") / "out"
    variants = ("--fp32", "--fp16", "--int8", "--dynamic", "--int16x8")
    arguments = [
        "-q", "convert", tiny.keras, *variants, "--input-range", "0,1", "--runs", "2", "--baseline",
        "--calibration", tiny.calibration, "--validation", tiny.validation, "--out", out,
        "--delegate", "cpu,xnnpack",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PORTRAIT_TFLITE_CACHE", str(out.parent / "nothing"))
        assert _run([str(argument) for argument in arguments], debug=False) == 0
    return out


@pytest.fixture(scope="module")
def report(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text("utf-8"))


def test_top_level(report: Any) -> None:
    assert list(report) == _TOP
    assert report["schema"] == 1
    assert report["passed"] is True
    assert report["max_drop"] == 1.0
    assert report["command"].startswith("portrait-tflite ")
    assert set(report["machine"]) == {"cpu", "isa", "cores", "os"}
    assert {"tensorflow", "keras"} <= set(report["versions"])


def test_model(report: Any) -> None:
    model = report["model"]
    assert set(model) == {"source", "name", "parameters", "macs", "spec", "licence"}
    assert model["macs"] > model["parameters"] > 0
    assert set(model["spec"]) == {
        "height", "width", "channels", "input_range", "mean", "std", "fit", "interpolation",
        "output",
    }  # fmt: skip
    assert model["spec"]["input_range"] == [0, 1]
    assert set(model["spec"]["output"]) == {"index", "channel", "activation"}


def test_rewrites(report: Any) -> None:
    records = report["rewrites"]
    assert {record["level"] for record in records} == {"keras", "flatbuffer"}
    for record in records:
        assert set(record) == {
            "rewrite", "level", "layer", "exact", "max_abs_error", "max_rel_error", "chosen",
            "candidates", "reason",
        }  # fmt: skip
        assert record["exact"]
        assert all(set(form) == _CANDIDATE for form in record["candidates"])
    for skipped in report["skipped"]:
        assert set(skipped) == {"rewrite", "layer", "reason", "candidates"}
    assert set(report["rewritten"]) == {"max_abs_error", "max_rel_error", "images", "rounding"}
    assert report["rewritten"]["max_rel_error"] < 1e-5


def test_calibration(report: Any) -> None:
    assert set(report["calibration"]) == {"source", "images", "sha256", "checks"}
    for check in report["calibration"]["checks"]:
        assert set(check) == {"name", "passed", "level", "detail"}
        assert check["level"] in ("warn", "fail")


def test_variants(report: Any, folder: Path) -> None:
    assert list(report["variants"]) == [*_FORMS, "naive", "naive_batch1"]
    for variant in report["variants"].values():
        assert set(variant) == {
            "file", "bytes", "sha256", "input", "output", "ops", "min_runtime", "min_runtime_op",
            "remedies", "float_layers", "audit", "accuracy", "lint",
            "half_precision",
        }  # fmt: skip
        data = (folder / variant["file"]).read_bytes()
        assert variant["bytes"] == len(data)
        assert variant["sha256"] == hashlib.sha256(data).hexdigest()
        assert set(variant["input"]) == set(variant["output"]) == _TENSOR
        assert all(isinstance(count, int) for count in variant["ops"].values())
    ours = [report["variants"][name] for name in _FORMS]
    assert {(v["input"]["name"], v["output"]["name"]) for v in ours} == {("image", "mask")}
    assert {tuple(v["input"]["shape"]) for v in ours} == {(1, 32, 32, 3)}


def test_audit(report: Any) -> None:
    for variant in report["variants"].values():
        audit = variant["audit"]
        assert set(audit) == {"xnnpack", "gpu", "cpu"}
        assert set(audit["gpu"]) == {"complete", "rejected", "predicted"}
        assert set(audit["cpu"]) == {"partitions", "complete", "outside"}
        assert set(audit["xnnpack"]) == {"partitions", "complete", "outside", "predicted"}
        ops = [*audit["xnnpack"]["outside"], *audit["gpu"]["rejected"]]
        assert all(set(op) == _OUTSIDE for op in ops)
    audits = {name: v["audit"]["xnnpack"] for name, v in report["variants"].items()}
    assert audits["int8"]["partitions"] == 1 < audits["naive_batch1"]["partitions"]
    assert audits["int16x8"]["partitions"] == 0
    assert audits["int16x8"]["outside"]


def test_accuracy(report: Any) -> None:
    for variant in report["variants"].values():
        accuracy = variant["accuracy"]
        assert set(accuracy) == {
            "images", "labelled", "iou", "miou", "boundary_f", "mae", "agreement_iou", "drop",
            "worst", "passed", "reason", "median", "boundary_f_fine", "sad", "label_mae",
            "interval", "foreground_drift", "flicker", "label_sad",
        }  # fmt: skip
        assert {"iou", "miou", "boundary_f"} <= set(accuracy["drop"])
        for name, lost in accuracy["drop"].items():
            interval = accuracy["interval"][name]
            assert interval["low"] - 1e-9 <= lost <= interval["high"] + 1e-9, name
        assert {*accuracy["worst"][0]} == {"image", "iou_float", "iou"}
        assert accuracy["images"] == 8
    assert report["variants"]["float32"]["accuracy"]["drop"]["miou"] == 0


def test_benchmarks(report: Any) -> None:
    rows = report["benchmarks"]
    assert {(row["variant"], row["delegate"]) for row in rows} == {
        (name, delegate) for name in report["variants"] for delegate in ("cpu", "xnnpack")
    }
    for row in rows:
        assert set(row) == {
            "variant", "device", "delegate", "accelerator", "adapter", "software", "precision",
            "threads", "partitions", "runs", "processes", "warmup", "latency_ms", "init_ms",
            "first_ms", "peak_rss_mb", "stable", "warnings", "unavailable", "fully_accelerated",
            "against_cpu", "peak_share", "ops", "samples_ms", "computed_in", "fault",
            "peak_gmac_s", "thermal", "battery_c", "frame_ms",
        }  # fmt: skip
        assert set(row["latency_ms"]) == {"median", "mean", "p90", "p95", "min", "mad"}
    assert {row["precision"] for row in rows} == set(_FORMS)


def test_arm_cost_says_why_it_is_not_there(report: Any) -> None:
    assert [row["variant"] for row in report["arm_cost"]] == list(report["variants"])
    for row in report["arm_cost"]:
        assert set(row) == {
            "variant", "cpu", "delegate", "instructions", "cycles", "bound", "vector", "dot",
            "load_store", "partitions", "ops", "unavailable", "fault",
        }  # fmt: skip
        assert "required" in row["unavailable"] or "doctor" in row["unavailable"]


def test_report_html_has_the_pictures_in_it(folder: Path, report: Any) -> None:
    html = (folder / "report.html").read_text("utf-8")
    # Of eight pictures the four worst and those of the two median ones that are not among them.
    accuracy = report["variants"]["int8"]["accuracy"]
    worst = [image["image"] for image in accuracy["worst"][:4]]
    median = [image["image"] for image in accuracy["median"] if image["image"] not in worst]
    assert html.count("<img ") == html.count('src="data:image/') == 4 * (4 + len(median))
    assert all(f"the picture {name}" in html for name in worst + median)
    # The graph of what is shipped.
    assert re.search(r'class="graph" role="img" aria-label="\d+ ops in \d+ XNNPACK', html)


def test_model_json(folder: Path, report: Any) -> None:
    model = json.loads((folder / "model.json").read_text("utf-8"))
    assert set(model) == {
        "schema", "name", "licence", "variants", "spec", "labels", "person_channel", "golden",
    }  # fmt: skip
    assert model["spec"] == report["model"]["spec"]
    # Baselines are evidence, not something to ship.
    assert list(model["variants"]) == _FORMS
    for name, variant in model["variants"].items():
        assert set(variant) == {
            "file", "bytes", "sha256", "input", "output", "recommended_delegate", "passed",
            "io", "half_precision", "tolerance",
        }  # fmt: skip
        assert variant["sha256"] == report["variants"][name]["sha256"]
    assert model["variants"]["float16"]["recommended_delegate"] == "gpu"
    assert model["variants"]["int8"]["recommended_delegate"] == "xnnpack"


def test_rewrites_json(folder: Path) -> None:
    plan = json.loads((folder / "rewrites.json").read_text("utf-8"))
    assert set(plan) == {"schema", "plans"}
    assert set(plan["plans"]) == {"xnnpack", "gpu"}
    for entries in plan["plans"].values():
        assert all(set(entry) == {"rewrite", "layer", "form"} for entry in entries)
    assert plan["plans"]["gpu"] != plan["plans"]["xnnpack"]

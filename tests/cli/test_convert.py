"""`portrait-tflite convert` from end to end, on a small trained network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def convert(run: Run, tiny: Any, tmp_path: Path) -> Run:
    """Give `convert` of the tiny network, or another, to `tmp_path/NAME`, without timing."""

    def call(name: str, *options: object, source: Path | None = None) -> Any:
        return run(
            "convert", source or tiny.keras, "--input-range", "0,1", "--no-benchmark",
            "--calibration", tiny.calibration, "--validation", tiny.validation,
            "--out", tmp_path / name, *options,
        )  # fmt: skip

    return call


def report_of(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text("utf-8"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.tflite")}


@pytest.mark.parametrize("form", ["keras", "h5", "saved_model"])
def test_every_format_comes_down_to_one_partition(
    convert: Run, tiny: Any, tmp_path: Path, form: str
) -> None:
    source = getattr(tiny, form)
    said = convert("out", "--int8", source=source)
    assert said.code == 0, said.err
    assert said.err == ""
    report = report_of(tmp_path / "out")
    int8 = report["variants"]["int8"]
    assert int8["audit"]["xnnpack"]["partitions"] == 1
    assert int8["audit"]["xnnpack"]["outside"] == []
    assert int8["input"]["dtype"] == int8["output"]["dtype"] == "int8"
    assert int8["accuracy"]["labelled"]
    assert int8["accuracy"]["drop"]["miou"] <= 1
    assert report["model"]["parameters"] > 1000
    assert report["passed"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    expected = {"report.json", "report.html", "model.json", "rewrites.json"}
    expected |= {"calibration.json", "accuracy.csv", "sensitivity.csv"}
    assert names == {f"{source.stem}-int8.tflite", *expected}
    # A SavedModel cannot be walked, which is told; but the finished file is mended as well.
    unwalked = [skipped for skipped in report["skipped"] if skipped["rewrite"] == "all"]
    assert bool(unwalked) is (form == "saved_model")
    assert all(f"kept {one['layer']}: {one['reason']}" in said.out for one in unwalked)
    assert "relu_to_quantize" in {record["rewrite"] for record in report["rewrites"]}


def test_three_variants_by_default(convert: Run, tmp_path: Path) -> None:
    said = convert("out", "--target", "both", "--io", "uint8")
    assert said.code == 0, said.err
    variants = report_of(tmp_path / "out")["variants"]
    assert list(variants) == ["float32", "float16", "int8"]
    assert variants["int8"]["input"]["dtype"] == "uint8"
    # The GPU's plan turns the transposed convolution, which it would not take, into convolutions.
    assert "DEPTH_TO_SPACE" in variants["float16"]["ops"]
    assert variants["float16"]["audit"]["gpu"]["complete"]
    # The CPU's makes them one convolution per phase, whose results are joined.
    assert "DEPTH_TO_SPACE" not in variants["int8"]["ops"]
    assert "CONCATENATION" in variants["int8"]["ops"]
    for heading in ("Rewrites", "Calibration", "Next", "mIoU", "12 images of"):
        assert heading in said.out
    assert "warn: enough pictures: 12 pictures" in said.out


def test_json_and_nothing_else_on_stdout(convert: Run, tmp_path: Path) -> None:
    said = convert("out", "--int8", "--json")
    assert said.code == 0
    assert json.loads(said.out) == report_of(tmp_path / "out")


def test_a_plan_gives_the_same_bytes_again(convert: Run, tmp_path: Path) -> None:
    assert convert("exact", "--rewrite", "exact").code == 0
    plan = tmp_path / "exact" / "rewrites.json"
    forms = json.loads(plan.read_text("utf-8"))["plans"]["xnnpack"]
    assert {"rewrite": "transposed_convolution", "layer": "up", "form": "subpixel"} in forms
    assert convert("auto").code == 0
    assert convert("replayed", "--rewrite-plan", plan).code == 0
    first, auto, again = (files_of(tmp_path / name) for name in ("exact", "auto", "replayed"))
    assert first == again
    assert first["tiny-int8.tflite"] != auto["tiny-int8.tflite"]
    assert (tmp_path / "replayed" / "rewrites.json").read_bytes() == plan.read_bytes()
    other = tmp_path / "other.json"
    other.write_text(plan.read_text("utf-8").replace('"layer": "up"', '"layer": "upper"'))
    refused = convert("refused", "--rewrite-plan", other)
    assert refused.code == 2
    assert "transposed_convolution at layer 'upper', not found" in refused.err
    other.write_text(plan.read_text("utf-8").replace('"xnnpack"', '"gpu"'))
    assert "a plan for xnnpack" in convert("lacking", "--int8", "--rewrite-plan", other).err
    assert not {"refused", "lacking"} & {path.name for path in tmp_path.iterdir()}


def test_the_same_seed_gives_the_same_bytes(convert: Run, tmp_path: Path) -> None:
    options = ("--int8", "--calibration-count", "8", "--seed")
    assert convert("one", *options, "4").code == 0
    assert convert("two", *options, "4").code == 0
    assert convert("other", *options, "5").code == 0
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    assert files_of(one) == files_of(two)
    chosen = [(folder / "calibration.json").read_bytes() for folder in (one, two, other)]
    assert chosen[0] == chosen[1] != chosen[2]
    manifest = json.loads(chosen[0])
    assert len(manifest["entries"]) == manifest["images"] == 8
    assert report_of(one)["calibration"]["sha256"] == manifest["sha256"]


def test_nothing_is_rewritten_where_that_is_asked_for(convert: Run, tmp_path: Path) -> None:
    assert convert("out", "--int8", "--rewrite", "none").code == 0
    levels = {record["level"] for record in report_of(tmp_path / "out")["rewrites"]}
    assert levels <= {"flatbuffer"}


def test_resize_reports_residual_and_costs(convert: Run, tmp_path: Path) -> None:
    said = convert("out", "--fp32", "--rewrite", "resize")
    assert said.code in (0, 3)
    report = report_of(tmp_path / "out")
    fitted = [record for record in report["rewrites"] if not record["exact"]]
    assert [record["layer"] for record in fitted] == ["up"]
    assert fitted[0]["max_rel_error"] > 1e-4
    costs = {form["form"]: form["cost"] for form in fitted[0]["candidates"]}
    assert {"subpixel", fitted[0]["chosen"]} <= set(costs)
    assert all(cost > 0 for cost in costs.values())
    assert report["rewritten"]["max_rel_error"] > 1e-4
    told = " ".join(said.out.split())
    assert f"up: {fitted[0]['chosen']} is another function, off by up to" in told
    assert "fine-tune with --finetune DIR" in told


def test_a_failed_gate_leaves_everything_and_says_so(
    convert: Run, tmp_path: Path, fragile: Path
) -> None:
    said = convert("out", "--int8", "--fp32", "--remedies", "none", source=fragile)
    assert said.code == 3
    assert said.err.startswith("Error: 1 gate(s) failed: int8: mIoU drops by")
    assert len(said.err.strip().splitlines()) == 1
    report = report_of(tmp_path / "out")
    assert not report["passed"]
    assert not report["variants"]["int8"]["accuracy"]["passed"]
    assert report["variants"]["float32"]["accuracy"]["passed"]
    assert set(files_of(tmp_path / "out")) == {
        "fragile-float32.tflite",
        "fragile-int8.failed.tflite",
    }
    assert report["variants"]["int8"]["file"] == "fragile-int8.failed.tflite"
    # Run again with a gate that it passes: the failed file of before does not stay beside it.
    assert convert("out", "--int8", "--max-drop", "100", source=fragile).code == 0
    assert set(files_of(tmp_path / "out")) == {"fragile-int8.tflite"}


def test_a_failed_gate_in_json(convert: Run, fragile: Path) -> None:
    said = convert("out", "--int8", "--json", "--remedies", "none", source=fragile)
    assert said.code == 3
    assert json.loads(said.out)["passed"] is False
    assert said.err.count("\n") == 1


def test_min_runtime_names_the_op(convert: Run, tmp_path: Path) -> None:
    said = convert("out", "--int8", "--min-runtime", "1.14")
    assert said.code == 3
    assert "needs runtime 1.15" in said.err
    assert "--min-runtime allows 1.14" in said.err
    report = report_of(tmp_path / "out")
    op = report["variants"]["int8"]["min_runtime_op"]
    assert op.split()[0] in report["variants"]["int8"]["ops"]
    assert op in said.err
    assert not report["passed"]
    assert convert("later", "--int8", "--min-runtime", "2.16").code == 0


def test_a_released_file_is_mended(convert: Run, tmp_path: Path) -> None:
    assert convert("naive", "--fp32", "--rewrite", "none", "--baseline").code == 0
    released = tmp_path / "released-int8.tflite"
    released.write_bytes((tmp_path / "naive" / "tiny-naive_batch1.tflite").read_bytes())
    assert convert("mended", source=released).code == 0
    variants = report_of(tmp_path / "mended")["variants"]
    assert list(variants) == ["int8", "as_released"]
    before, after = (variants[name]["audit"]["xnnpack"] for name in ("as_released", "int8"))
    assert before["partitions"] > after["partitions"] == 1
    assert {op["op"] for op in before["outside"]} == {"RELU"}
    assert variants["int8"]["accuracy"]["agreement_iou"] > 0.99
    files = files_of(tmp_path / "mended")
    assert set(files) == {"released-int8.tflite", "released-as_released.tflite"}
    assert files["released-as_released.tflite"] == released.read_bytes()


def test_a_default_folder_beside_the_caller(
    run: Run, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run(
        "convert", tiny.keras, "--fp32", "--input-range", "0,1", "--no-benchmark",
        "--validation", tiny.validation,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert (tmp_path / "tiny-tflite" / "tiny-float32.tflite").is_file()
    assert not (tmp_path / "tiny-tflite" / "calibration.json").exists()

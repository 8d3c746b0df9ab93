"""`portrait-tflite convert` of a network that plain int8 ruins: the ladder from end to end."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def convert(run: Run, tiny: Any, fragile: Path, tmp_path: Path) -> Run:
    """Give `convert` of the fragile network to `tmp_path/NAME`, int8 alone, without timing."""

    def call(name: str, *options: object, source: Path | None = None) -> Any:
        return run(
            "convert", source or fragile, "--input-range", "0,1", "--no-benchmark", "--int8",
            "--calibration", tiny.calibration, "--validation", tiny.validation,
            "--out", tmp_path / name, *options,
        )  # fmt: skip

    return call


def _int8(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text("utf-8"))["variants"]["int8"]


def _sensitivity(folder: Path) -> list[dict[str, str]]:
    written = (folder / "sensitivity.csv").read_text("utf-8")
    return list(csv.DictReader(written.splitlines()))


def test_the_ladder_keeps_the_promise(convert: Run, tmp_path: Path) -> None:
    said = convert("out")
    assert said.code == 0, said.err
    variant = _int8(tmp_path / "out")
    assert variant["accuracy"]["passed"]
    assert (tmp_path / "out" / "fragile-int8.tflite").is_file()
    steps = variant["remedies"]
    assert steps[-1]["passed"]
    assert steps[-1]["kept"]
    assert sum(step["gain"] for step in steps if step["kept"]) > 1
    assert all({"name", "gain", "cost"} <= step.keys() for step in steps)
    assert "Remedies" in said.out
    assert steps[-1]["name"] in said.out
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "what was done for the accuracy" in page
    if variant["float_layers"]:
        assert variant["float_layers"][0]["layer"] in said.out


def test_a_float_file_has_the_remedies_too(
    convert: Run, run: Run, tiny: Any, fragile: Path, tmp_path: Path
) -> None:
    made = run(
        "convert", fragile, "--input-range", "0,1", "--no-benchmark", "--fp32",
        "--validation", tiny.validation, "--out", tmp_path / "made",
    )  # fmt: skip
    assert made.code == 0, made.err
    released = tmp_path / "released.tflite"
    released.write_bytes((tmp_path / "made" / "fragile-float32.tflite").read_bytes())
    assert convert("out", source=released).code == 0
    assert _int8(tmp_path / "out")["remedies"][-1]["passed"]


def test_at_the_top_without_success_the_best_file_is_kept_and_the_layers_to_blame_are_named(
    convert: Run, run: Run, tiny: Any, fragile: Path, tmp_path: Path
) -> None:
    said = convert("out", "--remedies", "bias_correction,rounding,ranges")
    assert said.code == 3
    variant = _int8(tmp_path / "out")
    steps = variant["remedies"]
    assert [step["name"] for step in steps] == ["ranges", "rounding", "bias_correction"]
    assert not any(step["passed"] for step in steps)
    kept = [step["loss"] for step in steps if step["kept"]]
    assert 0 < len(kept) < len(steps)
    assert variant["accuracy"]["drop"]["miou"] == pytest.approx(min(kept))
    assert min(kept) < steps[0]["loss"] + steps[0]["gain"]
    assert variant["file"] == "fragile-int8.failed.tflite"
    assert [path.name for path in (tmp_path / "out").glob("*.tflite")] == [variant["file"]]
    file = tmp_path / "out" / variant["file"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == variant["sha256"]
    scored = run("verify", fragile, file, "--data", tiny.validation, "--json")
    drop = json.loads(scored.out)["accuracy"]["drop"]["miou"]
    assert drop == pytest.approx(min(kept), abs=0.01)
    rows = _sensitivity(tmp_path / "out")
    assert float(rows[0]["points"]) > 1
    assert f"{rows[0]['layer']} (" in said.err
    assert "harm most; all remedies are tried without --remedies" in said.err
    assert len(said.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("remedies", "finetuning", "trainable", "said"),
    [
        ((), None, object(), "all remedies are tried without --remedies"),
        (None, None, object(), "--finetune DIR trains the weights for int8"),
        (None, None, None, ""),  # of a released file there is nothing to train
        (None, object(), object(), ""),
    ],
)
def test_what_is_left_to_try_is_said(
    remedies: Any, finetuning: Any, trainable: Any, said: str
) -> None:
    from portrait_tflite.pipeline.remedying import _left

    request = SimpleNamespace(remedies=remedies)
    network, treatable = (
        SimpleNamespace(finetuning=finetuning),
        SimpleNamespace(trainable=trainable),
    )
    assert _left(request, network, treatable) == said


def test_none_leaves_plain_int8_and_names_the_layers_to_blame(convert: Run, tmp_path: Path) -> None:
    said = convert("out", "--remedies", "none")
    assert said.code == 3
    assert _int8(tmp_path / "out")["remedies"] == []
    rows = _sensitivity(tmp_path / "out")
    assert float(rows[0]["points"]) > 1
    assert f"{rows[0]['layer']} (" in said.err
    assert "harm most" in said.err


def test_a_network_that_passes_has_its_sensitivity_too(
    convert: Run, tiny: Any, tmp_path: Path
) -> None:
    said = convert("out", source=tiny.keras)
    assert said.code == 0, said.err
    assert _int8(tmp_path / "out")["remedies"] == []
    rows = _sensitivity(tmp_path / "out")
    assert [int(row["rank"]) for row in rows] == list(range(1, len(rows) + 1))
    assert {row["op"] for row in rows} >= {"CONV_2D", "ADD"}
    assert all(0 < float(row["error_share"]) < 0.1 for row in rows if row["op"] == "CONV_2D")
    assert "harm" not in said.err
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "the layers that suffer most" in page


def test_what_cannot_be_looked_at_alone_does_not_cost_the_conversion(
    convert: Run, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portrait_tflite.errors import UsageError
    from portrait_tflite.pipeline import blaming

    def refuse(*_: Any) -> None:
        raise UsageError("a .tflite that the runtime loads is required")

    monkeypatch.setattr(blaming, "sensitivity", refuse)
    assert convert("out", source=tiny.keras).code == 0
    assert not (tmp_path / "out" / "sensitivity.csv").exists()


@pytest.mark.parametrize("names", ["magic", "ranges,magic", "none,ranges", ""])
def test_unknown_remedies_are_refused(convert: Run, tmp_path: Path, names: str) -> None:
    said = convert("out", "--remedies", names)
    assert said.code == 2
    assert "--remedies must be none or a list of ranges, equalization" in said.err
    assert not (tmp_path / "out").exists()

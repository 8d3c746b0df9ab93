"""`portrait-tflite convert` of a network that plain int8 ruins: the ladder from end to end."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
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


@pytest.fixture
def costly(tmp_path: Path) -> Path:
    """A network as fragile, which float makes dearer than what it may cost."""
    import keras

    layers = keras.layers
    image = keras.Input((32, 32, 3))
    one, two = (layers.Conv2D(16, 3, padding="same", name=name)(image) for name in ("one", "two"))
    scaled = layers.Conv2D(1, 1, activation="sigmoid", name="head")
    model = keras.Model(image, scaled(layers.Subtract(name="difference")([one, two])))
    for name, red in (("one", 1.0), ("two", 0.0)):
        kernel = np.full((3, 3, 3, 16), 1e-3)  # no smaller kernel is the same
        kernel[1, 1, :2] = [[red], [300.0]]
        model.get_layer(name).set_weights([kernel, np.full(16, 0.7)])
    model.get_layer("head").set_weights([np.full((1, 1, 16, 1), 20 / 16), np.array([-10.0])])
    path = tmp_path / "costly.keras"
    model.save(path)
    return path


def test_layers_in_float_cost_no_more_than_the_plain_converter_unless_asked_for() -> None:
    from portrait_tflite.pipeline.remedying import _budget

    def asked(budget: float | None, naive: float | None) -> Any:
        cost = None if naive is None else lambda: naive
        network = SimpleNamespace(naive_cost=cost)
        return _budget(SimpleNamespace(float_budget=budget), network)

    default = asked(None, 1.1e6)
    assert (default.max_cost, default.max_cycles) == (1.25, 1.1e6)
    # Of a released file there is no plain conversion; and what is asked for has no other bound.
    assert (asked(None, None).max_cost, asked(None, None).max_cycles) == (1.25, math.inf)
    assert (asked(40.0, 1.1e6).max_cost, asked(40.0, 1.1e6).max_cycles) == (1.4, math.inf)


def test_a_larger_budget_for_layers_in_float_is_named_and_spent(
    convert: Run, costly: Path, tmp_path: Path
) -> None:
    said = convert("out", source=costly)
    assert said.code == 3
    assert "--float-budget PERCENT lets layers in float cost more, --finetune DIR" in said.err
    (step,) = (s for s in _int8(tmp_path / "out")["remedies"] if s["name"] == "selective_float")
    assert not step["kept"]
    needed = re.fullmatch(
        r"layers in float that help: ARM cost \+(\d+) % of at most \+\d+ %.*",
        step["detail"],
    )
    assert needed is not None, step["detail"]
    percent = 2 * int(needed[1])
    only = ("--remedies", "selective_float")
    said = convert("more", *only, "--float-budget", percent, source=costly)
    assert said.code == 0, said.err
    (step,) = _int8(tmp_path / "more")["remedies"]
    assert 1 < step["mcycles_after"] / step["mcycles_before"] <= 1 + percent / 100
    assert f"of at most +{percent} %, 1 of at most 2 partitions" in step["detail"]


def test_a_budget_for_layers_in_float_that_none_may_spend_is_refused(
    convert: Run, tmp_path: Path
) -> None:
    said = convert("out", "--remedies", "ranges,rounding", "--float-budget", 30)
    assert said.code == 2
    assert "Received: 30 without that remedy" in said.err
    said = convert("out", "--float-budget", "-1")
    assert said.code == 2
    assert not (tmp_path / "out").exists()


def test_a_budget_for_layers_in_float_without_int8_is_refused(
    run: Run, fragile: Path, tmp_path: Path
) -> None:
    said = run(
        "convert", fragile, "--fp32", "--input-range", "0,1", "--float-budget", 30,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 2
    assert "--float-budget is for --int8" in said.err
    assert "Received: 30 without --int8" in said.err


@pytest.mark.parametrize(
    ("remedies", "budget", "finetuning", "trainable", "said"),
    [
        ((), None, None, object(), "all remedies are tried without --remedies"),
        (
            *(None, None, None, object()),
            "--float-budget PERCENT lets layers in float cost more, "
            "--finetune DIR trains the weights for int8",
        ),
        (None, 30.0, None, object(), "--finetune DIR trains the weights for int8"),
        # Of a released file there is nothing to train.
        (None, None, None, None, "--float-budget PERCENT lets layers in float cost more"),
        (None, 30.0, object(), object(), ""),
    ],
)
def test_what_is_left_to_try_is_said(
    remedies: Any, budget: float | None, finetuning: Any, trainable: Any, said: str
) -> None:
    from portrait_tflite.pipeline.remedying import _left
    from portrait_tflite.vocabulary import ModelSpec

    request = SimpleNamespace(remedies=remedies, float_budget=budget)
    network, treatable = (
        SimpleNamespace(finetuning=finetuning, spec=ModelSpec(8, 8)),
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

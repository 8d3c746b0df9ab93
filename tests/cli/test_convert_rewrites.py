"""Rewrites by name, a user's own, one layer explained and `--tune`, from end to end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]

_PAGE = Path(__file__).parents[2] / "docs" / "writing-a-rewrite.md"


@pytest.fixture(scope="module")
def released(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain int8 of the tiny network, whose RELU stands alone."""
    import keras

    from portrait_tflite.quantize.variants import build_naive

    def noise() -> Iterator[list[Any]]:
        rng = np.random.default_rng(5)
        for _ in range(4):
            yield [rng.uniform(size=(1, 32, 32, 3)).astype(np.float32)]

    path = tmp_path_factory.mktemp("released") / "released.tflite"
    path.write_bytes(build_naive(keras.models.load_model(tiny.keras), noise, batch_one=True).data)
    return path


@pytest.fixture
def convert(run: Run, tiny: Any, tmp_path: Path) -> Run:
    """Give `convert` to `tmp_path/NAME`, without timing, and the report."""

    def call(name: str, source: Path | None, *options: object, code: int = 0) -> Any:
        said = run(
            "convert", source or tiny.keras, "--input-range", "0,1", "--no-benchmark",
            "--calibration", tiny.calibration, "--out", tmp_path / name, *options,
        )  # fmt: skip
        assert said.code == code, said.err
        report = tmp_path / name / "report.json"
        return said, json.loads(report.read_text("utf-8")) if report.exists() else None

    return call


def _names(records: list[dict[str, Any]]) -> set[str]:
    return {record["rewrite"] for record in records}


def test_a_released_file_is_mended_by_name(convert: Run, tmp_path: Path, released: Path) -> None:
    said, alone = convert("alone", released, "--rewrite", "none,relu_to_quantize")
    assert _names(alone["rewrites"]) == {"relu_to_quantize"}
    assert alone["selection"]["only"] == ["relu_to_quantize"]
    assert "rewrites run alone: relu_to_quantize" in said.out
    said, without = convert("without", released, "--rewrite", "-relu_to_quantize,-fuse_clamp")
    assert not _names(without["rewrites"] + without["skipped"]) & {"relu_to_quantize", "fuse_clamp"}
    assert without["selection"]["dropped"] == ["relu_to_quantize", "fuse_clamp"]
    assert "rewrites left out by name: relu_to_quantize, fuse_clamp" in said.out
    assert without["variants"]["int8"]["ops"]["RELU"] == 1
    _, none = convert("none", released, "--rewrite", "none")
    assert none["rewrites"] == none["skipped"] == []
    mended = (tmp_path / "none" / "released-int8.tflite").read_bytes()
    assert mended == released.read_bytes()


def test_what_is_applied_by_name_alone_is_asked_for(convert: Run, released: Path) -> None:
    _, unasked = convert("unasked", released)
    assert "exact_multiplier" not in _names(unasked["rewrites"] + unasked["skipped"])
    said, asked = convert("asked", released, "--rewrite", "exact_multiplier")
    assert asked["selection"]["only"] == ["exact_multiplier"]
    assert "rewrites asked for by name: exact_multiplier" in said.out
    assert "exact_multiplier" in _names(asked["rewrites"] + asked["skipped"])


def test_names_reach_both_levels(convert: Run) -> None:
    dropped = ("transposed_convolution", "transposed_to_depth", "relu_to_quantize", "fuse_clamp")
    asked = ",".join(["exact", *(f"-{name}" for name in dropped)])
    _, report = convert("out", None, "--int8", "--rewrite", asked)
    done = report["rewrites"] + report["skipped"]
    assert done
    assert not _names(done) & set(dropped)
    assert "TRANSPOSE_CONV" in report["variants"]["int8"]["ops"]


def test_the_documents_rewrites_from_the_command_line(
    convert: Run, tmp_path: Path, released: Path
) -> None:
    keras_example, file_example = re.findall(
        r"```python\n(.*?)```", _PAGE.read_text("utf-8"), re.DOTALL
    )
    own = tmp_path / "own.py"
    own.write_text(keras_example)
    said, _ = convert("refused", released, "--custom-objects", own, code=2)
    assert "which has none. Leave it out." in said.err
    own.write_text(file_example)
    _, report = convert("out", released, "--custom-objects", own)
    assert report["selection"]["own"] == ["square_to_product"]
    own.write_text(file_example.replace('if node.op != "POW":', "if 1 / 0:"))
    said, _ = convert("broken", released, "--custom-objects", own, code=4)
    assert "Received from square_to_product: ZeroDivisionError" in said.err
    assert "--rewrite -square_to_product" in said.err
    assert not (tmp_path / "broken").exists()


def test_one_layer_explained(convert: Run, tmp_path: Path) -> None:
    said, report = convert("out", None, "--int8", "--fp16", "--rewrite-report", "up", "--json")
    assert report is None
    assert list(tmp_path.iterdir()) == []
    told = json.loads(said.out)
    assert (told["layer"], told["op"]) == ("up", "Conv2DTranspose")
    assert set(told["files"]) == {"int8", "float16"}
    (taken,) = told["keras"]["gpu"]["applied"]
    assert (taken["rewrite"], taken["layer"]) == ("transposed_convolution", "up")
    assert taken["max_rel_error"] <= 1e-5
    outside = {form["form"]: form["outside"] for form in taken["candidates"]}
    assert outside["transpose_conv"] > outside[taken["chosen"]] == 0
    cpu = told["keras"]["xnnpack"]
    (looked,) = cpu["applied"] + cpu["kept"]  # by its costs, one or the other
    assert looked["reason"].endswith("cheapest for xnnpack")
    costs = {form["form"]: form["cost"] for form in looked["candidates"]}
    assert {"subpixel", "transpose_conv"} <= set(costs)
    assert all(cost > 0 for cost in costs.values())
    assert "select_channel" in told["keras"]["gpu"]["unmatched"]


def test_a_layer_that_another_swallowed(convert: Run) -> None:
    said, _ = convert("out", None, "--int8", "--rewrite-report", "norm")
    assert said.out.startswith("norm (BatchNormalization)\nIn the Keras graph, for XNNPACK\n")
    assert "exact" in said.out
    assert "In the finished file, int8" in said.out


def test_what_mending_did_at_a_layer(convert: Run, tmp_path: Path, released: Path) -> None:
    said, _ = convert("out", released, "--rewrite-report", "before", "--json")
    told = json.loads(said.out)
    assert told["op"] == "RELU"
    assert told["keras"] == {}
    applied = told["files"]["int8"]["applied"]
    assert [record["rewrite"] for record in applied] == ["relu_to_quantize"]
    forms = [(form["form"], form["outside"]) for form in applied[0]["candidates"]]
    assert forms == [("RELU", 1), ("QUANTIZE", 0)]
    assert applied[0]["chosen"] == "QUANTIZE"
    assert not (tmp_path / "out").exists()


def test_an_op_of_a_file_is_explained_by_its_tensor(convert: Run, released: Path) -> None:
    from portrait_tflite.convert.files.flatbuffer import read_model
    from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes

    nodes = list_nodes(read_model(released.read_bytes()))
    (relu,) = (node.tensor for node in nodes if node.op == "RELU")
    assert relu != "before"
    said, _ = convert("out", released, "--rewrite-report", relu)
    lines = [line.strip() for line in said.out.splitlines()]
    assert lines[0] == f"{relu} (RELU)"
    assert any(line.startswith("relu_to_quantize at before → QUANTIZE: ") for line in lines)
    assert any(line.startswith("RELU: 1 op outside, 0.") for line in lines)
    assert any(line.startswith("→ QUANTIZE: 0 ops outside, ") for line in lines)


def test_a_released_files_report_has_the_forms(
    convert: Run, tmp_path: Path, released: Path
) -> None:
    said, report = convert("out", released)
    assert "1 × relu_to_quantize → QUANTIZE in the finished file" in said.out
    (record,) = (r for r in report["rewrites"] if r["rewrite"] == "relu_to_quantize")
    kept, taken = record["candidates"]
    assert kept["cost"] > taken["cost"] > 0
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    forms = r"QUANTIZE (< )?0\.0\d\d</td>\s*<td class=\"forms\"><div>RELU 0\.\d\d\d, 1 op outside"
    assert re.search(forms, page)


def test_an_unknown_layer_is_refused(convert: Run, released: Path) -> None:
    for source, near in ((None, "separable"), (released, "separable")):
        said, _ = convert("out", source, "--rewrite-report", "seperable", code=2)
        assert f"Received: 'seperable'. Did you mean '{near}'?" in said.err
    said, _ = convert("out", None, "--rewrite-report", "", code=2)
    assert "Received: ''." in said.err


def test_timing_on_this_host_chooses(convert: Run) -> None:
    said, report = convert("out", None, "--int8", "--tune")
    assert report["selection"]["tuned"]
    choices = [c for r in report["rewrites"] + report["skipped"] for c in r["candidates"]]
    timed = [choice["host_ms"] for choice in choices if choice["host_ms"] is not None]
    assert len(timed) >= 2
    assert all(ms > 0 for ms in timed)
    assert "which is no phone" in " ".join(said.out.split())

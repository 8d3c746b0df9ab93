"""`portrait-tflite audit` on the terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from portrait_tflite.cli.audit import command
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.errors import UsageError

Build = Callable[..., Any]


@pytest.fixture
def file(relu_net: Build, tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    return path


def test_prints_a_table_per_delegate(file: Path) -> None:
    result = CliRunner().invoke(command, [str(file)], catch_exceptions=False)
    assert result.exit_code == 0
    said = " ".join(result.output.split())
    confirmed = "(predicted, and confirmed by the runtime)"
    assert f"XNNPACK: 3 partitions, 2 ops outside {confirmed}" in said
    assert "2 × RELU" in said
    assert "`portrait-tflite convert FILE.tflite` does it:" in said
    assert "relu_to_quantize" in said
    assert "2 partitions less" in said
    assert "GPU delegate: every op inside, 1 partition, by its rules alone (not run)" in said
    assert "built-in kernels: every op inside" in said
    assert "oldest runtime TensorFlow Lite 2.1, for RELU v2" in said
    assert "Android AAR 2.16.1 TensorFlow Lite 2.16.1 loads it" in said
    assert "2 KiB, 60 parameters" in said
    assert "Mcyc by the arm64 cost table" in said


@pytest.mark.parametrize("width", [80, 120])
def test_lines_keep_to_the_terminal(
    file: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait_tflite.cli.output._PLAIN_WIDTH", width)
    monkeypatch.setenv("COLUMNS", str(width))
    lines = CliRunner().invoke(command, [str(file)], catch_exceptions=False).output.splitlines()
    # The file's own name is as long as it is.
    assert max(len(line) for line in lines if str(file.parent) not in line) <= width


def test_quick_tries_no_mending(file: Path) -> None:
    result = CliRunner().invoke(command, [str(file), "--quick", "--json"], catch_exceptions=False)
    outside = json.loads(result.stdout)["audit"]["xnnpack"]["outside"]
    assert [(op["rewrite"], op["worth_mcycles"]) for op in outside] == [("", None)] * 2


def test_a_file_that_the_runtime_refuses_is_named(tiny_graph: Build, tmp_path: Path) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 4), "float32") for name in "xy")
    graph.op("RELU", [x], y, 99)
    path = tmp_path / "newer.tflite"
    path.write_bytes(graph.build([x], [y]))
    with pytest.raises(UsageError, match=r"Received: .*newer\.tflite: Didn't find op"):
        CliRunner().invoke(command, [str(path)], catch_exceptions=False)


def test_json_is_the_record_and_nothing_else(file: Path) -> None:
    result = CliRunner().invoke(command, [str(file), "--json"], catch_exceptions=False)
    data = json.loads(result.stdout)
    assert data["schema"] == 1
    assert data["file"] == str(file)
    assert data["audit"]["xnnpack"]["partitions"] == 3
    assert data["audit"]["xnnpack"]["outside"][0]["layer"] == "relu_0"
    assert data["min_runtime"] == "2.1"
    assert data["ops"]["RELU"] == 2


def test_json_has_the_form_of_a_variant_in_report_json(file: Path) -> None:
    result = CliRunner().invoke(command, [str(file), "--json"], catch_exceptions=False)
    data = json.loads(result.stdout)
    above = {"schema", "file", "ops", "min_runtime", "min_runtime_op", "audit"}
    assert set(data) == above | {"facts", "inside", "lint"}
    assert "splitting_ops" in {finding["rule"] for finding in data["lint"]}
    assert data["audit"]["xnnpack"]["outside"][0]["rewrite"] == "relu_to_quantize"
    assert data["facts"]["macs"] == 3072
    assert data["facts"]["android_aar"] == ""
    assert data["inside"]["xnnpack"] == {"CONV_2D": 3}
    assert {name: set(each) for name, each in data["audit"].items()} == {
        "xnnpack": {"partitions", "complete", "outside", "predicted"},
        "gpu": {"complete", "rejected", "predicted"},
        "cpu": {"partitions", "complete", "outside"},
    }


@pytest.mark.parametrize("data", [None, b"garbage"])
def test_bad_files_are_named(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "bad.tflite"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=r"\.tflite file is required"):
        CliRunner().invoke(command, [str(path)], catch_exceptions=False)


def test_a_folder_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Received: .* \(a folder\)"):
        CliRunner().invoke(command, [str(tmp_path)], catch_exceptions=False)
    with pytest.raises(UsageError, match=r"\(a folder\)"):
        read_model(tmp_path)


def test_help_has_an_example() -> None:
    assert "portrait-tflite audit selfie.tflite" in CliRunner().invoke(command, ["--help"]).output

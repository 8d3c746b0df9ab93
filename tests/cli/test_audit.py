"""`portrait-tflite audit` on the terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from portrait_tflite.cli.audit import command
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
    assert "XNNPACK: 3 partitions, 2 ops outside" in result.output
    assert "2 × RELU" in result.output
    assert "GPU: every op inside (by its rules; not run)" in result.output
    assert "CPU: every op inside, on the built-in kernels" in result.output
    assert "Oldest runtime: TensorFlow Lite 2.1, for RELU v2" in result.output
    assert "3 CONV_2D" in result.output
    assert "60 parameters, 0.0 M MACs, 768 bytes of activations at most" in result.output
    assert "TensorFlow Lite of Android AAR 2.16.1: loads it" in result.output
    assert "delegate for CPU" not in result.output


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
    assert set(data) == above | {"facts", "inside"}
    assert data["facts"]["macs"] == 3072
    assert data["facts"]["android_aar"] == ""
    assert data["inside"]["xnnpack"] == {"CONV_2D": 3}
    assert {name: set(each) for name, each in data["audit"].items()} == {
        "xnnpack": {"partitions", "complete", "outside"},
        "gpu": {"complete", "rejected"},
        "cpu": {"partitions", "complete", "outside"},
    }


@pytest.mark.parametrize("data", [None, b"garbage"])
def test_bad_files_are_named(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "bad.tflite"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=r"\.tflite file is required"):
        CliRunner().invoke(command, [str(path)], catch_exceptions=False)


def test_help_has_an_example() -> None:
    assert "portrait-tflite audit selfie.tflite" in CliRunner().invoke(command, ["--help"]).output

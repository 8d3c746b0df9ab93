"""`convert` on a machine with a Vulkan adapter and the emulated arm64 machine, as CI has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from portrait_tflite.benchmarks.arm.setup import status
from portrait_tflite.benchmarks.gpu.adapters import find_adapter
from portrait_tflite.errors import UnavailableError


@pytest.fixture(scope="module")
def report(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Everything that `convert` measures by default."""
    from portrait_tflite.cli.main import _run

    out = tmp_path_factory.mktemp("measured") / "out"
    arguments = [
        "-q", "convert", tiny.keras, "--fp16", "--int8", "--input-range", "0,1", "--runs", "2",
        "--calibration", tiny.calibration, "--validation", tiny.validation, "--out", out,
        "--baseline",
    ]  # fmt: skip
    assert _run([str(argument) for argument in arguments], debug=False) == 0
    return json.loads((out / "report.json").read_text("utf-8"))


def test_the_gpu_runs_what_is_for_an_app(report: Any, require_or_skip: Any) -> None:
    try:
        find_adapter()
    except UnavailableError as error:
        require_or_skip(str(error))
    rows = {row["variant"]: row for row in report["benchmarks"] if row["delegate"] == "gpu"}
    assert set(rows) == {"float16", "int8"}
    row = rows["float16"]
    assert not row["unavailable"]
    assert row["fully_accelerated"]
    assert row["adapter"]
    assert row["against_cpu"]["iou"] > 0.99
    # The difference was taken on the pictures that were scored, not on noise.
    assert not any("noise" in warning for warning in row["warnings"])


def test_arm_cost_is_counted(report: Any, require_or_skip: Any) -> None:
    ready = status()
    if not ready.ready:
        require_or_skip(ready.reason)
    rows = {row["variant"]: row for row in report["arm_cost"]}
    assert set(rows) == set(report["variants"])
    assert all(row["cycles"] > 0 and not row["unavailable"] for row in rows.values())
    assert rows["int8"]["dot"] > 0 == rows["float16"]["dot"]
    assert rows["int8"]["partitions"] == 1 < rows["naive_batch1"]["partitions"]
    assert {op["op"] for op in rows["int8"]["ops"]} >= {"CONV_2D"}


def test_ops_are_timed_with_the_delegate_that_they_ran_in(report: Any) -> None:
    rows = {(row["variant"], row["delegate"]): row for row in report["benchmarks"]}
    ops = rows["naive_batch1", "xnnpack"]["ops"]
    assert {op["delegate"] for op in ops} == {"xnnpack", "cpu"}
    assert {op["delegate"] for op in rows["int8", "cpu"]["ops"]} == {"cpu"}

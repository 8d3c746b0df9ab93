"""What `benchmark` writes: the same file for this machine and for a phone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from portrait_tflite.cli.output import command_line
from portrait_tflite.vocabulary import (
    PAGE_FILE,
    RESULT_FILE,
    SCHEMA,
    ArmCost,
    BenchmarkResult,
    DeviceResult,
    Json,
    Machine,
)

if TYPE_CHECKING:
    from portrait_tflite.output_folder import OutputFolder

RESULT_FILES = frozenset({RESULT_FILE, PAGE_FILE})


def result_json(
    machine: Machine,
    versions: dict[str, str],
    timed: Sequence[BenchmarkResult],
    counted: Sequence[ArmCost] = (),
) -> Json:
    """Return what `benchmark.json` holds."""
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_line(),
        "versions": versions,
        "machine": asdict(machine),
        "benchmarks": [asdict(row) for row in timed],
        "arm_cost": [asdict(cost) for cost in counted],
    }


def phone_json(result: DeviceResult, machine: Machine, versions: dict[str, str]) -> Json:
    """Return the same of a phone, with what is known of phones alone."""
    return result_json(machine, versions, result.benchmarks) | {
        "device": asdict(result.device),
        "app": asdict(result.app),
        "model": asdict(result.model),
        "self_test": [asdict(row) for row in result.self_test],
    }


def write_result(folder: OutputFolder, result: Json, page: str) -> None:
    """Write `benchmark.json` and `benchmark.html`, both or none."""
    with folder.staged() as staging:
        text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
        (staging / RESULT_FILE).write_text(text + "\n", encoding="utf-8")
        (staging / PAGE_FILE).write_text(page, encoding="utf-8")

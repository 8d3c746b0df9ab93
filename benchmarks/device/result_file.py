"""A phone's result file, read into the records of every other measurement."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from portrait_tflite.benchmarks.device.adb import refusal
from portrait_tflite.vocabulary import (
    SCHEMA,
    BatteryC,
    BenchmarkResult,
    Delegate,
    DeviceResult,
    Fault,
    FrameMs,
    Json,
    LatencyMs,
    Phone,
    PhoneApp,
    PhoneModel,
    SelfTest,
    Thermal,
)

_WHAT = "give a whole result"


def read_device_result(path: Path, serial: str, model_sha256: str) -> DeviceResult:
    """Read a result file.

    Args:
        serial: Of the phone, for messages.
        model_sha256: Of the `model.json` that was pushed.

    Raises:
        AdbError: The app failed, the file is cut off, of another schema or another model, or
            something in it is missing or no figure.
    """
    try:
        data = json.loads(path.read_text("utf-8"), parse_constant=_no_number)
    except ValueError as error:
        raise refusal(_WHAT, serial, f"one that is cut off or damaged ({error})") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else None
        reason = f"schema {found}, where {SCHEMA} is known; use the app of this version"
        raise refusal(_WHAT, serial, reason)
    if data.get("error"):
        raise refusal("run the model", serial, f"the app says: {data['error']}")
    try:
        result = _result(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"one in which something is missing or wrong: {error}"
        raise refusal(_WHAT, serial, reason) from error
    if result.model.sha256 != model_sha256:
        raise refusal(_WHAT, serial, f"one of another model, {result.model.name}")
    return result


def _result(data: Json) -> DeviceResult:
    phone = Phone(**{each.name: data["device"][each.name] for each in fields(Phone)})
    return DeviceResult(
        device=phone,
        app=PhoneApp(data["app"]["version"], data["app"]["runtime"]),
        model=PhoneModel(data["model"]["name"], data["model"]["sha256"]),
        self_test=tuple(map(_self_test, data["self_test"])),
        benchmarks=tuple(_cell(row, phone) for row in data["benchmarks"]),
    )


def _self_test(row: Json) -> SelfTest:
    return SelfTest(
        variant=row["variant"],
        delegate=Delegate(row["delegate"]),
        threads=int(row.get("threads", 1)),
        golden=row["golden"],
        iou=_figure(row["iou"]),
        max_step=_figure(row["max_step"]),
        passed=row["passed"],
        unavailable=row.get("unavailable", ""),
        error=row.get("error", ""),
    )


def _cell(row: Json, phone: Phone) -> BenchmarkResult:
    error, remark = row.get("error", ""), row.get("remark", "")
    partitions = row["partitions"]
    return BenchmarkResult(
        variant=row["variant"],
        device=phone.name,
        delegate=Delegate(row["delegate"]),
        precision=row["precision"],
        threads=int(row["threads"]),
        partitions=None if partitions is None else int(partitions),
        runs=int(row["runs"]),
        processes=int(row.get("processes", 1)),
        warmup=int(row["warmup"]),
        latency_ms=_latency(row["latency_ms"]),
        init_ms=_figure(row["init_ms"]),
        first_ms=_figure(row["first_ms"]),
        peak_rss_mb=_figure(row["peak_rss_mb"]),
        stable=bool(row["stable"]),
        warnings=(*row["warnings"], *filter(None, [remark])),
        unavailable=row["unavailable"] or error,
        # A delegate that is not there is the phone's fault, anything else the file's.
        fault=Fault.FILE if error else Fault.MACHINE if row["unavailable"] else None,
        samples_ms=_series(row["samples_ms"]),
        thermal=Thermal(row["thermal"]["before"], row["thermal"]["after"]),
        battery_c=BatteryC(_figure(row["battery_c"]["before"]), _figure(row["battery_c"]["after"])),
        frame_ms=_frames(row["frame_ms"]),
    )


def _frames(row: Mapping[str, Any] | None) -> FrameMs | None:
    if row is None:
        return None
    return FrameMs(**{each.name: _latency(row[each.name]) for each in fields(FrameMs)})


def _latency(row: Mapping[str, Any] | None) -> LatencyMs | None:
    if row is None:
        return None
    return LatencyMs(**{each.name: _known(row[each.name]) for each in fields(LatencyMs)})


def _series(samples: list[Any]) -> tuple[tuple[float, ...], ...]:
    """Read the single timings of the app's one process."""
    return (tuple(map(_known, samples)),) if samples else ()


def _figure(value: float | None) -> float | None:
    return None if value is None else _known(value)


def _known(value: float) -> float:
    """Read a figure, which is no text, negative or infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} where a number is required")
    if not math.isfinite(value) or value < -100:  # a battery may be below 0 °C
        raise ValueError(f"{value:g} where a measured number is required")
    return float(value)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")

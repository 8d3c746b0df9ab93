"""What a phone was like while it was measured, as far as it speaks against the timings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from portrait_tflite.benchmarks.device.adb import Phone
from portrait_tflite.vocabulary import DeviceResult


def battery_saver(phone: Phone) -> tuple[str, ...]:
    """Say whether the battery saver is on, which Android keeps as `low_power`."""
    answer = phone.shell("say its settings", "settings", "get", "global", "low_power")
    if answer.out.strip() != "1":
        return ()
    return ("the battery saver is on, which slows the processor; switch it off",)


def with_warnings(result: DeviceResult, warnings: Sequence[str]) -> DeviceResult:
    """Put warnings that hold for a whole start on each cell that was timed in it."""
    rows = (
        replace(row, warnings=(*row.warnings, *warnings)) if row.latency_ms else row
        for row in result.benchmarks
    )
    return replace(result, benchmarks=tuple(rows))

"""`benchmark.html`: what `benchmark` measured, as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portrait_tflite.report.html import template
from portrait_tflite.report.phone_measurements import (
    describe_phone,
    phone_notes,
    self_test_lines,
    stage_time,
    threads_of,
)
from portrait_tflite.vocabulary import ArmCost, BenchmarkResult, DeviceResult, Machine

_TEMPLATE = "benchmark.html.j2"


def render_measured(
    machine: Machine, timed: Sequence[BenchmarkResult], counted: Sequence[ArmCost] = ()
) -> str:
    """Lay out what was measured on this machine and counted for arm64."""
    return _render(machine, timed, counted, title="Benchmark", about="", tests=[])


def render_phone(machine: Machine, result: DeviceResult) -> str:
    """Lay out what a phone measured."""
    return _render(
        machine,
        result.benchmarks,
        (),
        title=f"Benchmark on {result.device.name}",
        about=describe_phone(result),
        tests=list(self_test_lines(result.self_test)),
    )


def _render(
    machine: Machine,
    timed: Sequence[BenchmarkResult],
    counted: Sequence[ArmCost],
    **parts: Any,
) -> str:
    return template(_TEMPLATE).render(
        machine=machine,
        timed=[row for row in timed if row.latency_ms],
        counted=[cost for cost in counted if cost.cycles is not None],
        notes=[
            *phone_notes(timed),
            *(f"not counted: {c.variant}: {c.unavailable}" for c in counted if c.unavailable),
        ],
        threads_of=threads_of,
        stage_time=stage_time,
        **parts,
    )

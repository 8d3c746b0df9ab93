"""A cell in several processes on a card: how they are shared, combined, killed and refused."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.gpu import latency as gpu
from portrait_tflite.benchmarks.gpu.adapters import Adapter
from portrait_tflite.benchmarks.gpu.latency import measure_gpu
from portrait_tflite.benchmarks.gpu.session import Runs
from portrait_tflite.benchmarks.statistics import WarmUp
from portrait_tflite.benchmarks.worker_process import WorkerError, WorkerKilledError
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, Fault

VALUES = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4, 1)


@dataclass
class Card:
    """A stand-in for a card.

    Attributes:
        times_ms: The time of a run in each process, in turn.
        errors: What timing ends with, by process.
        outputs: What it computes.
        kind: What the runtime calls it.
    """

    times_ms: Sequence[float]
    errors: dict[int, WorkerError] = field(default_factory=dict)
    outputs: Any = field(default_factory=lambda: VALUES + np.float32(1e-5))
    kind: str = "DiscreteGPU"
    settled: bool = True
    opened: int = 0


class FakeSession(AbstractContextManager["FakeSession"]):
    """Answers as a session does, without a process."""

    def __init__(self, card: Card) -> None:
        self._card, self._number = card, card.opened
        card.opened += 1

    def __exit__(self, *_: object) -> None:
        pass

    def load(self, path: Path, images: object) -> tuple[str, ...]:
        return ("float32",)

    def run_on_cpu(self, delegate: Delegate) -> Runs:
        return [[VALUES]]

    def open(self, accelerator: str, *, enforce_f32: bool = False) -> dict[str, Any]:
        return {"init_ms": 5.0 + self._number, "full": True}

    def run(self) -> tuple[Runs, float]:
        return [[self._card.outputs]], 3.0

    def warm_up(self, limit: int) -> WarmUp:
        return WarmUp(limit if not self._card.settled else 10, self._card.settled)

    def time(self, runs: int) -> tuple[float, ...]:
        if self._number in self._card.errors:
            raise self._card.errors[self._number]
        return (self._card.times_ms[self._number],) * runs

    def said(self) -> str:
        return f"Selected adapter: Card, arch=x, adapterType={self._card.kind}"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that measures a cell on a card."""

    def call(card: Card, runs: int = 50, processes: int = 3, **adapter: Any) -> BenchmarkResult:
        found = Adapter("Card", **({"software": False} | adapter))
        monkeypatch.setattr(gpu, "find_adapter", lambda: found)
        monkeypatch.setattr(gpu, "GpuSession", lambda *_: FakeSession(card))
        cell = Cell("net", Path("net"), Delegate.GPU, precision="float32")
        return measure_gpu(cell, (), runs, processes)

    return call


def test_a_card_gets_a_series_per_process(measure: Any) -> None:
    row = measure(Card([2.0, 4.0, 3.0]), runs=50, processes=3)
    assert [len(one) for one in row.samples_ms] == [17, 17, 16]
    assert [one[0] for one in row.samples_ms] == [2.0, 4.0, 3.0]
    assert (row.runs, row.processes) == (50, 3)
    assert row.latency_ms.median == 3.0
    assert row.init_ms == 6.0
    assert row.fully_accelerated
    assert any("processes disagree" in warning for warning in row.warnings)


@pytest.mark.parametrize("known", [True, False])
def test_a_software_adapter_gets_one_whoever_says_that_it_is(measure: Any, known: bool) -> None:
    card = Card([2.0] * 3, kind="CPU")
    row = measure(card, software=known)
    assert (row.processes, row.runs, card.opened) == (1, 3, 1)
    assert row.software


def test_a_killed_process_leaves_the_others(measure: Any) -> None:
    row = measure(Card([2.0] * 3, errors={1: WorkerKilledError("the runtime was killed")}))
    assert (row.unavailable, row.processes) == ("", 2)
    assert row.runs == 50
    assert "1 of 3 processes are left out: the runtime was killed" in row.warnings


def test_where_all_are_killed_it_is_the_machines_fault(measure: Any) -> None:
    killed = WorkerKilledError("the runtime was killed")
    row = measure(Card([2.0] * 2, errors={0: killed, 1: killed}), processes=2)
    assert (row.unavailable, row.fault) == ("the runtime was killed", Fault.MACHINE)
    assert (row.latency_ms, row.samples_ms) == (None, ())


def test_a_crash_in_any_process_is_the_cells_reason(measure: Any) -> None:
    row = measure(Card([2.0] * 3, errors={2: WorkerError("the runtime crashed with SIGSEGV")}))
    assert row.unavailable == "the runtime crashed with SIGSEGV"
    assert row.latency_ms is None


def test_values_that_are_no_numbers_are_the_gpus_own(measure: Any) -> None:
    row = measure(Card([2.0] * 3, outputs=np.full_like(VALUES, np.nan)))
    assert row.unavailable == "16 values that the GPU computed are no finite numbers"
    assert row.fully_accelerated is True


def test_values_of_the_cpu_are_a_fallback(measure: Any) -> None:
    row = measure(Card([2.0] * 3, outputs=VALUES))
    assert "bit for bit" in row.unavailable
    assert row.fully_accelerated is False


def test_a_warm_up_that_never_settled_is_said(measure: Any) -> None:
    row = measure(Card([2.0] * 3, settled=False))
    assert any("not settled after 40 runs of warm-up in 3 of 3" in said for said in row.warnings)
    assert not any("settled" in said for said in measure(Card([2.0] * 3)).warnings)

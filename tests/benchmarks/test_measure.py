"""Measuring files in turns, on tiny nets and on a runner that only counts."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.benchmarks import measure
from portrait_tflite.benchmarks.measure import Cell, measure_files, unavailable_arm_cost
from portrait_tflite.benchmarks.memory import measure_peak_mb
from portrait_tflite.convert.precision import precision_of
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Delegate


@pytest.fixture
def file(relu_net: Callable[..., bytes], tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    return path


class FakeRunner:
    """Takes given times, and writes its name to a log each time it runs."""

    inputs = ()
    partitions = 3

    def __init__(self, name: str, times_ms: list[float], log: list[str]) -> None:
        self._name, self._times, self._log = name, times_ms, log

    def set_inputs(self, *arrays: Any) -> None:
        pass

    def time_once(self) -> float:
        self._log.append(self._name)
        return self._times.pop(0) if len(self._times) > 1 else self._times[0]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, list[float]], list[str]]:
    """Replace the runtime; give each file's times and the log of runs."""
    times: dict[str, list[float]] = {}
    log: list[str] = []

    def fake_open(path: Path, delegate: Delegate, threads: int) -> tuple[FakeRunner, float]:
        return FakeRunner(path.name, times[path.name], log), 7.0

    monkeypatch.setattr(measure, "timed_open", fake_open)
    monkeypatch.setattr(measure, "measure_peak_mb", lambda *_: 1.5)
    return times, log


def test_real_files_are_measured_on_both_delegates(file: Path) -> None:
    cells = [Cell("int8", file, d, precision="int8") for d in (Delegate.CPU, Delegate.XNNPACK)]
    results = measure_files(cells, runs=50)
    assert [result.delegate for result in results] == [Delegate.CPU, Delegate.XNNPACK]
    assert [result.partitions for result in results] == [0, 3]
    for result in results:
        assert result.latency_ms is not None
        assert 0 < result.latency_ms.min <= result.latency_ms.median
        assert result.runs == 50
        assert result.processes == 1
        assert result.warmup >= 10
        assert result.init_ms is not None
        assert result.first_ms is not None
        assert (result.device, result.precision, result.unavailable) == ("host", "int8", "")


def test_timed_runs_take_turns(fake: tuple[dict[str, list[float]], list[str]]) -> None:
    times, log = fake
    times.update(a=[2.0], b=[4.0])
    cells = [Cell(name, Path(name), Delegate.CPU) for name in "ab"]
    first, second = measure_files(cells, runs=20)
    assert log[-40:] == ["a", "b"] * 20
    assert first.latency_ms is not None
    assert second.latency_ms is not None
    assert (first.latency_ms.median, second.latency_ms.median) == (2, 4)
    assert first.stable
    assert any("only 20 runs" in warning for warning in first.warnings)


def test_seconds_add_runs_for_all_cells_alike(
    fake: tuple[dict[str, list[float]], list[str]],
) -> None:
    times, _ = fake
    times.update(a=[6.0], b=[4.0])
    cells = [Cell(name, Path(name), Delegate.CPU) for name in "ab"]
    seen: list[tuple[int, int]] = []
    results = measure_files(
        cells, runs=10, seconds=1.0, on_progress=lambda done, total: seen.append((done, total))
    )
    assert [result.runs for result in results] == [100, 100]
    assert seen[-1] == (100, 100)
    assert all(done <= total for done, total in seen)


def test_warm_up_goes_on_until_times_settle_or_the_limit(
    fake: tuple[dict[str, list[float]], list[str]],
) -> None:
    times, _ = fake
    times.update(falling=[100.0 * 0.7**i for i in range(16)], never=[1.0, 2.0, 4.0] * 100)
    times["never"] = [1.2**i for i in range(200)]
    cells = [Cell(name, Path(name), Delegate.CPU) for name in ("falling", "never")]
    falling, never = measure_files(cells, runs=1, max_warmup=30)
    assert 15 <= falling.warmup < 30
    assert never.warmup == 30
    assert falling.first_ms == 100


def test_unsteady_timings_are_not_stable(fake: tuple[dict[str, list[float]], list[str]]) -> None:
    times, _ = fake
    times.update(a=[2.0] * 11 + [2.0, 5.0] * 40)
    (result,) = measure_files([Cell("a", Path("a"), Delegate.CPU)], runs=60)
    assert not result.stable
    assert any("standard deviation" in warning for warning in result.warnings)


def test_a_busy_machine_and_too_many_threads_are_said(
    fake: tuple[dict[str, list[float]], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    times, _ = fake
    times.update(a=[2.0])
    monkeypatch.setattr(measure, "usable_cores", lambda: 2)
    monkeypatch.setattr(measure.os, "getloadavg", lambda: (1.7, 0.0, 0.0))
    (result,) = measure_files([Cell("a", Path("a"), Delegate.CPU, threads=4)], runs=50)
    assert "load average was 1.7 on 2 cores when measuring began" in result.warnings
    assert any("4 threads on 2 cores" in warning for warning in result.warnings)


def test_a_gpu_cell_is_unavailable_with_the_reason_and_runs_nothing(file: Path) -> None:
    cells = [Cell("int8", file, Delegate.GPU), Cell("int8", file, Delegate.CPU)]
    gpu, cpu = measure_files(cells, runs=5)
    assert "not measured by this version" in gpu.unavailable
    assert gpu.latency_ms is None
    assert gpu.runs == 0
    assert cpu.runs == 5


def test_the_garbage_collector_comes_back(file: Path) -> None:
    measure_files([Cell("int8", file, Delegate.CPU)], runs=2)
    assert gc.isenabled()


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.tflite"
    path.write_bytes(b"garbage")
    with pytest.raises(UsageError):
        measure_files([Cell("x", path, Delegate.CPU)])


def test_peak_memory_is_of_a_process_of_its_own(file: Path, tmp_path: Path) -> None:
    peak = measure_peak_mb(file, Delegate.XNNPACK, 1)
    assert peak is None or 0 <= peak < 200
    assert measure_peak_mb(tmp_path / "missing.tflite", Delegate.CPU, 1) is None


def test_arm_cost_says_why_it_is_missing() -> None:
    (cost,) = unavailable_arm_cost(["int8"])
    assert cost.variant == "int8"
    assert cost.cycles is None
    assert cost.unavailable.startswith("not set up")


def test_precision_is_that_of_the_convolutions(
    relu_net: Callable[..., bytes], float_net: Callable[..., bytes]
) -> None:
    assert precision_of(relu_net()) == "int8"
    assert precision_of(float_net()) == ""

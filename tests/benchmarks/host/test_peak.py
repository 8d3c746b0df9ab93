"""The CPU's peak, and shares of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.host import peak
from portrait_tflite.benchmarks.host.peak import measure_peak, peak_shares
from portrait_tflite.benchmarks.host.peak_net import peak_net
from portrait_tflite.benchmarks.worker_process import WorkerError
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import count_macs
from portrait_tflite.convert.files.precision import precision_of
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, LatencyMs, Precision


def row(cell: Cell, median: float | None = 2.0) -> BenchmarkResult:
    latency = LatencyMs(median, median, median, median, median, 0.0) if median else None
    return BenchmarkResult(
        cell.variant, "host", cell.delegate, cell.precision, cell.threads, latency_ms=latency
    )


@pytest.mark.parametrize("kind", [Precision.FLOAT32, Precision.INT8])
def test_the_net_is_all_multiplications_inside_of_the_delegate(kind: Precision) -> None:
    data = peak_net(kind, 4, 16)
    assert count_macs(read_model(data)) == 4 * 4 * 4 * 16 * 16
    assert precision_of(data) == kind
    runner = open_model(data, Delegate.XNNPACK)
    assert (runner.partitions, runner.outside) == (1, ())


def test_the_peak_is_that_of_the_best_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "_SIZES", ((4, 16), (8, 64)))
    found = measure_peak([Precision.INT8, Precision.FLOAT32])
    assert set(found) == {Precision.INT8, Precision.FLOAT32}
    assert all(1e8 < rate < 1e13 for rate in found.values())
    seconds = {"int8-4-16": 1e-6, "int8-8-64": 2e-6}
    monkeypatch.setattr(peak, "_median_s", lambda _, path, __: seconds[path.stem])
    assert measure_peak([Precision.INT8]) == {Precision.INT8: 4 * 8 * 8 * 64 * 64 / 2e-6}


def test_a_runtime_that_fails_leaves_the_share_out(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> float:
        raise WorkerError("crashed")

    monkeypatch.setattr(peak, "_median_s", fail)
    cell = Cell("a", file, Delegate.CPU, precision="int8")
    assert peak_shares({cell: row(cell)}) == {}


def test_shares_are_of_the_arithmetic_that_a_precision_uses(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[set[Precision], int]] = []

    def measured(kinds: set[Precision], threads: int) -> dict[Precision, float]:
        asked.append((kinds, threads))
        return {Precision.INT8: 4e8 * threads, Precision.FLOAT32: 1e8}

    monkeypatch.setattr(peak, "measure_peak", measured)
    cells = {
        name: Cell(name, file, Delegate.CPU, threads, precision)
        for name, threads, precision in [
            ("int8", 1, "int8"), ("two", 2, "int8"),
            ("half", 1, "float16"), ("mixed", 1, "dynamic"),
        ]
    }  # fmt: skip
    shares = peak_shares({cell: row(cell) for cell in cells.values()})
    rate = count_macs(read_model(file)) / 2e-3
    found = {cell.variant: (peak.share, peak.peak_gmac_s) for cell, peak in shares.items()}
    assert found == {
        "int8": pytest.approx((rate / 4e8, 0.4)),
        "two": pytest.approx((rate / 8e8, 0.8)),
        "half": pytest.approx((rate / 1e8, 0.1)),
    }
    assert asked == [({Precision.INT8, Precision.FLOAT32}, 1), ({Precision.INT8}, 2)]


def test_a_cell_that_was_not_timed_asks_for_no_peak(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peak, "measure_peak", lambda *_: pytest.fail("no peak was wanted"))
    cell = Cell("a", file, Delegate.CPU, precision="int8")
    assert peak_shares({cell: row(cell, None)}) == {}

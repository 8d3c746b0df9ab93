"""Measuring real files: both delegates, peak, profile, and files that break the runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.benchmarks import measure
from portrait_tflite.benchmarks.measure import Cell, measure_files
from portrait_tflite.convert.files.precision import precision_of
from portrait_tflite.errors import UnavailableError
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, Fault, LatencyMs, OpTime

LATENCY = LatencyMs(median=2.0, mean=2.0, p90=2.0, p95=2.0, min=2.0, mad=0.0)


def test_real_files_are_measured_on_both_delegates(file: Path) -> None:
    cells = [Cell("int8", file, d, precision="int8") for d in (Delegate.CPU, Delegate.XNNPACK)]
    results = measure_files(cells, runs=12, processes=2)
    assert [result.delegate for result in results] == [Delegate.CPU, Delegate.XNNPACK]
    assert [result.partitions for result in results] == [0, 3]
    for result in results:
        assert result.latency_ms is not None
        assert 0 < result.latency_ms.min <= result.latency_ms.median
        assert [len(one) for one in result.samples_ms] == [6, 6]
        assert (result.runs, result.processes) == (12, 2)
        assert result.warmup >= 10
        assert result.init_ms is not None
        assert result.first_ms is not None
        # A net of 8×8 pixels waits for everything but arithmetic.
        assert result.peak_share is not None
        assert 0 < result.peak_share < 0.5
        assert result.peak_gmac_s
        assert 0.1 < result.peak_gmac_s < 1e4
        assert (result.device, result.precision, result.unavailable) == ("host", "int8", "")


def test_a_file_that_crashes_the_runtime_leaves_the_others_alone(
    file: Path, crashing: Path
) -> None:
    cells = [Cell(path.stem, path, Delegate.XNNPACK) for path in (crashing, file)]
    bad, good = measure_files(cells, runs=2, processes=1)
    assert bad.unavailable == "the runtime crashed with SIGSEGV in opening the file"
    assert bad.latency_ms is None
    assert good.runs == 2


def test_unknown_custom_ops_and_damaged_files_say_why(
    tiny_graph: Callable[[], Any], tmp_path: Path
) -> None:
    graph = tiny_graph()
    source = graph.tensor("x", (1, 8, 8, 4), "float32")
    target = graph.tensor("y", (1, 8, 8, 4), "float32")
    graph.op("CUSTOM", [source], target)
    graph.model.operatorCodes[0].customCode = b"Frobnicate"
    custom, garbage = tmp_path / "custom.tflite", tmp_path / "garbage.tflite"
    custom.write_bytes(graph.build([source], [target]))
    garbage.write_bytes(b"garbage")
    cells = [Cell(path.stem, path, Delegate.CPU) for path in (custom, garbage)]
    first, second = measure_files(cells, runs=2, processes=1)
    assert "Frobnicate" in first.unavailable
    assert str(tmp_path) not in first.unavailable
    assert second.unavailable == "another kind of file"
    assert (first.fault, second.fault) == (Fault.FILE, Fault.FILE)


def test_a_missing_or_cut_file_leaves_the_others_alone(file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(file.read_bytes()[:200])
    paths = (tmp_path / "none.tflite", file, cut)
    cells = [Cell(p.stem, p, d) for p in paths for d in (Delegate.XNNPACK, Delegate.GPU)]
    on_cpu, on_gpu = cells[::2], [cells[1], cells[5]]
    missing, good, damaged, *gpu = measure_files([*on_cpu, *on_gpu], runs=2, processes=1)
    assert (missing.unavailable, missing.fault) == ("no such file", Fault.FILE)
    assert (damaged.unavailable, damaged.fault) == ("which is damaged or cut off", Fault.FILE)
    assert good.runs == 2
    assert [row.unavailable for row in gpu] == [missing.unavailable, damaged.unavailable]


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that are not there pass for whole ones."""
    monkeypatch.setattr(measure, "find_damage", lambda _: "")


def row(cell: Cell) -> BenchmarkResult:
    return BenchmarkResult(
        cell.variant, "host", cell.delegate, cell.precision, cell.threads, latency_ms=LATENCY
    )


@pytest.fixture
def without_host(whole: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the measuring of latencies and of the peak."""
    monkeypatch.setattr(measure, "measure_host", lambda cells, *_: [row(cell) for cell in cells])
    monkeypatch.setattr(measure, "peak_shares", lambda _: {})


def profile(*milliseconds: float) -> Callable[[Cell], tuple[OpTime, ...]]:
    return lambda _: tuple(
        OpTime("CONV_2D", "layer", Delegate.XNNPACK, ms, 0.5) for ms in milliseconds
    )


def test_a_profile_that_is_not_of_the_timings_is_doubted(
    without_host: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [Cell("a", Path("a"), Delegate.XNNPACK)]
    monkeypatch.setattr(measure, "profile_ops", profile(1.0, 0.9))
    (good,) = measure_files(cells, profile=True)
    assert (len(good.ops), good.warnings) == (2, ())
    monkeypatch.setattr(measure, "profile_ops", profile(1.0, 0.2))
    (doubted,) = measure_files(cells, profile=True)
    assert doubted.warnings == ("the profile's ops sum up to 1.20 of 2.00 ms; measure again",)


def test_a_profile_that_is_not_to_be_had_is_a_warning(
    without_host: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Cell) -> tuple[OpTime, ...]:
        raise UnavailableError("no profiler here")

    monkeypatch.setattr(measure, "profile_ops", fail)
    (result,) = measure_files([Cell("a", Path("a"), Delegate.CPU)], profile=True)
    assert result.warnings == ("no per-op profile: no profiler here",)
    assert result.latency_ms


def test_cells_of_the_gpu_are_measured_there_and_keep_their_place(
    without_host: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_gpu(
        cell: Cell, images: object, runs: int, processes: int, mask_of: object
    ) -> BenchmarkResult:
        return replace(row(cell), adapter=f"{images} {runs} {processes} {mask_of}")

    monkeypatch.setattr(measure, "measure_gpu", on_gpu)
    cells = [Cell("a", Path("a"), d) for d in (Delegate.CPU, Delegate.GPU, Delegate.XNNPACK)]
    results = measure_files(cells, runs=7, processes=4, images={})
    assert [result.delegate for result in results] == [cell.delegate for cell in cells]
    assert [result.adapter for result in results] == ["", "() 7 4 None", ""]


def test_precision_is_that_of_the_convolutions(
    relu_net: Callable[..., bytes], float_net: Callable[..., bytes]
) -> None:
    assert precision_of(relu_net()) == "int8"
    assert precision_of(float_net()) == ""

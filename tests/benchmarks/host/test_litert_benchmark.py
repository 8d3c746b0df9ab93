"""Ours against the wheel's tool: that both run, never how they compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from portrait_tflite.benchmarks.host import litert_benchmark
from portrait_tflite.benchmarks.host.litert_benchmark import Agreement, compare_with_tool, main
from portrait_tflite.benchmarks.host.peak_net import peak_net
from portrait_tflite.errors import UnavailableError
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, Fault, Precision


def test_both_time_a_file_in_the_same_unit(tmp_path: Path) -> None:
    # Large enough that the tool, which rounds to 0.01 ms, sees it.
    path = tmp_path / "peak.tflite"
    path.write_bytes(peak_net(Precision.FLOAT32, 16, 256))
    agreement = compare_with_tool(path, rounds=1, runs=5)
    assert agreement.ours_ms > 0.1
    # Far beyond what a busy machine does, far below a thousand.
    assert 1 / 20 < agreement.theirs_ms / agreement.ours_ms < 20


def test_a_killed_worker_is_not_the_files_fault(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = BenchmarkResult(
        "net", "host", Delegate.XNNPACK, "int8", 1, unavailable="killed", fault=Fault.MACHINE
    )
    monkeypatch.setattr(litert_benchmark, "measure_host", lambda *_: [row])
    with pytest.raises(UnavailableError, match="killed"):
        compare_with_tool(file, rounds=1, runs=1)


@pytest.mark.parametrize(("theirs", "agrees", "code"), [(2.09, True, 0), (2.11, False, 3)])
def test_five_percent_apart_is_too_much(
    theirs: float,
    agrees: bool,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    agreement = Agreement(((2.0, theirs),))
    assert agreement.agrees is agrees
    monkeypatch.setattr(litert_benchmark, "compare_with_tool", lambda *_: agreement)
    assert main(["net.tflite"]) == code
    said = capsys.readouterr()
    assert said.out.startswith("net.tflite: ours 2.000 ms, litert-benchmark 2.")
    assert ("Error" in said.err) is not agrees


def test_a_file_that_does_not_run_ends_with_2(
    crashing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(crashing), "--rounds", "1", "--runs", "1"]) == 2
    assert "crashed with SIGSEGV" in capsys.readouterr().err


def test_without_the_tool_it_says_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert_benchmark.shutil, "which", lambda *_, **__: None)
    with pytest.raises(UnavailableError, match="litert-benchmark of ai-edge-litert is required"):
        compare_with_tool(file, rounds=1, runs=1)


def test_a_drift_that_meets_both_moves_nothing() -> None:
    agreement = Agreement(((1.0, 1.01), (2.0, 2.02), (4.0, 4.04)))
    assert agreement.difference == pytest.approx(0.01)
    assert (agreement.ours_ms, agreement.theirs_ms) == (2.0, 2.02)

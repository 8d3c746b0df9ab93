"""Workers that crash, hang, refuse or are killed: one cell's reason, never the caller's end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.gpu import latency as gpu
from portrait_tflite.benchmarks.gpu import session as gpu_session
from portrait_tflite.benchmarks.gpu.adapters import Adapter
from portrait_tflite.benchmarks.gpu.doubts import NO_HALVES
from portrait_tflite.benchmarks.gpu.latency import measure_gpu
from portrait_tflite.benchmarks.gpu.session import GpuSession
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, Fault

Fail = Callable[..., BenchmarkResult]

_WORKER = """
import os, signal, sys, time
from portrait_tflite.benchmarks.gpu import worker as gpu_worker

class Failing(gpu_worker.GpuWorker):
    def {step}(self, *arguments):
        {fault}

gpu_worker.GpuWorker = Failing
gpu_worker.main(*sys.argv[1:])
"""


@pytest.fixture
def fail(mask_net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Give a function that measures with a worker whose step goes wrong."""
    monkeypatch.setattr(gpu, "find_adapter", lambda: Adapter("Card", software=False))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(gpu_session, "GPU_WORKER", "failing_worker")

    def measure(step: str, fault: str, patience_s: float = 60) -> BenchmarkResult:
        (tmp_path / "failing_worker.py").write_text(_WORKER.format(step=step, fault=fault))
        return measure_gpu(Cell("net", mask_net, Delegate.GPU), patience_s=patience_s)

    return measure


@pytest.mark.parametrize(
    ("step", "fault", "reason"),
    [
        ("open", "os.kill(os.getpid(), signal.SIGSEGV)", "crashed with SIGSEGV in opening"),
        ("load", "os._exit(7)", "ended with status 7 in load"),
        ("reference", "raise RuntimeError('two\\nlines')", "two lines"),
        ("open", "print('ERROR: no memory'); raise RuntimeError('gave up')", "no memory; gave up"),
    ],
)
def test_a_worker_that_fails_is_a_reason(fail: Fail, step: str, fault: str, reason: str) -> None:
    row = fail(step, fault)
    assert reason in row.unavailable
    assert len(row.unavailable.splitlines()) == 1
    assert row.latency_ms is None
    assert (row.adapter, row.variant, row.delegate) == ("Card", "net", "gpu")


def test_a_worker_that_hangs_is_ended(fail: Fail) -> None:
    row = fail("load", "time.sleep(1000)", patience_s=2)
    assert row.unavailable == "the runtime hung in load: no answer for 2 s"


def test_a_worker_that_is_killed_in_the_middle_leaves_no_figure(
    fail: Fail, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "find_adapter", lambda: adapter)
    row = fail("time", "os.kill(os.getpid(), signal.SIGKILL)")
    assert row.unavailable == ("the runtime was killed (SIGKILL; out of memory?) in a timed run")
    assert row.fault is Fault.MACHINE
    assert row.latency_ms is None
    assert row.init_ms is None
    assert row.runs == 0


def test_figures_outlive_a_crash_in_what_follows_them(
    fail: Fail, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "find_adapter", lambda: adapter)
    row = fail("open", "return os._exit(1) if arguments[1] else super().open(*arguments)")
    assert row.unavailable == ""
    assert row.latency_ms
    assert row.against_cpu
    assert row.computed_in == ""


def test_float16_is_told_by_what_asking_for_float32_changes(
    fail: Fail, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "find_adapter", lambda: adapter)
    # The worker rounds as a GPU in float16 does, until it is asked for float32.
    fault = (
        "self.halves = not arguments[1]; answer = super().open(*arguments); run = "
        "self._compiled.run; self._compiled.run = lambda arrays: [a.astype('float16').astype("
        "'float32') if self.halves else a for a in run(arrays)]; return answer"
    )
    row = fail("open", fault)
    assert row.unavailable == ""
    assert row.computed_in == "float16"
    assert NO_HALVES not in row.warnings


def test_leaving_a_session_ends_its_worker_and_its_files(mask_net: Path) -> None:
    with GpuSession("") as session:
        session.load(mask_net)
        process, folder = session._worker._process, session._folder
        assert folder.is_dir()
    assert process.returncode == -signal.SIGKILL
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)

"""What runs inside of a worker: settling, timing, memory; and that TensorFlow stays out."""

from __future__ import annotations

import subprocess
import sys
from itertools import chain, repeat
from pathlib import Path

import pytest

from portrait_tflite.benchmarks.host import worker as host_worker
from portrait_tflite.benchmarks.host.worker import HostWorker, settle


def test_warm_up_goes_on_until_times_settle_or_the_limit() -> None:
    falling = chain((100.0 * 0.7**i for i in range(15)), repeat(0.5))
    runs, settled = settle(lambda: next(falling), 40)
    assert 15 <= runs < 30
    assert settled
    rising = (1.2**i for i in range(200))
    assert settle(lambda: next(rising), 30) == (30, False)


def test_a_real_file_is_opened_warmed_and_timed(file: Path) -> None:
    worker = HostWorker()
    opened = worker.open(str(file), "xnnpack", 1, ())
    assert opened["partitions"] == 3
    assert opened["init_ms"]
    assert opened["first_ms"]
    peak = opened["peak_mb"]
    assert peak is None or 0 <= peak < 200
    warm_up = worker.warm_up(12)
    assert warm_up["runs"] <= 12
    assert isinstance(warm_up["settled"], bool)
    timed = worker.time(4)
    assert len(timed["ms"]) == 4
    assert all(ms > 0 for ms in timed["ms"])
    assert 0 <= timed["interrupted"] <= 4


def test_one_run_before_the_timed_ones_brings_the_caches_back(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = HostWorker()
    worker.open(str(file), "cpu", 1, ())
    times = iter([50.0, 1.0, 2.0])
    monkeypatch.setattr(worker._opened(), "time_once", lambda: next(times))
    switches = iter([5, 5, 5, 9])  # the second timed run loses its core
    monkeypatch.setattr(host_worker, "_involuntary_switches", lambda: next(switches))
    assert worker.time(2) == {"ms": [1.0, 2.0], "interrupted": 1}


def test_timing_needs_an_open_model() -> None:
    with pytest.raises(ValueError, match="open model is required"):
        HostWorker().time(1)


def test_a_worker_imports_no_tensorflow() -> None:
    code = (
        "import sys; import portrait_tflite.benchmarks.host.worker; "
        "sys.exit(bool({'tensorflow', 'keras', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

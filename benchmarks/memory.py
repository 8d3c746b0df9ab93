"""Peak memory of one model, in a process of its own.

Several models are timed in one process, whose peak belongs to none of them. `python -m
portrait_tflite.benchmarks.memory FILE DELEGATE THREADS` opens one, runs it once and prints by how
many MiB the peak rose over the process with nothing but the runtime loaded.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

_STATUS = Path("/proc/self/status")
_TIMEOUT_S = 120


def measure_peak_mb(path: Path, delegate: Delegate, threads: int) -> float | None:
    """Return the MiB that opening `path` and running it once adds; None where it is not known."""
    command = [sys.executable, "-m", __name__, str(path), delegate.value, str(threads)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
        return float(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _read_mb(field: str) -> float:
    """Read a field of this process's status, in MiB.

    `VmHWM` rather than getrusage: the latter's peak is inherited from the parent process.
    """
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return float(line.split()[1]) / 1024
    raise ValueError(f"{_STATUS} with a field {field} is required. Received: none.")


def _main(path: str, delegate: str, threads: str) -> None:
    # Forget the peak of loading the runtime itself; not every sandbox allows it.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = _read_mb("VmRSS")
    runner = open_model(Path(path), Delegate(delegate), int(threads))
    runner.time_once()
    print(max(0.0, _read_mb("VmHWM") - before))


if __name__ == "__main__":
    _main(*sys.argv[1:])

"""Runtimes that crash, refuse, hang or are killed: one cell's reason, and nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portrait_tflite.benchmarks.arm import setup
from portrait_tflite.benchmarks.arm.count import ArmCell, count_files, run_on_arm
from portrait_tflite.benchmarks.arm.emulator import Emulator, EmulatorError, Program
from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.vocabulary import Delegate, Fault


@pytest.fixture
def custom(tiny_graph: Callable[[], Any], tmp_path: Path) -> Path:
    """Give a file with an op that no runtime here knows."""
    graph = tiny_graph()
    source, target = (graph.tensor(name, (1, 8, 8, 4), "float32") for name in "xy")
    graph.op("CUSTOM", [source], target)
    graph.model.operatorCodes[0].customCode = b"Frobnicate"
    path = tmp_path / "custom.tflite"
    path.write_bytes(graph.build([source], [target]))
    return path


def test_a_cell_that_fails_keeps_the_others(
    program: Program, file: Path, crashing: Path, custom: Path
) -> None:
    files = {"crashing": crashing, "custom": custom, "net": file}
    cells = [ArmCell(name, path, Delegate.CPU) for name, path in files.items()]
    crashed, unknown, counted = count_files(cells)
    assert crashed.unavailable.startswith("the runtime crashed (SIGSEGV)")
    assert "Encountered unresolved custom op: Frobnicate" in unknown.unavailable
    assert all(len(cost.unavailable.splitlines()) == 1 for cost in (crashed, unknown))
    assert crashed.cycles is unknown.cycles is None
    assert (crashed.fault, unknown.fault, counted.fault) == (Fault.FILE, Fault.FILE, None)
    assert counted.variant == "net"
    assert counted.cycles
    assert running_emulators(os.getpid()) == []


def test_running_says_whether_the_file_or_the_machine_is_to_blame(
    program: Program, crashing: Path, custom: Path
) -> None:
    with pytest.raises(UsageError, match="custom op: Frobnicate"):
        run_on_arm(custom, [np.zeros((1, 8, 8, 4), np.float32)], Delegate.CPU)
    with pytest.raises(UnavailableError, match=r"must run on arm64\. Received: the runtime crash"):
        run_on_arm(crashing, [], Delegate.CPU)


def test_a_runtime_that_takes_too_long_is_ended(program: Program, file: Path) -> None:
    (cost,) = count_files([ArmCell("net", file, Delegate.CPU)], timeout_s=0.05)
    assert cost.unavailable == "the runtime took longer than 0.05 s"
    assert running_emulators(os.getpid()) == []


def test_a_request_that_is_not_read_is_given_up(program: Program) -> None:
    with Emulator(program, timeout_s=1) as emulator:
        os.kill(emulator._process.pid, signal.SIGSTOP)
        with pytest.raises(EmulatorError, match="took longer than 1 s"):
            emulator.load(bytes(1 << 22), xnnpack=True)
    assert emulator._process.returncode == -signal.SIGKILL


def test_an_emulator_that_is_killed_from_another_thread_says_so(program: Program) -> None:
    with Emulator(program, timeout_s=300) as emulator:
        threading.Timer(0.5, emulator.kill).start()
        with pytest.raises(EmulatorError, match=r"crashed \(SIGKILL\)"):
            emulator.hello()


def test_a_missing_or_damaged_file_leaves_the_others_alone(
    program: Program, file: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(file.read_bytes()[:200])
    paths = (tmp_path / "gone.tflite", cut, file)
    gone, damaged, good = count_files([ArmCell(p.stem, p, Delegate.CPU) for p in paths])
    assert (gone.unavailable, gone.fault) == ("no such file", Fault.FILE)
    assert (damaged.unavailable, damaged.fault) == ("which is damaged or cut off", Fault.FILE)
    assert good.cycles


def test_a_machine_that_is_not_set_up_is_not_the_files_fault(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTRAIT_TFLITE_CACHE", str(tmp_path))
    (cost,) = count_files([ArmCell("net", file, Delegate.CPU)])
    assert cost.unavailable
    assert cost.fault is Fault.MACHINE


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_count_that_is_killed_takes_its_emulators_along(
    program: Program, file: Path, how: signal.Signals
) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from portrait_tflite.benchmarks.arm.count import ArmCell, count_files; "
        "count_files([ArmCell('net', Path(sys.argv[1]), 'cpu')])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stderr=subprocess.DEVNULL
    ) as parent:
        emulators = _wait_for(lambda: running_emulators(parent.pid))
        parent.send_signal(how)
        parent.wait(timeout=30)
    _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in emulators))
    assert setup.status(full=True).ready


def _wait_for(find: Callable[[], Any], timeout_s: float = 60) -> Any:
    """Ask until the answer is yes."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := find():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come true in time")


def running_emulators(parent: int) -> list[int]:
    """List the living children of a process that are emulators."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            command = (folder / "cmdline").read_bytes()
        except (OSError, IndexError):  # no process, or one that has just ended
            continue
        if int(fields[1]) == parent and fields[0] != "Z" and b"worker.py" in command:
            found.append(int(folder.name))
    return found

"""The parent's end of a worker: answers, refusals, crashes, hangs, and no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portrait_tflite.benchmarks.worker_process import (
    WorkerError,
    WorkerKilledError,
    WorkerProcess,
)

# A worker with a bad character, run as `python -m moody`.
MOODY = """
import ctypes, os, signal, sys, time
from portrait_tflite.benchmarks.worker_side import serve
from portrait_tflite.errors import UsageError

class Moody:
    def say(self, word): print("chatter"); return {"word": word, "pid": os.getpid()}
    def refuse(self): raise UsageError("not this one")
    def stumble(self): return 1 / 0
    def crash(self): os.kill(os.getpid(), signal.SIGSEGV)
    def be_killed(self): os.kill(os.getpid(), signal.SIGKILL)
    def leave(self): sys.exit(7)
    def hang(self): time.sleep(60)

serve(Moody())
"""


@pytest.fixture
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "moody.py").write_text(MOODY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "moody"


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody waited for counts as ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_it_answers_and_chatter_does_not_get_in_between(moody: str) -> None:
    with WorkerProcess(moody) as worker:
        assert worker.ask("say", "one")["word"] == "one"
        pid = worker.ask("say", "two")["pid"]
    assert gone(pid)


def test_a_refusal_leaves_the_worker_at_work(moody: str) -> None:
    with WorkerProcess(moody) as worker:
        with pytest.raises(WorkerError, match="^not this one$"):
            worker.ask("refuse")
        with pytest.raises(WorkerError, match="^ZeroDivisionError: division by zero$"):
            worker.ask("stumble")
        assert worker.ask("say", "still here")["word"] == "still here"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("crash", r"^the runtime crashed with SIGSEGV in crash$"),
        ("leave", r"^the runtime ended with status 7 in leave$"),
        ("hang", r"^the runtime hung in hang: no answer for 0\.5 s$"),
    ],
)
def test_a_dead_or_hanging_worker_is_told_apart(moody: str, command: str, message: str) -> None:
    with WorkerProcess(moody) as worker:
        pid = worker.ask("say", "")["pid"]
        worker._patience_s = 0.5 if command == "hang" else 60.0
        with pytest.raises(WorkerError, match=message):
            worker.ask(command)
        assert gone(pid)
        with pytest.raises(WorkerError):
            worker.ask("say", "anybody there?")


def test_a_worker_that_is_killed_is_no_crash_of_the_runtime(moody: str) -> None:
    killed = pytest.raises(WorkerKilledError, match=r"was killed \(SIGKILL; out of memory\?\) in")
    with WorkerProcess(moody) as worker, killed:
        worker.ask("be_killed")
    with WorkerProcess(moody) as worker, pytest.raises(WorkerError) as crash:
        worker.ask("crash")
    assert not isinstance(crash.value, WorkerKilledError)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_orphan_is_left_when_the_parent_is_ended(
    moody: str, tmp_path: Path, number: signal.Signals
) -> None:
    parent = f"""
from portrait_tflite.benchmarks.worker_process import WorkerProcess
with WorkerProcess({moody!r}) as worker:
    print(worker.ask("say", "")["pid"], flush=True)
    worker.ask("hang")
"""
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        os.kill(process.pid, number)
        process.wait(30)
    deadline = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone(pid)

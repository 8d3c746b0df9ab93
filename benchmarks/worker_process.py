"""The parent's end of a worker: starts it, asks it, and ends it whatever happens."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from portrait_tflite.quiet import is_verbose

HOST_WORKER = "portrait_tflite.benchmarks.host.worker"

# Far above any start or slice: what lasts longer does not come back.
PATIENCE_S = 120.0
_TICK_S = 1.0
_KILL = 9  # SIGKILL, which Windows has no name for


class WorkerError(Exception):
    """A worker that refused, crashed or hung; the message says which, in one line."""


class WorkerKilledError(WorkerError):
    """A worker that was ended from outside, by a person or for want of memory."""


class WorkerProcess:
    """A worker process that answers one line for each it is sent.

    A context manager: leaving it, by Ctrl-C too, kills the process. The worker is in a session of
    its own, so that the terminal's Ctrl-C reaches the parent alone.

    Args:
        module: What is run, as `python -m module`.
        patience_s: Seconds after which a worker that does not answer is taken to hang.
    """

    def __init__(
        self, module: str = HOST_WORKER, *arguments: str, patience_s: float = PATIENCE_S
    ) -> None:
        self._patience_s = patience_s
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if is_verbose() else subprocess.DEVNULL,
            encoding="utf-8",
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, command: str, *arguments: str | int | Sequence[int]) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Raises:
            WorkerError: The worker refused, crashed or hung; after the latter two it is gone.
            WorkerKilledError: It was killed.
        """
        with suppress(OSError):  # it is gone: the answer will say how
            assert self._process.stdin
            self._process.stdin.write(json.dumps([command, *arguments]) + "\n")
            self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._wait(command))
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def close(self) -> None:
        """Kill the process, if it still runs, and wait for its end."""
        self._process.kill()
        self._process.wait()
        self._reader.join()  # ends with the process, and reads no stream that is closed below
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was never sent
                if stream:
                    stream.close()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _wait(self, command: str) -> str:
        """Wait for a line. Ticks are counted, not the clock: a machine may sleep for hours."""
        waited_s = 0.0
        while waited_s < self._patience_s:
            tick_s = min(_TICK_S, self._patience_s)
            try:
                line = self._lines.get(timeout=tick_s)
            except queue.Empty:
                waited_s += tick_s
                continue
            if line:
                return line
            self._lines.put(line)  # so that whoever asks again learns it too
            raise self._death(_spoken(command))
        self._process.kill()
        self._process.wait()
        raise WorkerError(
            f"the runtime hung in {_spoken(command)}: no answer for {self._patience_s:g} s"
        )

    def _death(self, where: str) -> WorkerError:
        status = self._process.wait()
        if status == -_KILL:  # no program does this to itself
            killed = "the runtime was killed (SIGKILL; out of memory?)"
            return WorkerKilledError(f"{killed} in {where}")
        return WorkerError(f"the runtime {_ending(status)} in {where}")


def left_out(killed: Sequence[str], processes: int) -> tuple[str, ...]:
    """Say that the runs of processes that were killed are in no figure.

    Args:
        killed: What the error of each said.
        processes: How many there were, with those.
    """
    if not killed:
        return ()
    return (f"{len(killed)} of {processes} processes are left out: {killed[0]}",)


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    with suppress(ValueError):
        return f"crashed with {signal.Signals(-status).name}"
    return f"crashed with signal {-status}"


def _spoken(command: str) -> str:
    return {
        "ready": "starting",
        "open": "opening the file",
        "warm_up": "warming up",
        "time": "a timed run",
    }.get(command, command)

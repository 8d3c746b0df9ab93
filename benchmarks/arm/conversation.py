"""Requests to a child process and its replies, through its pipes, each within a time limit."""

from __future__ import annotations

import os
import selectors
import subprocess
import time

_CHUNK = 1 << 20


class EndedError(Exception):
    """The child closed its end: it is gone, or about to be."""


class Conversation:
    """The standard input and output of a child that reads and writes bytes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin.fileno(), process.stdout.fileno()
        for descriptor in (self._to, self._from):
            os.set_blocking(descriptor, False)
        self._pending = b""
        self._deadline = 0.0

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write a request; it and the reply to it may take so long together.

        Raises:
            EndedError: Nobody reads it any more.
            TimeoutError: It took too long.
        """
        self._deadline = time.monotonic() + timeout_s
        rest = memoryview(data)
        while rest:
            self._wait(self._to, selectors.EVENT_WRITE)
            try:
                rest = rest[os.write(self._to, rest) :]
            except BrokenPipeError:
                raise EndedError from None

    def read_line(self) -> bytes:
        """Read up to the end of a line, which is left out; raises as `send`."""
        while b"\n" not in self._pending:
            self._fill()
        line, self._pending = self._pending.split(b"\n", 1)
        return line

    def read(self, size: int) -> bytes:
        """Read so many bytes; raises as `send`."""
        while len(self._pending) < size:
            self._fill()
        data, self._pending = self._pending[:size], self._pending[size:]
        return data

    def _fill(self) -> None:
        self._wait(self._from, selectors.EVENT_READ)
        chunk = os.read(self._from, _CHUNK)
        if not chunk:
            raise EndedError
        self._pending += chunk

    def _wait(self, descriptor: int, event: int) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            if not selector.select(max(0.0, self._deadline - time.monotonic())):
                raise TimeoutError

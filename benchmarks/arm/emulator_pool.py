"""Emulators that are used over and over: starting one takes seconds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from portrait_tflite.benchmarks.arm.emulator import Emulator, EmulatorError, Program


class EmulatorPool:
    """Lends emulators to threads; use it in a `with` block, which ends all of them."""

    def __init__(self, program: Program, timeout_s: float) -> None:
        """Start none yet.

        Args:
            timeout_s: The longest that one request to an emulator may take.
        """
        self._program = program
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._all: list[Emulator] = []
        self._idle: list[Emulator] = []
        self._closed = False

    def __enter__(self) -> EmulatorPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closed = True
            for emulator in self._all:
                emulator.kill()  # whoever waits for its answer is told, and closes it
            for emulator in self._idle:
                emulator.close()

    @contextmanager
    def emulator(self) -> Iterator[Emulator]:
        """Lend an emulator; one that stopped meanwhile is not lent again.

        Raises:
            EmulatorError: The pool is closed.
        """
        emulator = self._take()
        try:
            yield emulator
        finally:
            with self._lock:
                if emulator.running:
                    self._idle.append(emulator)
                else:
                    emulator.close()

    def _take(self) -> Emulator:
        with self._lock:
            if self._closed:
                raise EmulatorError("it was interrupted")
            if self._idle:
                return self._idle.pop()
            emulator = Emulator(self._program, self._timeout_s)
            self._all.append(emulator)
            return emulator

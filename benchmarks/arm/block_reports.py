"""Reads what `counter.c` writes: which blocks ran between two marks, and how often."""

from __future__ import annotations

import os

from portrait_tflite.benchmarks.arm.counts import Counts
from portrait_tflite.benchmarks.arm.decode import block_cost

_CHUNK = 1 << 20


class BlockReports:
    """The file that the plugin writes to; remembers the blocks that it described."""

    def __init__(self, descriptor: int) -> None:
        """Read from the beginning of a file; the plugin may hold the same descriptor."""
        self._descriptor = descriptor
        self._offset = 0
        self._blocks: dict[int, Counts] = {}

    def read(self) -> Counts:
        """Add up everything reported since the last call."""
        total = Counts()
        for line in self._new_text().splitlines():
            kind, *fields = line.split()
            if kind == "B":
                self._blocks[int(fields[0])] = block_cost(int(word, 16) for word in fields[1:])
            else:
                total += self._region([int(field) for field in fields])
        return total

    def _region(self, fields: list[int]) -> Counts:
        pairs = zip(fields[::2], fields[1::2], strict=True)
        return sum((self._blocks[block] * runs for block, runs in pairs), Counts())

    def _new_text(self) -> str:
        chunks = []
        # pread, since both ends share the file's own offset, at which the plugin writes.
        while chunk := os.pread(self._descriptor, _CHUNK, self._offset):
            chunks.append(chunk)
            self._offset += len(chunk)
        return b"".join(chunks).decode("ascii")

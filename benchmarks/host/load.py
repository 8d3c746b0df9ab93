"""What else the machine was doing while something was measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from portrait_tflite.benchmarks.machine import usable_cores

_STAT = Path("/proc/stat")
_BUSY_SHARE = 0.5  # of the cores, by the load average
_STOLEN_SHARE = 0.02  # of a core's time, by its hypervisor
_STEAL_COLUMN = 8  # of a line of /proc/stat, behind the core's name


def busy_before() -> tuple[str, ...]:
    """Say when the machine was at work already before measuring began."""
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):  # not on Windows
        return ()
    cores = usable_cores()
    if load < _BUSY_SHARE * cores:
        return ()
    return (f"load average was {load:.1f} on {cores} cores when measuring began",)


class StealWatch:
    """Tells how much of some cores' time a hypervisor gave to others since it was made.

    Args:
        cores: Linux numbers of the cores.
        stat: Linux's counters; where there are none, nothing is told.
    """

    def __init__(self, cores: Sequence[int], stat: Path = _STAT) -> None:
        self._names = {f"cpu{core}" for core in cores}
        self._stat = stat
        self._before = self._read()

    def doubts(self) -> tuple[str, ...]:
        """Say when others had a noticeable share of the cores."""
        now = self._read()
        total = now[0] - self._before[0]
        stolen = now[1] - self._before[1]
        if total <= 0 or stolen < _STOLEN_SHARE * total:
            return ()
        return (f"the hypervisor gave {stolen / total:.0%} of the time to others (steal)",)

    def _read(self) -> tuple[int, int]:
        """Sum the ticks of the cores: all, and stolen ones."""
        try:
            lines = [line.split() for line in self._stat.read_text().splitlines()]
        except OSError:
            return 0, 0
        ticks = [[int(n) for n in line[1:]] for line in lines if line and line[0] in self._names]
        # What guests used (the last columns) is part of the user's time already.
        total = sum(sum(row[:_STEAL_COLUMN]) for row in ticks)
        return total, sum(row[_STEAL_COLUMN - 1] for row in ticks if len(row) >= _STEAL_COLUMN)

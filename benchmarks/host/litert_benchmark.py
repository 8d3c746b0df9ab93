"""Hold our timing against the runtime's own tool: do both see the same latency?

    python -m portrait_tflite.benchmarks.host.litert_benchmark FILE.tflite… [--rounds N] [--runs N]

The wheel's `litert-benchmark` and our worker take turns on the same cores, a fresh process each.
Theirs times LiteRT's compiled model, ours the interpreter; both run XNNPACK on noise. It prints a
line per file and ends with 3 where the medians differ by over 5 %. Each round is a ratio of its
own, whose median a machine that drifts does not move; on a busy one it takes many rounds.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.host.latency import Effort, measure_host, pinned_cores
from portrait_tflite.benchmarks.worker_side import pin
from portrait_tflite.errors import GateError, PortraitError, UnavailableError, UsageError
from portrait_tflite.vocabulary import Delegate, Fault

_TOOL = "litert-benchmark"
_WARM_UP = 30
_ALLOWED = 0.05
_ROUNDS, _RUNS = 15, 40
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Agreement:
    """Medians of one file, `(ours, theirs)` in ms, round by round."""

    rounds: tuple[tuple[float, float], ...]

    @property
    def ours_ms(self) -> float:
        """The middle one of our medians."""
        return statistics.median(ours for ours, _ in self.rounds)

    @property
    def theirs_ms(self) -> float:
        """The middle one of the tool's medians."""
        return statistics.median(theirs for _, theirs in self.rounds)

    @property
    def difference(self) -> float:
        """Theirs over ours, less one: the middle one of the rounds."""
        return statistics.median(theirs / ours for ours, theirs in self.rounds) - 1

    @property
    def agrees(self) -> bool:
        """Whether they differ by 5 % or less."""
        return abs(self.difference) <= _ALLOWED


def compare_with_tool(path: Path, rounds: int = _ROUNDS, runs: int = _RUNS) -> Agreement:
    """Time a file in turns: ours, theirs, theirs, ours.

    Raises:
        UnavailableError: There is no `litert-benchmark` beside this Python; or ours was killed.
        UsageError: One of the two does not run the file.
    """
    return Agreement(tuple(_round(path, runs, ours_first=n % 2 == 0) for n in range(rounds)))


def _round(path: Path, runs: int, *, ours_first: bool) -> tuple[float, float]:
    if ours_first:
        return _ours_ms(path, runs), _theirs_ms(path, runs)
    theirs = _theirs_ms(path, runs)
    return _ours_ms(path, runs), theirs


def _ours_ms(path: Path, runs: int) -> float:
    cell = Cell(path.stem, path, Delegate.XNNPACK)
    (row,) = measure_host([cell], Effort(runs, processes=1))
    if not row.latency_ms:
        error = UnavailableError if row.fault is Fault.MACHINE else UsageError
        raise error(f"a .tflite that runs is required. Received: {path}: {row.unavailable}.")
    return row.latency_ms.median


def _theirs_ms(path: Path, runs: int) -> float:
    tool = shutil.which(_TOOL, path=str(Path(sys.executable).parent)) or shutil.which(_TOOL)
    if not tool:
        raise UnavailableError(f"{_TOOL} of ai-edge-litert is required. Received: none on PATH.")
    with tempfile.TemporaryDirectory(prefix="portrait-tflite-") as folder:
        result = Path(folder) / "result.json"
        options = {
            "model": path,
            "num_runs": runs,
            "warmup_runs": _WARM_UP,
            "num_threads": 1,
            "result_json": result,
        }
        done = subprocess.run(
            [tool, *(f"--{name}={value}" for name, value in options.items())],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            preexec_fn=functools.partial(pin, pinned_cores(1)) if os.name == "posix" else None,
        )
        if done.returncode or not result.is_file():
            said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1][:200]
            raise UsageError(f"a .tflite that {_TOOL} runs is required. Received: {path}: {said}.")
        return float(json.loads(result.read_text("utf-8"))["latency"]["median_ms"])


def main(arguments: Sequence[str]) -> int:
    """Print a line per file; return the exit code."""
    parser = argparse.ArgumentParser(description="Hold our timing against litert-benchmark's.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.tflite")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--runs", type=int, default=_RUNS)
    given = parser.parse_args(arguments)
    try:
        agreements = {
            file: compare_with_tool(file, given.rounds, given.runs) for file in given.files
        }
        for file, agreement in agreements.items():
            print(
                f"{file.name}: ours {agreement.ours_ms:.3f} ms, {_TOOL} "
                f"{agreement.theirs_ms:.3f} ms, {agreement.difference:+.1%}"
            )
        apart = [file.name for file, agreement in agreements.items() if not agreement.agrees]
        if apart:
            raise GateError(f"medians within {_ALLOWED:.0%} are required. Received: {apart}.")
    except PortraitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

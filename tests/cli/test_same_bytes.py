"""Same seed, same machine: the same bytes, from processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_MAIN = "from portrait_tflite.cli.main import main; main()"
_VARIANTS = ("--fp32", "--fp16", "--int8", "--dynamic", "--io", "uint8", "--metadata")


def _convert(tiny: Any, home: Path, hash_seed: str) -> dict[str, bytes]:
    """Convert in a process whose sets and dictionaries are ordered by another hash."""
    arguments = [
        "-q", "convert", tiny.keras, "--input-range", "0,1", "--no-benchmark", *_VARIANTS,
        "--calibration", tiny.calibration, "--validation", tiny.validation,
        "--out", home / "out", "--assets", home / "assets", "--seed", "3",
    ]  # fmt: skip
    subprocess.run(
        [sys.executable, "-c", _MAIN, *map(str, arguments)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
    )
    files = [*(home / "out").glob("*.tflite"), *(home / "assets").iterdir()]
    plans = [home / "out" / name for name in ("rewrites.json", "model.json")]
    return {str(path.relative_to(home)): path.read_bytes() for path in (*files, *plans)}


def test_two_processes_write_the_same_files(tiny: Any, tmp_path: Path) -> None:
    first, second = (_convert(tiny, tmp_path / seed, seed) for seed in ("1", "2"))
    assert len([name for name in first if name.endswith(".tflite")]) == 8
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []

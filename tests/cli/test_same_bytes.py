"""Same seed, same machine: the same bytes, from processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_MAIN = (
    "import json, sys; from portrait_tflite.cli.main import _run; "
    "sys.exit(max(_run(command, debug=True) for command in json.loads(sys.argv[1])))"
)
_VARIANTS = ("--fp32", "--fp16", "--int8", "--dynamic", "--io", "uint8", "--metadata")


def _convert(tiny: Any, fragile: Path, home: Path, hash_seed: str) -> dict[str, bytes]:
    """Convert in a process whose sets and dictionaries are ordered by another hash."""
    pictures = [
        "--input-range", "0,1", "--no-benchmark", "--seed", "3",
        "--calibration", tiny.calibration, "--validation", tiny.validation,
    ]  # fmt: skip
    out = ["--out", home / "out", "--assets", home / "assets"]
    commands = [
        ["-q", "convert", tiny.keras, *pictures, *_VARIANTS, *out],
        ["-q", "convert", fragile, *pictures, "--int8", "--out", home / "climbed"],
    ]
    plain = json.dumps([[str(argument) for argument in command] for command in commands])
    subprocess.run(
        [sys.executable, "-c", _MAIN, plain],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
    )
    written = ("rewrites.json", "model.json", "calibration.json", "sensitivity.csv")
    folders = [home / name for name in ("out", "climbed")]
    files = [path for folder in folders for path in folder.glob("*.tflite")]
    files += [folder / name for folder in folders for name in written]
    files += (home / "assets").iterdir()
    return {str(path.relative_to(home)): path.read_bytes() for path in files}


def test_two_processes_write_the_same_files(tiny: Any, fragile: Path, tmp_path: Path) -> None:
    first, second = (_convert(tiny, fragile, tmp_path / seed, seed) for seed in ("1", "2"))
    assert len([name for name in first if name.endswith(".tflite")]) == 9
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    report = json.loads((tmp_path / "1" / "climbed" / "report.json").read_text("utf-8"))
    steps = report["variants"]["int8"]["remedies"]
    assert len(steps) > 3
    assert len([step for step in steps if step["kept"]]) > 1

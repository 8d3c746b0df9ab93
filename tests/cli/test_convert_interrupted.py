"""Ctrl-C in the middle: exit 130, earlier results whole, nothing half-made left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.pipeline import finishing, from_keras, reading

_STAGES = {
    "gather_pictures": reading,
    "mask_graph": from_keras,
    "build_variants": from_keras,
    "verify_variants": finishing,
    "write_outputs": finishing,
}


@pytest.fixture
def arguments(tiny: Any, tmp_path: Path) -> list[object]:
    return [
        "convert", tiny.keras, "--int8", "--input-range", "0,1", "--no-benchmark",
        "--calibration", tiny.calibration, "--validation", tiny.validation, "--out",
        tmp_path / "out",
    ]  # fmt: skip


@pytest.fixture
def results(run: Callable[..., Any], arguments: list[object], tmp_path: Path) -> dict[str, bytes]:
    """Convert once; what is in the folder before the run that is interrupted."""
    assert run(*arguments).code == 0
    return contents(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stage", _STAGES)
def test_in_any_stage(
    refuse: Callable[..., str],
    run: Callable[..., Any],
    arguments: list[object],
    results: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_STAGES[stage], stage, interrupted)
    said = run(*arguments, "--io", "uint8")
    assert said.code == 130
    assert said.err.strip() == "Interrupted: no half result is left behind."
    assert said.out == ""
    assert contents(tmp_path) == results
    assert list(scratch.iterdir()) == []
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_while_files_are_moved_in(
    run: Callable[..., Any],
    arguments: list[object],
    results: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace = Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        if target.name == "model.json" and target.parent == tmp_path / "out":
            monkeypatch.undo()
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    assert run(*arguments, "--io", "uint8").code == 130
    assert contents(tmp_path) == results


# Runs the command, and says when verification, which never ends here, has begun.
_SCRIPT = """
import sys, time
from portrait_tflite.pipeline import finishing
def verify_variants(*_, **__):
    print("verifying", flush=True)
    time.sleep(600)
finishing.verify_variants = verify_variants
from portrait_tflite.cli.main import main
main()
"""


def test_a_real_signal(arguments: list[object], results: dict[str, bytes], tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", _SCRIPT, *map(str, arguments), "--io", "uint8"]
    environment = {**os.environ, "TMPDIR": str(scratch), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "verifying\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().strip().endswith("Interrupted: no half result is left behind.")
    assert contents(tmp_path) == results
    assert [path.name for path in scratch.iterdir() if "portrait-tflite" in path.name] == []

"""Run a file on tflite-runtime 2.14, the last of its line, in an interpreter of its own.

It needs numpy below 2 and Python up to 3.11, which this environment need not have.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.tflite_runtime_python import INSTALL, find_tflite_runtime

_SCRIPT = Path(__file__).with_name("tflite_runtime_worker.py")
_TIMEOUT_S = 300


def run_on_tflite_runtime(
    model: Path, inputs: Sequence[NDArray[Any]], python: Path | None = None
) -> list[NDArray[Any]]:
    """Run once on tflite-runtime's built-in kernels.

    Args:
        model: The `.tflite` file.
        inputs: One array per input, in the input's own dtype.
        python: Interpreter that has tflite-runtime; found by `find_tflite_runtime` if None.

    Raises:
        UnavailableError: No such interpreter, or tflite-runtime does not load in it.
        UsageError: tflite-runtime refuses the file.
    """
    if not model.is_file():
        raise UsageError(f"a .tflite file is required. Received: {model} (no such file).")
    interpreter = find_tflite_runtime(python)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
        # A loop of names instead of positional arrays: the worker asks for them by name.
        arrays: dict[str, Any] = {f"input_{n}": array for n, array in enumerate(inputs)}
        np.savez(source, **arrays)
        _run_worker([str(interpreter), str(_SCRIPT), str(model), str(source), str(target)])
        with np.load(target) as results:
            return [results[f"output_{number}"] for number in range(len(results.files))]


def _run_worker(command: list[str]) -> None:
    # This environment's packages must not shadow those of the other interpreter.
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(
            f"a Python with tflite-runtime is required. Received: {command[0]}: {error}."
        ) from error
    if done.returncode == 0:
        return
    said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    if "ModuleNotFoundError" in done.stderr or "ImportError" in done.stderr:
        raise UnavailableError(
            f"tflite-runtime is required in {command[0]}. Received: {said[-1]}. Install: {INSTALL}"
        )
    raise UsageError(f"a .tflite that tflite-runtime runs is required. Received: {said[-1]}")

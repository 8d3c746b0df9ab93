"""Which Python has tflite-runtime: it needs numpy below 2, which this environment need not have.

Light to import, for the command line names its option after what stands here.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from portrait_tflite.errors import UnavailableError

PYTHON_OPTION = "--tflite-runtime-python"
PYTHON_VARIABLE = "PORTRAIT_TFLITE_RUNTIME_PYTHON"
INSTALL = (
    "python3.11 -m venv DIR && DIR/bin/pip install tflite-runtime==2.14.0 'numpy<2', then "
    f"portrait-tflite {PYTHON_OPTION} DIR/bin/python (or {PYTHON_VARIABLE}=DIR/bin/python)"
)


def find_tflite_runtime(python: Path | None = None) -> Path:
    """Find an interpreter that has tflite-runtime: the argument, the variable, or this one.

    The command line's option sets the variable.

    Raises:
        UnavailableError: There is none; the message says what to install.
    """
    named = python or os.environ.get(PYTHON_VARIABLE)
    if named:
        if Path(named).is_file():
            return Path(named)
        raise UnavailableError(
            f"a Python with tflite-runtime is required. Received: {named} (no such file). "
            f"Install one: {INSTALL}"
        )
    if importlib.util.find_spec("tflite_runtime"):
        return Path(sys.executable)
    raise UnavailableError(
        f"tflite-runtime is required in a Python of its own. Received: none. Install: {INSTALL}"
    )

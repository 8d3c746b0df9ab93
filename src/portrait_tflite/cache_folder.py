"""Where things lie that take long to make and can be made again."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "PORTRAIT_TFLITE_CACHE"


def cache_folder() -> Path:
    """Return the folder that `PORTRAIT_TFLITE_CACHE` names, or `portrait-tflite` in the user's."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).absolute()  # some who use it work in another folder
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "portrait-tflite"

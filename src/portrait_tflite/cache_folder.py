"""Where things lie that take long to make and can be made again."""

from __future__ import annotations

import os
from pathlib import Path

from portrait_tflite.errors import UsageError

CACHE_VARIABLE = "PORTRAIT_TFLITE_CACHE"


def cache_folder() -> Path:
    """Return the folder that `PORTRAIT_TFLITE_CACHE` names, or `portrait-tflite` in the user's."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).absolute()  # some who use it work in another folder
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "portrait-tflite"


def require_cache(what: str) -> None:
    """Refuse a cache folder that cannot be written, before the work for it begins.

    Args:
        what: What needs it, e.g. `--finetune`.

    Raises:
        UsageError: It cannot be made, or written to. Nothing is made yet.
    """
    folder = cache_folder()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise UsageError(
            f"{what} needs a cache folder that can be written. Received: {folder}; {there} cannot. "
            f"Name another in {CACHE_VARIABLE}."
        )

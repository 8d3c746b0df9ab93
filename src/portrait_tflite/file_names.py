"""How files are named: what a `.tflite` is known by, and what a variant's name says."""

from __future__ import annotations

from pathlib import Path

from portrait_tflite.vocabulary import Precision

TFLITE_SUFFIX = ".tflite"


def is_tflite(source: str | Path) -> bool:
    """Tell by its name whether `source` is a finished `.tflite`."""
    return Path(source).suffix.lower() == TFLITE_SUFFIX


def network_name(path: Path) -> str:
    """Return the name of the network in a `.tflite`: its stem without the precision behind it.

    `NAME-int8.tflite` is how `convert` calls the int8 file of NAME.
    """
    for precision in Precision:
        name = path.stem.removesuffix(f"-{precision}")
        if name and name != path.stem:
            return name
    return path.stem

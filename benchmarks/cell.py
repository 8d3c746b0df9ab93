"""What is measured: a file on a delegate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Delegate


@dataclass(frozen=True)
class Cell:
    """A file on a delegate: one row of a benchmark.

    Attributes:
        precision: What `report.json` calls its element type; empty where nobody said.
    """

    variant: str
    path: Path
    delegate: Delegate
    threads: int = 1
    precision: str = ""


def find_damage(path: Path) -> str:
    """Say what is wrong with a file that is missing, cut off or no `.tflite`; "" if nothing is."""
    try:
        read_model(path)
    except UsageError as error:
        return received(error, path)
    return ""


def received(error: Exception, path: Path) -> str:
    """Shorten an error about a file to what was received: a row says what was asked for."""
    said = str(error).rpartition("Received: ")[2].removeprefix(f"{path}").strip(" .")
    return said[1:-1] if said[:1] == "(" and said[-1:] == ")" else said.lstrip(":, ")

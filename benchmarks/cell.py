"""What is measured: a file on a delegate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.vocabulary import Delegate

HOST = "host"


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

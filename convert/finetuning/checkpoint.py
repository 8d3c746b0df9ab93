"""What an interrupted fine-tuning goes on from."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portrait_tflite.cache_folder import CACHE_VARIABLE
from portrait_tflite.convert.finetuning.student import Score
from portrait_tflite.convert.rewrites.keras.site import Array
from portrait_tflite.errors import UsageError

_GROUPS = ("weights", "best_weights", "optimizer")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run between two rounds.

    Attributes:
        rounds: Rounds done.
        stale: Rounds since the best one of them.
        before: Score on the held-out pictures before the first round.
        peak: Score of the best round.
        best: The better one of these two.
        weights: Of the student.
        best_weights: With the best score.
        optimizer: Its variables.
    """

    rounds: int
    stale: int
    before: Score
    peak: Score
    best: Score
    weights: list[Array]
    best_weights: list[Array]
    optimizer: list[Array]


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None where there is none, or none that is whole."""
    try:
        # Opened here: `np.load` leaves open what it cannot read.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            rounds, stale, *scores = file["progress"].tolist()
            groups = [
                [file[f"{group}{i}"] for i in range(int(file[f"{group}_count"]))]
                for group in _GROUPS
            ]
            before, peak, best = (Score(*scores[i : i + 2]) for i in (0, 2, 4))
    except (OSError, TypeError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Checkpoint(int(rounds), int(stale), before, peak, best, *groups)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the one before stays whole until this one is.

    Raises:
        UsageError: The folder cannot be written.
    """
    arrays = {
        f"{group}{i}": array
        for group in _GROUPS
        for i, array in enumerate(getattr(checkpoint, group))
    }
    counts = {f"{group}_count": len(getattr(checkpoint, group)) for group in _GROUPS}
    scores = (*checkpoint.before, *checkpoint.peak, *checkpoint.best)
    progress = (checkpoint.rounds, checkpoint.stale, *scores)
    unfinished = path.with_suffix(".unfinished.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(unfinished, progress=np.array(progress), **counts, **arrays)  # type: ignore[arg-type]
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(
            "--finetune needs a cache folder that can be written, to go on from after an "
            f"interruption. Received: {path.parent} ({error.strerror or error}). Name another in "
            f"{CACHE_VARIABLE}."
        ) from error

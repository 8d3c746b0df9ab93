"""A part of the calibration pictures that is kept for scoring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from portrait_tflite.progress import Progress, unwatched, watched
from portrait_tflite.quantize.calibration.picture import Picture, PictureFile
from portrait_tflite.quantize.calibration.sources import Source

_HELD_OUT = 5  # one in so many


def held_out(source: Source, progress: Progress = unwatched) -> list[Picture]:
    """Return the pictures that are kept for scoring.

    Those of a manifest are what it says. Of a video the end, since neighbouring frames are nearly
    the same; else by what they hold. None of those that a manifest calibrates on, which may be all
    of them, and none of pictures that are all the same.

    Raises:
        UsageError: A picture of the manifest is missing or another one.
    """
    if source.manifest and source.manifest.held_out:
        return source.manifest.hold_out(source.pictures, progress)
    taken = {name for name, _ in source.manifest.entries} if source.manifest else set()
    if source.ordered:
        held = list(source.pictures[-max(1, len(source.pictures) // _HELD_OUT) :])
    else:
        held = _by_content(source.pictures, progress)
    if len(held) == len(source.pictures):
        return []  # all the same: that is for the checks to say
    return [picture for picture in held if picture.name not in taken]


def hold_out(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Split pictures into those to calibrate on and a fifth to score on.

    The split is by what the files hold, not by their names, so that copies of a picture never lie
    on both sides, and adding pictures moves few of the others.

    Returns:
        Calibration and validation, each in the order given. Validation has at least one, and none
        that cannot be read: those are counted where calibration reads.
    """
    pictures = [PictureFile(path) for path in paths]
    held = {picture.place for picture in _by_content(pictures, unwatched)}
    return [path for path in paths if path not in held], [path for path in paths if path in held]


def _by_content(pictures: Sequence[Picture], progress: Progress) -> list[Picture]:
    with watched(pictures, progress, "telling pictures apart") as told_apart:
        digests = {picture.place: picture.digest() for picture in told_apart}
    known = sorted(digest for digest in digests.values() if digest)
    if not known:
        return []
    last = known[max(1, round(len(known) / _HELD_OUT)) - 1]
    return [picture for picture in pictures if "" < digests[picture.place] <= last]

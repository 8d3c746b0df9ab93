"""Which pictures a conversion calibrates on and which it scores on; never the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from portrait_tflite.convert.network_inputs import draw_others
from portrait_tflite.errors import UsageError
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.progress import Progress, unwatched, watched
from portrait_tflite.quantize.accuracy.validation import Sample, load_validation
from portrait_tflite.quantize.calibration import (
    FEWEST,
    SYNTHETIC,
    CalibrationEntry,
    CalibrationSet,
    load_calibration,
)
from portrait_tflite.quantize.calibration.arrays import required_arrays
from portrait_tflite.quantize.calibration.held_out import held_out
from portrait_tflite.quantize.calibration.picture import Picture, PictureFile, StoredInput
from portrait_tflite.quantize.calibration.sources import Source, open_source
from portrait_tflite.quantize.checks.scored_check import check_not_scored
from portrait_tflite.vocabulary import DRAWN, ModelSpec

# Drawn portraits to score agreement on where the user gave no pictures; seeds far from those of
# the calibration set.
_DRAWN = 40
_DRAWN_SEED = 1_000_000


@dataclass(frozen=True)
class Pictures:
    """The pictures of one conversion.

    Attributes:
        calibration: None where nothing needs any.
        samples: What is scored on; all labelled or none.
        scored_on: What they are, in words.
    """

    calibration: CalibrationSet | None
    samples: list[Sample]
    scored_on: str


@dataclass(frozen=True)
class PictureRequest:
    """What `--calibration` and `--validation` say.

    Attributes:
        calibration: A source as `open_source` takes it, or None where nothing was said.
        count: Calibration pictures to use.
        validation: A folder, or None.
    """

    calibration: str | None = None
    count: int = 200
    validation: Path | None = None
    seed: int = 0


def gather_pictures(
    request: PictureRequest,
    spec: ModelSpec,
    drawn: Path,
    *,
    needed: bool,
    zoo: bool,
    fitted: bool = False,
    progress: Progress = unwatched,
) -> Pictures:
    """Load the calibration set and list what is scored on.

    Args:
        drawn: Folder for pictures that are no files: drawn ones, where there is nothing else to
            score on (a manifest may calibrate on all there are), and those that are held out of an
            array file or a video.
        needed: Whether a variant is quantized.
        zoo: Whether the net is our own: its default calibration set is the drawn one.
        fitted: Whether layers are fitted to the pictures, which must not be those that are scored
            on; without a source they are all the same.
        progress: Shows each thing that is done with the pictures.

    Raises:
        UsageError: A foreign model is quantized without pictures, or the sources are unfit.
    """
    text = request.calibration or (SYNTHETIC if zoo else None)
    if needed and text is None and spec.others:
        raise UsageError(
            f"int8 needs what the network will see: --calibration FILE.npz is required, "
            f"{required_arrays(spec)}; {FEWEST} rows or more, 100 are better (--calibration "
            "synthetic takes drawn portraits and noise). Received: neither."
        )
    if needed and text is None:
        raise UsageError(
            "int8 needs pictures like those the network will see: --calibration DIR is required "
            "(--calibration synthetic takes drawn portraits). Received: neither."
        )
    source = None if text is None else open_source(text, spec, request.count, request.seed)
    held: frozenset[Path] = frozenset()
    kept: list[Picture] | None = None
    if request.validation is not None:
        samples = load_validation(request.validation)
        held = frozenset(sample.image for sample in samples)
        scored_on = str(request.validation)
    elif source is not None and (kept := _keep(source, progress)) is not None:
        held = frozenset(picture.place for picture in kept)
        samples = _as_samples(kept, drawn, progress)
        scored_on = _name_kept(source)
    else:
        # A net of ours knows a person when it sees one drawn; about others that is not known, so
        # they are asked for agreement only.
        samples = _draw_samples(spec, drawn, labelled=zoo)
        scored_on = DRAWN
    if source is None or not (needed or fitted):
        return Pictures(None, samples, scored_on)
    calibration = _load(request, source, spec, samples, held, progress)
    held_out_entries = tuple(CalibrationEntry(each.name, each.digest()) for each in kept or ())
    return Pictures(replace(calibration, held_out=held_out_entries), samples, scored_on)


def _keep(source: Source, progress: Progress) -> list[Picture] | None:
    """Return the pictures that are kept for scoring; None where drawn ones stand in for them.

    That is where all are drawn, and where a manifest calibrates on all there are: its run had
    others to score on.
    """
    if source.path is None:
        return None
    kept = held_out(source, progress)
    return None if source.manifest and not kept else kept


def _name_kept(source: Source) -> str:
    if source.manifest and not source.manifest.held_out:
        # Of a fifth only what its run did not take: that may be one picture.
        return f"pictures of {source.path} that {source.text} does not calibrate on"
    return f"a fifth of {source.path}, held out"


def _load(
    request: PictureRequest,
    source: Source,
    spec: ModelSpec,
    samples: Sequence[Sample],
    held: frozenset[Path],
    progress: Progress,
) -> CalibrationSet:
    # A manifest's pictures are taken whatever is scored on: that is for the check to say.
    excluded = frozenset() if source.manifest else held
    loaded = load_calibration(source, spec, request.count, request.seed, excluded, progress)
    return loaded.checked(check_not_scored(loaded, samples, spec, progress))


def _as_samples(kept: Sequence[Picture], folder: Path, progress: Progress) -> list[Sample]:
    """Score on pictures; those that cannot be read are left out."""
    with watched(kept, progress, "keeping pictures to score on") as pictures:
        samples = [_as_sample(picture, folder) for picture in pictures]
    return [sample for sample in samples if sample is not None]


def _as_sample(picture: Picture, folder: Path) -> Sample | None:
    """Score on a picture; what is no file becomes one. None where it cannot be read.

    Raises:
        UsageError: It is no picture: the checks look at those alone that are calibrated on.
    """
    if isinstance(picture, PictureFile):
        return Sample(picture.name, picture.place)
    if isinstance(picture, StoredInput) and not np.isfinite(picture.stored).all():
        raise UsageError(
            "pictures without NaN or infinity are required to calibrate and to score on. "
            f"Received: {picture.name} with some. Mend what makes the array."
        )
    pixels = picture.pixels()
    if pixels is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{picture.name}.png"
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return Sample(picture.name, path, others=picture.others)


def _draw_samples(spec: ModelSpec, folder: Path, *, labelled: bool) -> list[Sample]:
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    others = draw_others(spec, _DRAWN, _DRAWN_SEED)
    for number, seed in enumerate(range(_DRAWN_SEED, _DRAWN_SEED + _DRAWN)):
        path = folder / f"portrait-{seed}.png"
        label = folder / f"portrait-{seed}-mask.png"
        image, mask = draw_portrait(seed, spec.height, spec.width)
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(label), mask)
        row = {name: rows[number : number + 1] for name, rows in others.items()}
        samples.append(Sample(path.name, path, label if labelled else None, others=row))
    return samples

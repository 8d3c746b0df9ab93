"""Which pictures a conversion calibrates on and which it scores on; never the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2

from portrait_tflite.errors import UsageError
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.quantize.calibration import (
    SYNTHETIC,
    CalibrationSet,
    calibration_images,
    hold_out,
    load_calibration,
)
from portrait_tflite.quantize.validation import Sample, load_validation
from portrait_tflite.vocabulary import DRAWN, ModelSpec

# Drawn portraits to score agreement on where the user gave no pictures; seeds far from those of
# the calibration set.
_DRAWN = 40
_DRAWN_SEED = 1_000_000


@dataclass(frozen=True)
class Pictures:
    """The pictures of one conversion.

    Attributes:
        calibration: None where no variant needs any.
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
        calibration: A folder, `synthetic`, or None where nothing was said.
        count: Calibration pictures to use.
        validation: A folder, or None.
    """

    calibration: str | None = None
    count: int = 200
    validation: Path | None = None
    seed: int = 0


def gather_pictures(
    request: PictureRequest, spec: ModelSpec, drawn: Path, *, needed: bool, zoo: bool
) -> Pictures:
    """Load the calibration set and list what is scored on.

    Args:
        drawn: Folder for drawn portraits, where there is nothing else to score on.
        needed: Whether a variant is quantized.
        zoo: Whether the net is our own: its default calibration set is the drawn one.

    Raises:
        UsageError: A foreign model is quantized without pictures, or the folders are unfit.
    """
    source = request.calibration or (SYNTHETIC if zoo else None)
    if needed and source is None:
        raise UsageError(
            "int8 needs pictures like those the network will see: --calibration DIR is required "
            "(--calibration synthetic takes drawn portraits). Received: neither."
        )
    held: list[Path] = []
    if request.validation is not None:
        samples = load_validation(request.validation)
        held = [sample.image for sample in samples]
        scored_on = str(request.validation)
    elif source is not None and source != SYNTHETIC:
        _, held = hold_out(calibration_images(Path(source)))
        samples = [Sample(path.name, path) for path in held]
        scored_on = f"a fifth of {source}, held out"
    else:
        # A net of ours knows a person when it sees one drawn; about others that is not known, so
        # they are asked for agreement only.
        samples = _draw_samples(spec, drawn, labelled=zoo)
        scored_on = DRAWN
    if not needed or source is None:
        return Pictures(None, samples, scored_on)
    calibration = load_calibration(source, spec, request.count, request.seed, frozenset(held))
    return Pictures(calibration, samples, scored_on)


def _draw_samples(spec: ModelSpec, folder: Path, *, labelled: bool) -> list[Sample]:
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for seed in range(_DRAWN_SEED, _DRAWN_SEED + _DRAWN):
        path = folder / f"portrait-{seed}.png"
        label = folder / f"portrait-{seed}-mask.png"
        image, mask = draw_portrait(seed, spec.height, spec.width)
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(label), mask)
        samples.append(Sample(path.name, path, label if labelled else None))
    return samples

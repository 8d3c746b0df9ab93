"""Whether pictures are calibrated on and scored on at once: what is scored then flatters."""

from __future__ import annotations

from collections.abc import Sequence

from portrait_tflite.images import fit_image, read_reduced
from portrait_tflite.progress import Progress, unwatched, watched
from portrait_tflite.quantize.accuracy.validation import Sample
from portrait_tflite.quantize.calibration.calibration_set import CalibrationSet
from portrait_tflite.quantize.calibration.picture import PictureFile
from portrait_tflite.quantize.checks.picture_checks import some
from portrait_tflite.quantize.checks.thumbnails import NEARLY_SAME, distances, thumbnail, thumbnails
from portrait_tflite.tensor_values import Floats
from portrait_tflite.vocabulary import Check, ModelSpec


def check_not_scored(
    calibration: CalibrationSet,
    samples: Sequence[Sample],
    spec: ModelSpec,
    progress: Progress = unwatched,
) -> Check:
    """Look for the pictures that are scored on among those that are calibrated on.

    The same files are found by what they hold, and pictures that were saved anew by thumbnails.
    """
    digests = {entry.sha256 for entry in calibration.entries}
    known = thumbnails(calibration.inputs, spec)
    same, near = [], []
    with watched(samples, progress, "comparing with what is scored on") as compared:
        for sample in compared:
            if PictureFile(sample.image).digest() in digests:
                same.append(sample.name)
            elif _is_near(sample, known, spec):
                near.append(sample.name)
    parts = [f"{len(same)} scored pictures are calibrated on ({some(same)})"] if same else []
    parts += [f"{len(near)} nearly the same ({some(near)})"] if near else []
    detail = ", ".join(parts) or "no picture is calibrated on and scored on"
    return Check("none scored on", not parts, "warn", detail)


def _is_near(sample: Sample, known: Floats, spec: ModelSpec) -> bool:
    reduced = read_reduced(sample.image)
    if reduced is None:
        return False
    small = thumbnail(fit_image(reduced, spec))
    return bool(distances(small[None], known).min() < NEARLY_SAME)

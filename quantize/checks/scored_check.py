"""Whether pictures are calibrated on and scored on at once: what is scored then flatters."""

from __future__ import annotations

from collections.abc import Sequence

from portrait_tflite.images import fit_image, read_reduced
from portrait_tflite.quantize.accuracy.validation import Sample
from portrait_tflite.quantize.calibration.calibration_set import CalibrationSet
from portrait_tflite.quantize.calibration.picture import PictureFile
from portrait_tflite.quantize.checks.picture_checks import some
from portrait_tflite.quantize.checks.thumbnails import NEARLY_SAME, distances, thumbnail, thumbnails
from portrait_tflite.vocabulary import Check, ModelSpec


def check_not_scored(
    calibration: CalibrationSet, samples: Sequence[Sample], spec: ModelSpec
) -> Check:
    """Look for the pictures that are scored on among those that are calibrated on.

    The same files are found by what they hold, and pictures that were saved anew by thumbnails.
    """
    digests = {entry.sha256 for entry in calibration.entries}
    same = [s.name for s in samples if PictureFile(s.image).digest() in digests]
    near = [name for name in _nearly_calibrated(calibration, samples, spec) if name not in same]
    parts = [f"{len(same)} scored pictures are calibrated on ({some(same)})"] if same else []
    parts += [f"{len(near)} nearly the same ({some(near)})"] if near else []
    detail = ", ".join(parts) or "no picture is calibrated on and scored on"
    return Check("none scored on", not parts, "warn", detail)


def _nearly_calibrated(
    calibration: CalibrationSet, samples: Sequence[Sample], spec: ModelSpec
) -> list[str]:
    known = thumbnails(calibration.inputs, spec)
    found = []
    for sample in samples:
        reduced = read_reduced(sample.image)
        if reduced is None:
            continue
        small = thumbnail(fit_image(reduced, spec))
        if distances(small[None], known).min() < NEARLY_SAME:
            found.append(sample.name)
    return found

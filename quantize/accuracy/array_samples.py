"""What is scored on, of an array file: pictures and what a network takes besides."""

from __future__ import annotations

from pathlib import Path

from portrait_tflite.errors import UsageError
from portrait_tflite.quantize.accuracy.validation import Sample
from portrait_tflite.quantize.calibration.arrays import list_arrays, required_arrays
from portrait_tflite.vocabulary import ModelSpec


def samples_of_arrays(path: Path, spec: ModelSpec) -> list[Sample]:
    """List the rows of an `.npy` or `.npz`; none has a label.

    Raises:
        UsageError: It cannot be read, or an array is missing or unfit.
    """
    return [
        Sample(picture.name, picture.place, pixels=picture.pixels(), others=picture.others)
        for picture in list_arrays(path, spec)
    ]


def require_arrays(path: Path, spec: ModelSpec) -> None:
    """Refuse pictures alone for a network that takes more.

    Raises:
        UsageError: It takes more.
    """
    if spec.others:
        raise UsageError(
            f"{required_arrays(spec)}, is required: the network takes more than pictures. "
            f"Received: {path}."
        )

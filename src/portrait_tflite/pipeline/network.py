"""What both routes, from Keras and from a finished `.tflite`, come down to."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from portrait_tflite.errors import UsageError
from portrait_tflite.images import Floats, prepare, read_usable
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.vocabulary import (
    Delegate,
    ModelSpec,
    RewriteRecord,
    SkippedRewrite,
    WholeNetError,
)

# Pictures that approximate rewrites are fitted on, and mending is checked on.
FITTED_ON = 16
MENDED_ON = 3


@dataclass(frozen=True)
class Network:
    """What both routes, Keras and `.tflite`, come down to.

    Attributes:
        files: Finished files by variant.
        reference: The float file that accuracy is measured against.
        extra: Baselines, by variant.
    """

    name: str
    spec: ModelSpec
    parameters: int
    licence: str
    reference: bytes
    files: dict[str, bytes]
    extra: dict[str, bytes]
    extra_spec: ModelSpec | None
    layers: tuple[str, ...] = ()
    plans: dict[Delegate, list[dict[str, str]]] = field(default_factory=dict)
    records: tuple[RewriteRecord, ...] = ()
    skipped: tuple[SkippedRewrite, ...] = ()
    rewritten: WholeNetError | None = None


def probe_inputs(pictures: Pictures, spec: ModelSpec) -> Floats:
    """A few network inputs `[n, h, w, c]` to verify rewrites on."""
    if pictures.calibration is not None:
        return pictures.calibration.inputs[:FITTED_ON]
    paths = [sample.image for sample in pictures.samples[:FITTED_ON]]
    inputs = [prepare(image, spec) for _, image in read_usable(paths)]
    if not inputs:
        raise UsageError("pictures that can be read are required. Received: none.")
    return np.concatenate(inputs)

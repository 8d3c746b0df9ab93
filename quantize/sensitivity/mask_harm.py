"""What masks lose against the float network's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portrait_tflite.images import Floats
from portrait_tflite.metrics import mae, mean_iou
from portrait_tflite.quantize.accuracy.predictors import run_in_real, select_mask
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Harm, OutputSpec


def harm_of(masks: Sequence[Floats], expected: Sequence[Floats]) -> Harm:
    """Compare masks `[h, w]` with those of the float network."""
    pairs = list(zip(masks, expected, strict=True))
    return Harm(
        100 * (1 - float(np.mean([mean_iou(*pair) for pair in pairs]))),
        float(np.mean([mae(*pair) for pair in pairs])),
    )


def mean_harm(harms: Sequence[Harm]) -> Harm:
    """Average over pictures; nothing where there are none."""
    if not harms:
        return Harm()
    return Harm(
        float(np.mean([harm.points for harm in harms])),
        float(np.mean([harm.moved for harm in harms])),
    )


def masks_of_file(data: bytes, frames: Sequence[Frames], output: OutputSpec) -> list[Floats]:
    """Run a `.tflite`, float or not, on pictures; its masks `[h, w]`."""
    runner = open_model(data)
    return [select_mask(run_in_real(runner, frame), output) for frame in frames]

"""Whether two float files are the same function: what exact remedies check themselves by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quiet import quiet
from portrait_tflite.runtime import open_model

_COMPARED_ON = 4
_TOLERANCE = 1e-5  # of the largest magnitude


def same_function(data: bytes, frames: Sequence[Frames]) -> Callable[[bytes], bool]:
    """Return what tells whether another file gives the outputs of this one, on some pictures."""
    compared = spread(frames, _COMPARED_ON)
    expected = _outputs(data, compared)

    def same(other: bytes) -> bool:
        return all(
            np.abs(one - two).max() <= _TOLERANCE * np.abs(two).max()
            for one, two in zip(_outputs(other, compared), expected, strict=True)
        )

    return same


def _outputs(data: bytes, frames: Sequence[Frames]) -> list[Floats]:
    with quiet():
        runner = open_model(data)
    return [output for frame in frames for output in runner.run(*frame)]

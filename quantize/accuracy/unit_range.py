"""Whether the mask of a finished file is a probability: its values on drawn portraits tell."""

from __future__ import annotations

import numpy as np

from portrait_tflite.errors import UsageError
from portrait_tflite.images import Floats
from portrait_tflite.models.synthetic import draw_inputs
from portrait_tflite.quantize.accuracy.predictors import Outputs, select_mask
from portrait_tflite.vocabulary import ModelSpec

# What quantizing adds to a probability at most; logits and other ranges go farther.
_TOLERANCE = 0.05


def require_probability(outputs_of: Outputs, spec: ModelSpec, source: str) -> None:
    """Refuse a mask that is no probability.

    Args:
        outputs_of: Runs the file.
        spec: What it takes, and which output and channel is the mask; no activation is known.
        source: Its name, for messages.

    Raises:
        UsageError: Its values leave 0 to 1.
    """
    masks = _masks(outputs_of, spec)
    low, high = float(masks.min()), float(masks.max())
    # A NaN is for others to find.
    if not (low < -_TOLERANCE or high > 1 + _TOLERANCE):
        return
    if np.array_equal(masks, np.round(masks)):
        raise UsageError(
            f"the mask of {source} has whole numbers from {low:.0f} to {high:.0f} on drawn "
            "portraits, which are numbers of classes: --output-channel with that of the person is "
            "required (--activation none if the person is every number from 1 on)."
        )
    tanh = low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE
    hint = " A tanh is brought to 0 to 1 where its Keras model is converted." if tanh else ""
    raise UsageError(
        f"the mask of {source} goes from {low:.4g} to {high:.4g} on drawn portraits, which is no "
        "probability: --activation sigmoid or softmax is required for logits (none if it is the "
        f"person from 0.5 on as it is).{hint}"
    )


def _masks(outputs_of: Outputs, spec: ModelSpec) -> Floats:
    drawn = draw_inputs(spec)
    return np.stack([select_mask(outputs_of(one), spec.output) for one in drawn])

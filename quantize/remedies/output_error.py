"""How far an int8 network's outputs are from the float one's: what remedies compare by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from portrait_tflite.images import Floats
from portrait_tflite.quantize.accuracy.predictors import apply_activation
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quiet import quiet
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Activation, IoType

Item = TypeVar("Item")

_COMPARED_ON = 16


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """Pick some of a sequence, evenly from its first to its last."""
    if len(items) <= count:
        return list(items)
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, count)]


def output_error(
    reference: bytes, frames: Sequence[Frames], count: int = _COMPARED_ON
) -> Callable[[RangedNetwork], float]:
    """Return a function that quantizes a network and compares it with a float file.

    What it gives is the mean absolute difference of all outputs, as probabilities, on some of the
    calibration pictures.

    Args:
        reference: The float file.
        frames: The calibration pictures.
        count: How many of them to compare on.
    """
    compared = spread(frames, count)
    expected = _outputs(reference, compared)
    hows = [_activation([picture[i] for picture in expected]) for i in range(len(expected[0]))]

    def error(network: RangedNetwork) -> float:
        found = _outputs(quantize_network(network, IoType.FLOAT32), compared)
        pairs = zip(found, expected, strict=True)
        return float(np.mean([deviation(outputs, others, hows) for outputs, others in pairs]))

    return error


def deviation(
    outputs: Sequence[Floats], expected: Sequence[Floats], hows: Sequence[Activation] | None = None
) -> float:
    """Return the mean absolute difference of outputs on a picture, as probabilities.

    Args:
        outputs: All of a network's.
        expected: The float network's.
        hows: What makes probabilities of each; told by `expected` alone where None.
    """
    chosen = hows or [_activation([output]) for output in expected]
    differences = [
        np.abs(apply_activation(one, how) - apply_activation(other, how)).mean()
        for one, other, how in zip(outputs, expected, chosen, strict=True)
    ]
    return float(np.mean(differences))


def _outputs(data: bytes, frames: Sequence[Frames]) -> list[list[Floats]]:
    with quiet():
        runner = open_model(data)
    return [runner.run(*frame) for frame in frames]


def _activation(outputs: Sequence[Floats]) -> Activation:
    """Say what makes an output probabilities: errors of logits far from 0 change no mask."""
    if all(output.min() >= 0 and output.max() <= 1 for output in outputs):
        return Activation.NONE
    several = outputs[0].ndim > 1 and outputs[0].shape[-1] > 1
    return Activation.SOFTMAX if several else Activation.SIGMOID

"""What a network's own first arithmetic says of the pixel values that it takes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.loading.keras2_functions import TensorFlowFunction
from portrait_tflite.convert.network_inputs import STATE_CHANNEL

Range = tuple[float, float]

BYTES: Range = (0.0, 255.0)
UNIT: Range = (0.0, 1.0)

_PROBE = 4  # rows and columns of the noise on which an operator shows what it does
_Doubles = NDArray[np.float64]


def stated_range(image: Any) -> Range | None:
    """Return the range that the network's own first layer expects; None where it states none.

    Only what takes the whole input states one, a Rescaling or Normalization layer or operators
    that do the same (`x / 127.5 - 1`): 0–255 where it shrinks bytes, 0–1 where its numbers are
    those of fractions. What takes a previous mask with the colours states none: they need not
    have the same range.
    """
    if image.shape[-1] == STATE_CHANNEL + 1:
        return None
    calls = _calls(image)
    while len(calls) == 1 and getattr(calls[0].operation, "inputs", None):  # a nested network
        calls = _calls(calls[0].operation.inputs[0])
    if len(calls) != 1:
        return None
    layer = calls[0].operation
    if isinstance(layer, keras.layers.Rescaling):
        return _rescaling_range(np.asarray(layer.scale, np.float64))
    if isinstance(layer, keras.layers.Normalization):
        std = np.sqrt(np.asarray(layer.variance, np.float64))
        return _normalization_range(np.asarray(layer.mean, np.float64), std)
    return _operator_range(calls)


def _calls(tensor: Any) -> list[Any]:
    return list(tensor._keras_history.operation._outbound_nodes)


def _rescaling_range(scale: _Doubles) -> Range | None:
    """Take 1/255 and 1/127.5 for bytes, 1 and 2 for fractions; anything else is not known."""
    span = np.abs(scale)
    if np.all((span * 255 >= 0.5) & (span * 255 <= 8)):
        return BYTES
    return UNIT if np.all((span >= 0.5) & (span <= 8)) else None


def _normalization_range(mean: _Doubles, std: _Doubles) -> Range | None:
    if np.all((mean > 2) & (mean < 255) & (std > 2)):
        return BYTES
    if np.all((mean > 0) & (mean < 1) & (std < 1)):
        return UNIT
    return None


def _operator_range(calls: list[Any]) -> Range | None:
    """Read a row of operators `x · scale + shift` per channel as what they do together."""
    scale, shift = np.ones(1), np.zeros(1)
    while len(calls) == 1 and (found := _affine(calls[0])):
        scale, shift = scale * found[0], shift * found[0] + found[1]
        calls = _calls(calls[0].outputs[0])
    if not scale.all() or (scale == 1).all():
        return None
    return _normalization_range(-shift / scale, np.abs(1 / scale)) or (
        _rescaling_range(scale) if (np.abs(scale) < 1).all() else None
    )


def _affine(call: Any) -> tuple[_Doubles, _Doubles] | None:
    """Return an operator's scale and shift `[c]`, by what it makes of noise; None for others."""
    tensors = call.input_tensors
    layer = isinstance(call.operation, keras.Layer)
    if len(tensors) != 1 or (layer and not isinstance(call.operation, TensorFlowFunction)):
        return None
    noise = np.random.default_rng(0).uniform(-2, 2, (1, _PROBE, _PROBE, tensors[0].shape[-1]))
    try:
        filled = call.arguments.fill_in({id(tensors[0]): noise.astype(np.float32)})
        given = np.asarray(call.operation(*filled[0], **filled[1]), np.float64)
    except Exception:  # whatever an operator raises that takes its own size alone
        return None
    if given.shape != noise.shape:
        return None
    rows, made = (array.reshape(-1, noise.shape[-1]) for array in (noise, given))
    scale = (made[1] - made[0]) / (rows[1] - rows[0])
    shift = made[0] - scale * rows[0]
    return (scale, shift) if np.allclose(made, scale * rows + shift, atol=1e-3) else None

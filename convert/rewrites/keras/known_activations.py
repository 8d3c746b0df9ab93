"""Activation functions that are told by their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np

from portrait_tflite.convert.graph import Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import activate
from portrait_tflite.convert.rewrites.keras.affine import ChannelAffine
from portrait_tflite.convert.rewrites.keras.site import Array

# Where functions are compared: densely around 0, and as far as exp(x) is a float in every spelling.
POINTS = np.unique(np.concatenate([np.linspace(-12, 12, 481), np.linspace(-40, 40, 41)]))

# Of the number itself, or of 1 where that is larger: constants are written with 6 digits at least.
_TOLERANCE = 5e-6
# A rounded 1/6 makes a multiple of the function.
_MOST_OFF = 1e-3

# Klambauer et al. 2017, "Self-Normalizing Neural Networks": scale and slope of the SELU.
_SELU = (1.05070098735548049342, 1.67326324235437728482)


@dataclass(frozen=True)
class Known:
    """A function that a layer of Keras is.

    Attributes:
        name: Its name in `keras.activations`, or in `keras.ops`.
        build: Adds it; takes the name and the tensor.
    """

    name: str
    build: Callable[[str, Value], Value]


def recognize(values: Array) -> Known | None:
    """Say which function has these values at `POINTS`; None where it is none of those known.

    Args:
        values: `[n, c]`, one column per channel where each has numbers of its own.
    """
    if not np.isfinite(values).all():
        return None
    if values.shape[1] == 1:
        return next(_candidates(values[:, 0].astype(np.float64)), None)
    return _slopes(values.astype(np.float64))


def _candidates(values: Array) -> Iterator[Known]:
    if (sloped := _slope(values)) is not None:
        yield sloped
    for name, function in _FUNCTIONS.items():
        expected = function(POINTS)
        scale = _ratio(values, expected) if name in _ROUNDED else 1.0
        if _alike(values, scale * expected):
            yield Known(name, partial(_scaled, _NATIVE.get(name, partial(_active, name)), scale))
    if (elu := _elu(values)) is not None:
        yield elu


def _alike(values: Array, expected: Array) -> bool:
    room = _TOLERANCE * np.maximum(1, np.abs(POINTS))
    return bool((np.abs(values - expected) <= room).all())


def _sigmoid(x: Array) -> Array:
    return np.asarray(np.exp(-_softplus(-x)))


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(0, x))


def _gelu(x: Array) -> Array:
    share = [math.erf(one / math.sqrt(2)) for one in x]
    return np.asarray(x / 2 * (1 + np.array(share)))


def _tanh_gelu(x: Array) -> Array:
    share = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return np.asarray(x / 2 * (1 + share))


def _hard_sigmoid(x: Array) -> Array:
    return np.asarray(np.clip(x + 3, 0, 6) / 6)


_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "silu": lambda x: x * _sigmoid(x),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "gelu": _gelu,
    "tanh_gelu": _tanh_gelu,
    "softplus": _softplus,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "log_sigmoid": lambda x: -_softplus(-x),
    "selu": lambda x: _SELU[0] * np.where(x > 0, x, _SELU[1] * np.expm1(np.minimum(x, 0))),
}
_ROUNDED = frozenset({"hard_silu"})  # not the hard sigmoid, of which all is one clamp


def _active(function: str, name: str, source: Value) -> Value:
    return activate(name, source, function)


_NATIVE: dict[str, Callable[[str, Value], Value]] = {
    "tanh_gelu": lambda name, x: apply_op(name, partial(keras.ops.gelu, approximate=True), x)
}


def _ratio(values: Array, expected: Array) -> float:
    """Return by how much a function is larger than another at the largest number; 1 for equal."""
    ratio = float(values[-1] / expected[-1])
    return ratio if _TOLERANCE < abs(ratio - 1) <= _MOST_OFF else 1.0


def _scaled(function: Callable[[str, Value], Value], scale: float, name: str, x: Value) -> Value:
    return _times(name, function(name if scale == 1 else f"{name}_function", x), scale)


def _times(name: str, x: Value, scale: float) -> Value:
    """Multiply as a normalization does, which folds into a convolution behind."""
    if scale == 1:
        return x
    channels = x.shape[-1]
    return apply_op(name, ChannelAffine(np.full(channels, scale), np.zeros(channels)), x)


def _slope(values: Array) -> Known | None:
    """Read x above 0, and a multiple of it below."""
    slope = round(float(values[0] / POINTS[0]), 7)
    if slope == 1 or not _alike(values, np.where(POINTS > 0, POINTS, slope * POINTS)):
        return None
    if slope == 0:
        return Known("relu", partial(_active, "relu"))
    if slope == -1:
        return Known("absolute", lambda name, x: apply_op(name, keras.ops.absolute, x))
    # Keras has no LeakyReLU that turns the sign.
    if slope < 0:
        return None
    return Known(
        "leaky_relu", lambda name, x: apply_op(name, keras.layers.LeakyReLU(slope, name=name), x)
    )


def _slopes(values: Array) -> Known | None:
    """Read x above 0, and below a multiple of it that each channel has of its own."""
    slopes = values[0] / POINTS[0]
    columns = zip(values.T, slopes, strict=True)
    if not all(_alike(one, np.where(POINTS > 0, POINTS, s * POINTS)) for one, s in columns):
        return None
    return Known("prelu", partial(_prelu, slopes))


def _prelu(slopes: Array, name: str, x: Value) -> Value:
    shared = list(range(1, len(x.shape) - 1))
    layer = keras.layers.PReLU(shared_axes=shared, name=name)
    layer.build(x.shape)
    layer.set_weights([slopes.astype(np.float32).reshape(*[1] * len(shared), -1)])
    return apply_op(name, layer, x)


def _elu(values: Array) -> Known | None:
    """Read c · x above 0, and c · α · (exp(β · x) − 1) below."""
    scale, floor = values[-1] / POINTS[-1], -values[0]
    below = -values[np.argmin(np.abs(POINTS + 1))]  # at x = −1
    if not (scale > 0 and 0 < below < floor):
        return None
    rate = -math.log1p(-below / floor)
    alpha = floor / scale
    curve = alpha * np.expm1(rate * np.minimum(POINTS, 0))
    if not _alike(values / scale, np.where(POINTS > 0, POINTS, curve)):
        return None
    return Known("elu", partial(_scaled_elu, _tidy(rate), _tidy(alpha), _tidy(scale)))


def _tidy(number: float) -> float:
    """Take off what float32 left behind the digits that somebody wrote."""
    return float(f"{number:.6g}")


def _scaled_elu(rate: float, alpha: float, scale: float, name: str, x: Value) -> Value:
    faster = _times(f"{name}_input", x, rate)
    layer = keras.layers.ELU(_tidy(alpha * rate), name=f"{name}_elu")
    return _times(name, apply_op(f"{name}_elu", layer, faster), _tidy(scale / rate))

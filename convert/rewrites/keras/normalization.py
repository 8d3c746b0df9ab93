"""Normalizations whose mean and variance are those of the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import convolution
from portrait_tflite.convert.rewrites.keras.affine import ChannelAffine
from portrait_tflite.convert.rewrites.keras.site import Array, Form, Refusal, Site, Uses
from portrait_tflite.vocabulary import Delegate

# `TFLiteConverter` has no int8 SQUARE, and the GPU delegate no product of a tensor with itself.
_SQUARES = (
    ("centered", lambda x: keras.ops.multiply(x, x), Delegate.XNNPACK),
    ("centered_square", keras.ops.square, Delegate.GPU),
)

Mean = Callable[[str, Value, float], Value]


class Normalization:
    """Computes a layer, group or instance normalization from ops that int8 has.

    Given:  x → LayerNormalization or GroupNormalization(γ, β) → y
    Result: c = x − mean(x); c · RSQRT(mean(c · c) + ε) → scale γ, shift β → y

    `TFLiteConverter` leaves NEG and SQUARE of Keras's form in float32, so that there is no int8
    file at all. The mean over a group of channels is a 1×1 convolution of the channels' means,
    which keeps rank 4 where Keras has rank 5. RSQRT alone stays outside of XNNPACK.
    """

    name = "normalization"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        if type(node.op) not in (
            keras.layers.LayerNormalization,
            keras.layers.GroupNormalization,
        ):
            return None
        if len(value.shape) != 4:
            return Refusal(node.name, f"its tensor has rank {len(value.shape)}, not 4")
        mean = _mean_of(node.op, value.shape[-1])
        if mean is None:
            return Refusal(node.name, f"it normalizes over axis {node.op.axis}")
        affine = _affine_of(node.op, value.shape[-1])
        return Site(
            layer=node.name,
            root=value,
            boundary=node.inputs,
            forms=tuple(
                Form(
                    form,
                    partial(_normalized, node.name, mean, square, node.op.epsilon, affine),
                    only=delegate,
                )
                for form, square, delegate in _SQUARES
            ),
            reason="TFLiteConverter makes no int8 of it as it is",
        )


def _normalized(
    name: str,
    mean: Mean,
    square: Callable[[Any], Any],
    epsilon: float,
    affine: ChannelAffine | None,
    boundary: Sequence[Value],
) -> Value:
    (source,) = boundary
    middle = mean(f"{name}_mean", source, 0.0)
    centered = apply_op(f"{name}_centered", keras.ops.subtract, source, middle)
    squares = apply_op(f"{name}_squares", square, centered)
    variance = mean(f"{name}_variance", squares, epsilon)
    inverse = apply_op(f"{name}_rsqrt", keras.ops.rsqrt, variance)
    value = apply_op(f"{name}_scaled", keras.ops.multiply, centered, inverse)
    return value if affine is None else apply_op(name, affine, value)


def _mean_of(layer: Any, channels: int) -> Mean | None:
    """Return how a layer's mean, plus a number, is computed; None for axes unlike all others'."""
    if isinstance(layer, keras.layers.GroupNormalization):
        if layer.axis not in (-1, 3):
            return None
        size = 1 if layer.groups == -1 else channels // layer.groups
        groups = np.kron(np.eye(channels // size), np.full((size, size), 1 / size))
        return lambda name, source, more: _group_mean(name, source, groups, more)
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if [axis % 4 for axis in axes] != [3]:
        return None
    return _channel_mean


def _group_mean(name: str, source: Value, groups: Array, more: float) -> Value:
    pooled = apply_op(f"{name}_pooled", keras.layers.GlobalAveragePooling2D(keepdims=True), source)
    bias = np.full(len(groups), more)
    return convolution(name, pooled, groups[None, None], bias if more else None)


def _channel_mean(name: str, source: Value, more: float) -> Value:
    # The GPU delegate takes no numbers without dimensions.
    number = np.full((1, 1, 1, 1), more, np.float32)

    def mean(x: Any) -> Any:
        found = keras.ops.mean(x, axis=-1, keepdims=True)
        return found + number if more else found

    return apply_op(name, mean, source)


def _affine_of(layer: Any, channels: int) -> ChannelAffine | None:
    gamma, beta = getattr(layer, "gamma", None), getattr(layer, "beta", None)
    if gamma is None and beta is None:
        return None
    scale = np.ones(channels) if gamma is None else np.asarray(gamma, np.float64)
    shift = np.zeros(channels) if beta is None else np.asarray(beta, np.float64)
    return ChannelAffine(scale, shift)

"""Batch normalization into the linear layer before or behind it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.added_layers import (
    convolution,
    depthwise,
    is_linear,
    rebuilt,
    weights_of,
)
from portrait_tflite.convert.rewrites.keras.site import Array, Refusal, Site, Uses, single

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.SeparableConv2D,
)


class FoldBatchNormBehind:
    """Folds a batch normalization into the convolution before it.

    Given:  x → Conv2D(W, b) → BatchNormalization(s, t) → y
    Result: x → Conv2D(W · s, b · s + t) → y

    The same for depthwise, transposed and separable convolutions, the last laid open.
    `s = γ / √(σ² + ε)`, `t = β − μ · s`.
    """

    name = "fold_batch_norm_behind"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        norm = value.node
        if not isinstance(norm.op, keras.layers.BatchNormalization) or not _on_channels(norm.op):
            return None
        producer = norm.inputs[0].node
        layer = producer.op
        if not _is_plain_convolution(layer) or not is_linear(layer.activation):
            return None
        # Somebody else needs the tensor as it is before the normalization.
        if uses[norm.inputs[0]] > 1:
            return Refusal(norm.name, f"the output of {producer.name} is also used elsewhere")
        scale, shift = _scale_and_shift(norm.op)

        def build(boundary: Any) -> Value:
            return _scaled(producer.name, layer, boundary[0], scale, shift)

        return Site(
            layer=norm.name,
            root=value,
            boundary=producer.inputs,
            forms=single("folded", build),
            reason=f"folded into {producer.name}",
        )


class FoldBatchNormBefore:
    """Folds a batch normalization into the convolution behind it.

    Given:  x → BatchNormalization(s, t) → Conv2D(W, b, no padding) → y
    Result: x → Conv2D(W · s, b + Σ W · t) → y

    Only without zero padding: at a padded border the shift `t` is missing from the sum.
    """

    name = "fold_batch_norm_before"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        consumer = value.node
        layer = consumer.op
        if type(layer) is not keras.layers.Conv2D or layer.groups != 1:
            return None
        norm = consumer.inputs[0].node
        if not isinstance(norm.op, keras.layers.BatchNormalization) or not _on_channels(norm.op):
            return None
        scale, shift = _scale_and_shift(norm.op)
        padded = layer.padding == "same" and tuple(layer.kernel_size) != (1, 1)
        # Zero padding happens behind the normalization: the border lacks the shift.
        if padded and np.any(shift != 0):
            return Refusal(norm.name, f"{consumer.name} pads its input with zeros")
        # The normalized tensor is needed by somebody else too.
        if uses[consumer.inputs[0]] > 1:
            return Refusal(norm.name, "its output is also used elsewhere")
        kernel, bias = weights_of(layer)

        def build(boundary: Any) -> Value:
            moved = np.einsum("hwio,i->o", kernel, shift)
            return rebuilt(
                layer,
                consumer.name,
                boundary[0],
                kernel * scale[None, None, :, None],
                moved if bias is None else bias + moved,
                layer.activation,
            )

        return Site(
            layer=norm.name,
            root=value,
            boundary=norm.inputs,
            forms=single("folded", build),
            reason=f"folded into {consumer.name}",
        )


class BatchNormAsDepthwise:
    """Makes a batch normalization that folds nowhere a 1×1 depthwise convolution.

    Given:  x → BatchNormalization(s, t) → y
    Result: x → DEPTHWISE_CONV_2D(1×1, s, bias t) → y

    `TFLiteConverter` lowers it to MUL and ADD, whose constants are int8 with one scale for all
    channels, and rounds in between. A convolution's weights have a scale per channel and its bias
    is int32: in int8 one op instead of two, and nearly nothing lost.
    """

    name = "batch_norm_as_depthwise"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        norm = value.node
        if not isinstance(norm.op, keras.layers.BatchNormalization) or not _on_channels(norm.op):
            return None
        # Behind a Dense layer or a pooling without dimensions there is nothing to convolve.
        if len(value.shape) != 4:
            return Refusal(norm.name, f"its tensor has rank {len(value.shape)}, not 4")
        scale, shift = _scale_and_shift(norm.op)
        kernel = np.asarray(scale)[None, None, :, None]
        return Site(
            layer=norm.name,
            root=value,
            boundary=norm.inputs,
            forms=single(
                "depthwise", lambda boundary: depthwise(norm.name, boundary[0], kernel, shift)
            ),
            reason="folds nowhere; one op with a scale per channel",
        )


def _is_plain_convolution(layer: Any) -> bool:
    # Subclasses may compute something else.
    if type(layer) is keras.layers.Conv2D:
        return bool(layer.data_format == "channels_last" and layer.groups == 1)
    return type(layer) in _CONVOLUTIONS and layer.data_format == "channels_last"


def _on_channels(norm: keras.layers.BatchNormalization) -> bool:
    return norm.axis in (-1, 3)


def _scale_and_shift(norm: Any) -> tuple[Array, Array]:
    """Return `s` and `t` of a normalization at inference, `[channels]` each, in float64."""
    mean = np.asarray(norm.moving_mean, np.float64)
    scale = 1 / np.sqrt(np.asarray(norm.moving_variance, np.float64) + norm.epsilon)
    if norm.scale:
        scale = scale * np.asarray(norm.gamma, np.float64)
    shift = -mean * scale
    if norm.center:
        shift = shift + np.asarray(norm.beta, np.float64)
    return scale, shift


def _scaled(name: str, layer: Any, source: Value, scale: Array, shift: Array) -> Value:
    """Add `layer` with its output multiplied by `scale` and moved by `shift`, `[out]` each."""
    if isinstance(layer, keras.layers.SeparableConv2D):
        return _scaled_separable(name, layer, source, scale, shift)
    kernel, bias = weights_of(layer)
    moved = shift if bias is None else bias * scale + shift
    if isinstance(layer, keras.layers.Conv2DTranspose):
        kernel = kernel * scale[:, None]
    elif isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel = kernel * scale.reshape(kernel.shape[2:])
    else:
        kernel = kernel * scale
    return rebuilt(layer, name, source, kernel, moved)


def _scaled_separable(name: str, layer: Any, source: Value, scale: Array, shift: Array) -> Value:
    """Add a separable convolution as its two parts, the pointwise one scaled and moved."""
    spatial, pointwise, *bias = (np.asarray(weight) for weight in layer.get_weights())
    value = depthwise(
        f"{name}_depthwise",
        source,
        spatial,
        None,
        strides=layer.strides,
        padding=layer.padding,
        dilation=layer.dilation_rate,
    )
    return convolution(name, value, pointwise * scale, bias[0] * scale + shift if bias else shift)

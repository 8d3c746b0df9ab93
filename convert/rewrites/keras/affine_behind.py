"""A normalization, or what else scales and shifts channels, into what computes its input."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import (
    convolution,
    depthwise,
    is_linear,
    rebuilt,
    weights_of,
)
from portrait_tflite.convert.rewrites.keras.affine import ChannelAffine, affine_of
from portrait_tflite.convert.rewrites.keras.affine_before import as_depthwise
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.SeparableConv2D,
)


class FoldAffineBehind:
    """Folds a batch normalization, rescaling or normalization into the convolution before it.

    Given:  x → Conv2D(W, b) → BatchNormalization(s, t) → y
    Result: x → Conv2D(W · s, b · s + t) → y

    The same for depthwise, transposed and separable convolutions, the last laid open.
    """

    name = "fold_affine_behind"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        norm = value.node
        affine = affine_of(norm)
        if affine is None or not _is_linear_convolution(norm.inputs[0].node):
            return None
        producer = norm.inputs[0].node
        # Somebody else needs the tensor as it is before the normalization.
        if uses[norm.inputs[0]] > 1:
            return Refusal(norm.name, f"the output of {producer.name} is also used elsewhere")
        return Site(
            layer=norm.name,
            root=value,
            boundary=producer.inputs,
            forms=single(
                "folded", lambda boundary: _scaled(producer.name, producer.op, boundary[0], affine)
            ),
            reason=f"folded into {producer.name}",
        )


class SplitAffine:
    """Moves a normalization behind a sum or a concatenation into the convolutions before that.

    Given:  Conv2D → a, Conv2D → b; Concatenate(a, b) → BatchNormalization(s, t) → y
    Result: Conv2D · s₁ + t₁ → a, Conv2D · s₂ + t₂ → b; Concatenate(a, b) → y

    Each branch takes its channels' numbers. Behind an Add every branch takes the scale and the
    first one the shift. Only where every branch is a linear convolution that nobody else needs:
    any other would need an op of its own.
    """

    name = "split_affine"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        norm = value.node
        affine = affine_of(norm)
        if affine is None:
            return None
        joint = norm.inputs[0].node
        parts = _parts(joint, affine)
        if parts is None:
            return None
        # Somebody else needs the tensor as it is before the normalization.
        if uses[norm.inputs[0]] > 1:
            return Refusal(norm.name, f"the output of {joint.name} is also used elsewhere")
        branches = [branch.node for branch in joint.inputs]
        other = next(
            (
                n
                for n, b in zip(branches, joint.inputs, strict=True)
                if uses[b] > 1 or not _is_linear_convolution(n)
            ),
            None,
        )
        if other is not None:
            return Refusal(norm.name, f"{other.name} before {joint.name} cannot take its part")

        def build(boundary: Any) -> Value:
            scaled = [
                _scaled(node.name, node.op, source, part)
                for node, source, part in zip(branches, boundary, parts, strict=True)
            ]
            return apply_op(joint.name, joint.op, scaled)

        return Site(
            layer=norm.name,
            root=value,
            boundary=tuple(branch.inputs[0] for branch in branches),
            forms=single("split", build),
            reason=f"folded into the branches of {joint.name}",
        )


class AffineAsDepthwise:
    """Makes a normalization that folds nowhere a 1×1 depthwise convolution.

    Given:  x → BatchNormalization(s, t) → y
    Result: x → DEPTHWISE_CONV_2D(1×1, s, bias t) → y

    `TFLiteConverter` lowers it to MUL and ADD, whose constants are int8 with one scale for all
    channels, and rounds in between. A convolution's weights have a scale per channel and its bias
    is int32: in int8 one op instead of two, and nearly nothing lost. One number for all channels
    stays the MUL that it is.
    """

    name = "affine_as_depthwise"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        norm = value.node
        affine = affine_of(norm)
        if affine is None:
            # Behind a Dense layer or a pooling without dimensions there is nothing to convolve.
            if isinstance(norm.op, keras.layers.BatchNormalization) and len(value.shape) != 4:
                return Refusal(norm.name, f"its tensor has rank {len(value.shape)}, not 4")
            return None
        # As of a normalization that never saw a picture: there is nothing that MUL would lose. What
        # rewrites add themselves is a MUL and an ADD.
        if affine.is_factor and norm.op is not affine:
            return Refusal(norm.name, "a MUL by one number costs less than a convolution")
        return Site(
            layer=norm.name,
            root=value,
            boundary=norm.inputs,
            forms=single(
                "depthwise", lambda boundary: as_depthwise(norm.name, boundary[0], affine)
            ),
            reason="folds nowhere; one op with a scale per channel",
        )


def _is_linear_convolution(node: Node) -> bool:
    layer = node.op
    # Subclasses may compute something else.
    if type(layer) not in _CONVOLUTIONS or layer.data_format != "channels_last":
        return False
    return is_linear(layer.activation)


def _parts(joint: Node, affine: ChannelAffine) -> list[ChannelAffine] | None:
    """Return what each input of a sum or concatenation has to take; None where it is neither."""
    shapes = [value.shape for value in joint.inputs]
    if type(joint.op) is keras.layers.Concatenate and joint.op.axis in (-1, 3):
        ends = np.cumsum([0, *(shape[-1] for shape in shapes)])
        return [affine.on(slice(a, b)) for a, b in pairwise(ends)]
    # An Add may broadcast; then a branch has other channels, or fewer positions.
    if type(joint.op) is keras.layers.Add and len(set(shapes)) == 1:
        rest = ChannelAffine(affine.scale, np.zeros_like(affine.shift))
        return [affine, *([rest] * (len(shapes) - 1))]
    return None


def _scaled(name: str, layer: Any, source: Value, affine: ChannelAffine) -> Value:
    """Add `layer` with its output scaled and shifted."""
    if isinstance(layer, keras.layers.SeparableConv2D):
        return _scaled_separable(name, layer, source, affine)
    kernel, bias = weights_of(layer)
    moved = affine.shift if bias is None else bias * affine.scale + affine.shift
    if isinstance(layer, keras.layers.Conv2DTranspose):
        kernel = kernel * affine.scale[:, None]
    elif isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel = kernel * affine.scale.reshape(kernel.shape[2:])
    else:
        kernel = kernel * affine.scale
    return rebuilt(layer, name, source, kernel, moved)


def _scaled_separable(name: str, layer: Any, source: Value, affine: ChannelAffine) -> Value:
    """Add a separable convolution as its two parts, the pointwise one scaled and shifted."""
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
    moved = bias[0] * affine.scale + affine.shift if bias else affine.shift
    return convolution(name, value, pointwise * affine.scale, moved)

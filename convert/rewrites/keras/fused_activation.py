"""A stand-alone activation into the convolution before it."""

from __future__ import annotations

from typing import Any

import keras

from portrait_tflite.convert.graph import Node, Value
from portrait_tflite.convert.rewrites.keras.added_layers import is_linear, rebuilt, weights_of
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single

_ELEMENTWISE = (
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.sigmoid,
    keras.activations.tanh,
)


class FuseActivation:
    """Makes an activation layer the activation of the convolution before it.

    Given:  x → Conv2DTranspose → ReLU → y
    Result: x → Conv2DTranspose(activation=relu) → y

    So that a later rewrite of the convolution keeps the two together: a ReLU left alone behind a
    DEPTH_TO_SPACE is an int8 op that XNNPACK does not take.
    """

    name = "fuse_activation"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        function = elementwise_activation(node)
        if function is None:
            return None
        producer = node.inputs[0].node
        layer = producer.op
        plain = type(layer) in (
            keras.layers.Conv2D,
            keras.layers.DepthwiseConv2D,
            keras.layers.Conv2DTranspose,
        )
        if not plain or not is_linear(layer.activation):
            return None
        # The tensor before the activation is needed by somebody else (a pre-activation skip).
        if uses[node.inputs[0]] > 1:
            return None

        return Site(
            layer=node.name,
            root=value,
            boundary=producer.inputs,
            forms=single("fused", lambda boundary: _activated(producer, boundary[0], function)),
            reason=f"fused into {producer.name}",
        )


def elementwise_activation(node: Node) -> Any | None:
    """Return the activation function of an activation node, or None where it is none."""
    if isinstance(node.op, keras.layers.Activation):
        return node.op.activation if node.op.activation in _ELEMENTWISE else None
    if isinstance(node.op, keras.layers.ReLU):
        layer = node.op
        # Leaky and thresholded forms are other functions.
        if layer.negative_slope or layer.threshold:
            return None
        if layer.max_value is None:
            return keras.activations.relu
        return keras.activations.relu6 if layer.max_value == 6 else None
    return None


def _activated(producer: Node, source: Value, activation: Any) -> Value:
    kernel, bias = weights_of(producer.op)
    return rebuilt(producer.op, producer.name, source, kernel, bias, activation)

"""The network's last layers: one channel, a sigmoid."""

from __future__ import annotations

from typing import Any

import keras

from portrait_tflite.convert.graph import Node, Value
from portrait_tflite.convert.rewrites.keras.added_layers import convolution, is_linear, weights_of
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, TakeChannel, Uses, single


class TwoClassHead:
    """Turns a softmax over two classes into a sigmoid.

    Given:  x → Conv2D(2 channels) → softmax → channel k
    Result: x → Conv2D(1 channel: w_k − w_other) → sigmoid

    Exact: exp(a) / (exp(a) + exp(b)) = 1 / (1 + exp(b − a)). SOFTMAX leaves XNNPACK in int8.
    """

    name = "two_class_head"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        take = value.node.op
        if not isinstance(take, TakeChannel):
            return None
        softmax = value.node.inputs[0]
        node = softmax.node
        producer = _softmax_producer(node)
        if producer is None:
            return None
        if softmax.shape[-1] != 2:
            return Refusal(node.name, f"softmax of {softmax.shape[-1]} classes needs them all")
        layer = producer.op
        if type(layer) is not keras.layers.Conv2D or layer.groups != 1:
            return Refusal(node.name, f"{producer.name} is no plain convolution")
        behind = producer is not node
        # The difference of activated logits is no convolution.
        if behind and not is_linear(layer.activation):
            return Refusal(node.name, f"the logits of {producer.name} have an activation")
        # Nothing is saved where somebody else needs both.
        if behind and uses[producer.output] > 1:
            return Refusal(node.name, f"the logits of {producer.name} are used elsewhere")
        kernel, bias = weights_of(layer)
        person, other = take.channel, 1 - take.channel

        def build(boundary: Any) -> Value:
            return convolution(
                producer.name,
                boundary[0],
                (kernel[..., person] - kernel[..., other])[..., None],
                None if bias is None else (bias[person] - bias[other])[None],
                strides=layer.strides,
                padding=layer.padding,
                dilation=layer.dilation_rate,
                activation="sigmoid",
            )

        return Site(
            layer=node.name,
            root=value,
            boundary=producer.inputs,
            forms=single("sigmoid", build),
            reason="softmax of two classes is a sigmoid of their difference",
        )


class SelectChannel:
    """Computes the person channel only.

    Given:  x → Conv2D(n channels, element-wise activation) → channel k
    Result: x → Conv2D(1 channel)
    """

    name = "select_channel"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        take = value.node.op
        if not isinstance(take, TakeChannel):
            return None
        node = value.node.inputs[0].node
        layer = node.op
        if type(layer) is not keras.layers.Conv2D or layer.groups != 1:
            return None
        # Softmax needs the other classes.
        if layer.activation is keras.activations.softmax:
            return None
        kernel, bias = weights_of(layer)
        chosen = slice(take.channel, take.channel + 1)
        return Site(
            layer=node.name,
            root=value,
            boundary=node.inputs,
            forms=single(
                "one_channel",
                lambda boundary: convolution(
                    node.name,
                    boundary[0],
                    kernel[..., chosen],
                    None if bias is None else bias[chosen],
                    strides=layer.strides,
                    padding=layer.padding,
                    dilation=layer.dilation_rate,
                    activation=layer.activation,
                ),
            ),
            reason=f"only channel {take.channel} of {kernel.shape[3]} is the mask",
        )


def _softmax_producer(node: Node) -> Node | None:
    """Return the node that makes the logits: `node` itself where the softmax is fused."""
    if getattr(node.op, "activation", None) is keras.activations.softmax:
        return node.inputs[0].node if isinstance(node.op, keras.layers.Activation) else node
    if isinstance(node.op, keras.layers.Softmax) and node.op.axis in (-1, 3):
        return node.inputs[0].node
    return None

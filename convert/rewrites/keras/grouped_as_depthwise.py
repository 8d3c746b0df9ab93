"""A convolution of as many groups as channels."""

from __future__ import annotations

import keras

from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.added_layers import depthwise, weights_of
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single


class GroupedAsDepthwise:
    """Makes a convolution with a group per channel the depthwise convolution that it is.

    Given:  x: [n, h, w, c] → Conv2D(n, k×k, groups=c, activation) → y
    Result: x → DepthwiseConv2D(k×k, multiplier n ÷ c, activation) → y

    So networks spell it that come from PyTorch, keras-hub's MobileNets among them. What folds,
    fuses or reorders knows depthwise convolutions, and the built-in kernels compute them faster.
    """

    name = "grouped_as_depthwise"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        layer = node.op
        # Of one channel it is an ordinary convolution, too.
        if type(layer) is not keras.layers.Conv2D or layer.groups == 1:
            return None
        if layer.data_format != "channels_last" or layer.groups != node.inputs[0].shape[-1]:
            return None
        if layer.strides[0] != layer.strides[1]:
            return Refusal(node.name, "depthwise convolutions have one stride for both directions")
        kernel, bias = weights_of(layer)
        return Site(
            layer=node.name,
            root=value,
            boundary=node.inputs,
            forms=single(
                "depthwise",
                lambda boundary: depthwise(
                    node.name,
                    boundary[0],
                    kernel.reshape(*kernel.shape[:2], layer.groups, -1),
                    bias,
                    strides=layer.strides,
                    padding=layer.padding,
                    dilation=layer.dilation_rate,
                    activation=layer.activation,
                ),
            ),
            reason="each group has one channel",
        )

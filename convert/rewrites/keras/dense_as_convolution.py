"""A Dense layer on a feature map."""

from __future__ import annotations

import keras

from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.added_layers import convolution, weights_of
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single


class DenseAsConvolution:
    """Makes a Dense layer on `[h, w, c]` the 1×1 convolution that it is.

    Given:  x → Dense(n, activation) → y
    Result: x → Conv2D(n, 1×1, activation) → y

    So that batch normalizations, activations and heads behind it find a convolution.
    """

    name = "dense_as_convolution"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        layer = node.op
        # Vectors and tokens stay: FULLY_CONNECTED takes them, a convolution would reshape them.
        if type(layer) is not keras.layers.Dense or len(value.shape) != 4:
            return None
        kernel, bias = weights_of(layer)
        return Site(
            layer=node.name,
            root=value,
            boundary=node.inputs,
            forms=single(
                "convolution",
                lambda boundary: convolution(
                    node.name, boundary[0], kernel[None, None], bias, activation=layer.activation
                ),
            ),
            reason="a Dense layer at every position is a 1×1 convolution",
        )

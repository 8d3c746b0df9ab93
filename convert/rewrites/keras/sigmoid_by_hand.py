"""The sigmoid that a tanh from 0 to 1 is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import activate, rebuilt, weights_of
from portrait_tflite.convert.rewrites.keras.fused_activation import elementwise_activation
from portrait_tflite.convert.rewrites.keras.scalar_affine import scalar_affine
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Conv2DTranspose,
)


class SigmoidByHand:
    """Reads the sigmoid in a tanh that is brought from −1…1 to 0…1.

    Given:  x → Conv2D → tanh → · 1/2 + 1/2 → y
    Result: x → Conv2D, weights doubled → sigmoid → y

    (tanh(x) + 1) / 2 is sigmoid(2 x): one op of a file for two or three.
    """

    name = "sigmoid_by_hand"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = _tanh_below(value, uses)
        if node is None:
            return None
        return Site(
            layer=value.node.name,
            root=value,
            boundary=(node.inputs[0],),
            forms=single("sigmoid", lambda boundary: _sigmoid(value.node.name, node, boundary)),
            reason="(tanh(x) + 1) / 2 is sigmoid(2 x)",
        )


def _tanh_below(value: Value, uses: Uses) -> Node | None:
    """Return the node whose tanh is scaled by a half and shifted by a half, in one step or two."""
    scale, shift = 1.0, 0.0
    node = value.node
    while (found := scalar_affine(node)) is not None:
        scale, shift = scale * found[0], scale * found[1] + shift
        # Who else reads it needs it as it is.
        if uses[node.inputs[0]] > 1:
            return None
        node = node.inputs[0].node
    halved = bool(np.allclose((scale, shift), 0.5))
    return node if halved and (_is_tanh(node) or _has_tanh(node)) else None


def _is_tanh(node: Node) -> bool:
    return elementwise_activation(node) is keras.activations.tanh


def _has_tanh(node: Node) -> bool:
    layer = node.op
    plain = type(layer) in _CONVOLUTIONS and getattr(layer, "groups", 1) == 1
    return plain and layer.activation is keras.activations.tanh


def _sigmoid(name: str, node: Node, boundary: Sequence[Value]) -> Value:
    if _is_tanh(node):
        doubled = apply_op(f"{name}_doubled", keras.layers.Rescaling(2.0), boundary[0])
        return activate(name, doubled, "sigmoid")
    kernel, bias = weights_of(node.op)
    twice: Any = None if bias is None else 2 * bias
    return rebuilt(node.op, node.name, boundary[0], 2 * kernel, twice, keras.activations.sigmoid)

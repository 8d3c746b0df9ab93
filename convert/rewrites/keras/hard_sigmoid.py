"""The hard sigmoid and the hard swish, which most nets write by hand."""

from __future__ import annotations

import keras

from portrait_tflite.convert.graph import Node, Value
from portrait_tflite.convert.rewrites.keras.added_layers import activate
from portrait_tflite.convert.rewrites.keras.fused_activation import elementwise_activation
from portrait_tflite.convert.rewrites.keras.scalar_affine import is_affine
from portrait_tflite.convert.rewrites.keras.site import (
    Refusal,
    Site,
    Uses,
    single,
)


class HardSigmoidByHand:
    """Reads the hard sigmoid that MobileNetV3 and its kin spell out.

    Given:  x → + 3 → ReLU6 → · 1/6 → y
    Result: x → hard sigmoid → y
    """

    name = "hard_sigmoid_by_hand"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        return _activated(value, _hard_sigmoid_of(value.node), "hard_sigmoid")


class HardSwishByHand:
    """Reads the hard swish that they spell out.

    Given:  x → hard sigmoid → y; x · y → z
    Result: x → hard swish → z
    """

    name = "hard_swish_by_hand"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        return _activated(value, _hard_swish_of(value.node), "hard_silu")


def _activated(value: Value, source: Value | None, function: str) -> Site | None:
    """Return the site at which `value` becomes a function of `source`."""
    if source is None:
        return None
    name = value.node.name
    return Site(
        layer=name,
        root=value,
        boundary=(source,),
        forms=single(function, lambda boundary: activate(name, boundary[0], function)),
        reason="spelled out by hand",
    )


def _hard_sigmoid_of(node: Node) -> Value | None:
    """Return x where a node is ReLU6(x + 3) / 6."""
    if not is_affine(node, 1 / 6, 0):
        return None
    clamp = node.inputs[0].node
    if elementwise_activation(clamp) is not keras.activations.relu6:
        return None
    shift = clamp.inputs[0].node
    return shift.inputs[0] if is_affine(shift, 1, 3) else None


def _hard_swish_of(node: Node) -> Value | None:
    """Return x where a node is x times the hard sigmoid of x."""
    if type(node.op).__name__ != "Multiply" or len(node.inputs) != 2:
        return None
    for one, other in (node.inputs, node.inputs[::-1]):
        gate = one.node
        function = getattr(gate.op, "activation", None)
        hard = function is keras.activations.hard_sigmoid
        if hard and isinstance(gate.op, keras.layers.Activation) and gate.inputs[0] == other:
            return other
    return None

"""Activations that are spelled out in operations."""

from __future__ import annotations

import keras

from portrait_tflite.convert.graph import Node, Value
from portrait_tflite.convert.rewrites.keras.known_activations import POINTS, Known, recognize
from portrait_tflite.convert.rewrites.keras.pointwise import Region, regions_before
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single

# Single operations and activations that are a special case of another one, or have a better form.
_ALONE = frozenset({"Celu", "LogSigmoid", "Maximum", "Threshold"})


class ActivationByHand:
    """Reads an activation function by its values, however it is spelled.

    Given:  x → choose x where x > 0, else x · a → y
    Result: x → LeakyReLU(a) → y

    So are read, from products, sums, clamps, powers and choices: ReLU, ReLU6, LeakyReLU, PReLU,
    absolute values, sigmoid, tanh, silu, the hard sigmoid and swish, GELU in both forms, softplus,
    mish, log-sigmoid, ELU, SELU, CELU. Of the choices `TFLiteConverter` makes GREATER and
    SELECT, which stay outside of XNNPACK, and of others more ops than it has for the function.
    """

    name = "activation_by_hand"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        for region in regions_before(value, uses):
            known = _read(region)
            if known is not None:
                return _site(value, region, known)
        return None


def _read(region: Region) -> Known | None:
    if len(region.nodes) == 1 and type(region.nodes[0].op).__name__ not in _ALONE:
        return None
    known = recognize(region.compute(POINTS))
    return None if known is None or _is_written_so(region, known) else known


def _site(value: Value, region: Region, known: Known) -> Site:
    name = value.node.name
    return Site(
        layer=name,
        root=value,
        boundary=(region.source,),
        forms=single(known.name, lambda boundary: known.build(name, boundary[0])),
        reason="spelled out by hand",
    )


def _is_written_so(region: Region, known: Known) -> bool:
    """Whether a silu is x · sigmoid(x) already: its two ops are all that a file has for it."""
    gates = [node for node in region.nodes if _is_sigmoid(node)]
    return known.name == "silu" and len(region.nodes) == 2 and len(gates) == 1


def _is_sigmoid(node: Node) -> bool:
    alone = isinstance(node.op, keras.layers.Activation)
    return alone and node.op.activation is keras.activations.sigmoid

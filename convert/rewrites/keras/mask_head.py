"""The network's last layers: one channel, a sigmoid."""

from __future__ import annotations

from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.channel_projection import (
    Projection,
    one_of,
    project,
)
from portrait_tflite.convert.rewrites.keras.projection_rules import RULES, is_softmax
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, TakeChannel, Uses, single


class TwoClassHead:
    """Turns a softmax over two classes into a sigmoid.

    Given:  x → Conv2D(2 channels) → softmax → channel k
    Result: x → Conv2D(1 channel: w_k − w_other) → sigmoid

    Exact: exp(a) / (exp(a) + exp(b)) = 1 / (1 + exp(b − a)). SOFTMAX leaves XNNPACK in int8. The
    difference moves before what lies between convolution and softmax (resizes, normalizations,
    reshapes, sums); where it meets a layer that mixes channels, it is a 1×1 convolution there.
    """

    name = "two_class_head"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        found = _projected(value, uses)
        if found is None or not found.sigmoid:
            return _refusal(value)
        return Site(
            layer=found.sigmoid,
            root=value,
            boundary=found.boundary,
            forms=single("sigmoid", found.build),
            reason="softmax of two classes is a sigmoid of their difference",
        )


class SelectChannel:
    """Computes the person channel only.

    Given:  x → Conv2D(n channels) → element-wise activation → resize → channel k
    Result: x → Conv2D(1 channel) → element-wise activation → resize
    """

    name = "select_channel"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        found = _projected(value, uses)
        if found is None or found.sigmoid or not found.through:
            return None
        take: TakeChannel = value.node.op
        return Site(
            layer=found.through[-1].name,
            root=value,
            boundary=found.boundary,
            forms=single("one_channel", found.build),
            reason=f"only channel {take.channel} of {value.node.inputs[0].shape[-1]} is used",
        )


def _projected(value: Value, uses: Uses) -> Projection | None:
    take = value.node.op
    if not isinstance(take, TakeChannel):
        return None
    source = value.node.inputs[0]
    return project(source, one_of(take.channel, source.shape[-1]), uses, RULES)


def _refusal(value: Value) -> Refusal | None:
    """Say why a softmax before the mask's channel stays."""
    if not isinstance(value.node.op, TakeChannel):
        return None
    source = value.node.inputs[0]
    fused = getattr(source.node.op, "activation", None)
    if not is_softmax(source.node) and getattr(fused, "__name__", "") != "softmax":
        return None
    if source.shape[-1] != 2:
        return Refusal(source.node.name, f"softmax of {source.shape[-1]} classes needs them all")
    return Refusal(source.node.name, "both channels of the softmax are used")

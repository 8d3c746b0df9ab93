"""A ZeroPadding2D into the padding="same" of the layer behind it."""

from __future__ import annotations

from typing import Any

import keras

from portrait_tflite.convert.graph import Node, Value
from portrait_tflite.convert.rewrites.keras.added_layers import reconfigured
from portrait_tflite.convert.rewrites.keras.frame import frame_of, same_frame
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single

WINDOWS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_NOT_NEGATIVE = (keras.activations.relu, keras.activations.relu6, keras.activations.sigmoid)


class PaddingIntoSame:
    """Lets a convolution pad by itself where that adds the same lines.

    Given:  x → ZeroPadding2D → Conv2D(VALID) → y
    Result: x → Conv2D(SAME) → y

    The file costs the same, XNNPACK merges a PAD with the convolution behind it. But rewrites that
    look for two layers in a row, such as a nearest upsampling and a convolution, then find them.
    Max-pooling pads with less than everything: only where the tensor holds nothing below 0 is that
    the same.
    """

    name = "padding_into_same"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        pools = type(node.op) is keras.layers.MaxPooling2D
        if not (pools or type(node.op) in WINDOWS) or node.op.padding != "valid":
            return None
        padding = node.inputs[0].node
        frame = frame_of(padding)
        if frame is None or node.op.data_format != "channels_last":
            return None
        source = padding.inputs[0]
        # SAME adds other lines than the layer does; for a convolution that costs nothing.
        if frame != same_frame(node.op, *source.shape[1:3]):
            return None
        # Somebody else needs the padded tensor: it must be made anyway.
        if uses[node.inputs[0]] > 1:
            return Refusal(padding.name, "its output is also used elsewhere")
        if pools and not _holds_nothing_below_0(source.node):
            return Refusal(padding.name, f"{node.name} pads with less than what lies below 0")
        return Site(
            layer=padding.name,
            root=value,
            boundary=(source,),
            forms=single("same", lambda boundary: with_padding(node, boundary[0], "same")),
            reason=f"{node.name} adds the same zeros",
        )


def with_padding(node: Node, source: Value, padding: str) -> Value:
    """Add a window layer again, with another padding and the same weights."""
    return reconfigured(node.name, node.op, source, padding=padding)


def _holds_nothing_below_0(node: Node) -> bool:
    layer: Any = node.op
    if type(layer) is keras.layers.ReLU:
        return not layer.negative_slope and layer.threshold >= 0
    known = (*WINDOWS, keras.layers.Conv2DTranspose, keras.layers.Activation)
    return type(layer) in known and layer.activation in _NOT_NEGATIVE

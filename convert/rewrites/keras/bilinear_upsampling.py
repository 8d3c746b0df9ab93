"""Bilinear resize behind the 1×1 convolution that follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Node, Value
from portrait_tflite.convert.rewrites.keras.added_layers import (
    activate,
    is_linear,
    rebuilt,
    weights_of,
)
from portrait_tflite.convert.rewrites.keras.site import Form, Refusal, Site, Uses
from portrait_tflite.convert.rewrites.keras.upsampling import Resize, resize_of, resized

# What an activation that was fused is on its own, in the finished int8 file: a clamp is mended to a
# requantization. Others are an op of their own in any case, and not listed.
_CLAMPS = (keras.activations.relu, keras.activations.relu6)


class PointwiseBeforeBilinear:
    """Computes 1×1 convolutions on the pixels that there are, not on those in between.

    Given:  x → bilinear resize → Conv2D(1×1) → … → Conv2D(1×1, activation) → y
    Result: x → Conv2D(1×1) → … → Conv2D(1×1) → bilinear resize → activation → y

    Exact: a resize is a weighted mean of pixels, the same for each channel, and its weights add up
    to 1, so that linear layers over the channels, their biases included, may go before it. The
    activation may not. Depthwise 1×1 convolutions, which batch normalizations become, go along.
    """

    name = "pointwise_before_bilinear"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        if not _is_pointwise(node):
            return None
        chain = [node]
        while not resize_of(before := chain[0].inputs[0].node):
            # An activation in between: what is behind it is linear no more.
            if not _is_pointwise(before) or not is_linear(before.op.activation):
                return None
            chain.insert(0, before)
        resize = resize_of(before)
        assert resize is not None
        if resize.interpolation != "bilinear":
            return None
        # There would be two resizes, or a convolution computed twice.
        used = next((n.inputs[0] for n in chain if uses[n.inputs[0]] > 1), None)
        if used is not None:
            return Refusal(node.name, f"the output of {used.node.name} is also used elsewhere")
        return Site(
            layer=node.name,
            root=value,
            boundary=(resize.source,),
            forms=_forms(chain, before.name, resize),
            reason=f"linear, before {before.name}",
        )


def _forms(chain: Sequence[Node], name: str, resize: Resize) -> tuple[Form, ...]:
    last = chain[-1]

    def build(boundary: Sequence[Value]) -> Value:
        value = boundary[0]
        for node in chain:
            kernel, bias = weights_of(node.op)
            value = rebuilt(node.op, node.name, value, kernel, bias)
        value = resized(name, value, "bilinear", resize.size)
        return activate(f"{last.name}_activation", value, last.op.activation)

    low = resize.source.shape[1:3]
    size = resize.size
    channels = int(last.output.shape[3])
    alone = [CostedOp("QUANTIZE", *size, channels, channels)] * (last.op.activation in _CLAMPS)
    depth = resize.source.shape[3]
    first = (*_ops(chain, low), CostedOp("RESIZE_BILINEAR", *size, channels, channels), *alone)
    kept = (CostedOp("RESIZE_BILINEAR", *size, depth, depth), *_ops(chain, size))
    return Form("pointwise_first", build, ops=first), Form("resize_first", ops=kept)


def _ops(chain: Sequence[Node], size: tuple[int, ...]) -> tuple[CostedOp, ...]:
    height, width = size
    return tuple(
        CostedOp(
            "CONV_2D" if type(node.op) is keras.layers.Conv2D else "DEPTHWISE_CONV_2D",
            height,
            width,
            node.inputs[0].shape[3],
            node.output.shape[3],
        )
        for node in chain
    )


def _is_pointwise(node: Node) -> bool:
    """Whether it mixes or scales channels, pixel by pixel, before its activation."""
    layer: Any = node.op
    if type(layer) not in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D):
        return False
    return (
        tuple(layer.kernel_size) == (1, 1)
        and tuple(layer.strides) == (1, 1)
        and layer.data_format == "channels_last"
        and getattr(layer, "groups", 1) == 1
    )

"""The channel shuffle of ShuffleNet as a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Node, Value
from portrait_tflite.convert.rewrites.keras.added_layers import (
    convolution,
    is_elementwise,
    rebuilt,
    weights_of,
)
from portrait_tflite.convert.rewrites.keras.site import Array, Form, Refusal, Site, Uses, single
from portrait_tflite.vocabulary import Delegate


class ChannelShuffle:
    """Computes the channels in the order in which they are wanted.

    Given:  x → Conv2D(W) → Reshape(h, w, g, c/g) → Permute(1, 2, 4, 3) → Reshape(h, w, c) → y
    Result: x → Conv2D(W, its filters in the other order) → y                    form `folded`

    Given:  x → Reshape → Permute → Reshape → y, x no convolution's output alone
    Result: x → CONV_2D(1×1, a 1 per channel) → y                           form `permutation`

    The tensor between has rank 5, which the GPU delegate refuses.
    """

    name = "channel_shuffle"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        found = _shuffle(value, uses)
        if found is None:
            return None
        source, groups = found
        name, channels = value.node.name, value.shape[3]
        order = np.arange(channels).reshape(groups, -1).T.reshape(-1)
        producer = source.node
        folds = uses[source] == 1 and is_convolution(producer)
        return Site(
            layer=name,
            root=value,
            boundary=producer.inputs if folds else (source,),
            forms=single("folded", lambda boundary: reordered(producer, boundary[0], order))
            if folds
            else _forms(name, source, groups, order),
            reason=f"{groups} groups of {channels // groups} channels",
        )


def _shuffle(value: Value, uses: Uses) -> tuple[Value, int] | None:
    """Return what is shuffled, and from how many groups; None for anything else."""
    if not reshapes(value.node) or len(value.shape) != 4:
        return None
    turned = value.node.inputs[0]
    if axes_of(turned.node) != [0, 1, 2, 4, 3] or uses[turned] > 1:
        return None
    grouped = turned.node.inputs[0]
    if not reshapes(grouped.node) or uses[grouped] > 1:
        return None
    source = grouped.node.inputs[0]
    # Rows or columns that change too are another rearrangement.
    if source.shape != value.shape or grouped.shape[:3] != value.shape[:3]:
        return None
    return source, grouped.shape[3]


def reshapes(node: Node) -> bool:
    """Tell whether a node is a reshape, as a layer or as an operation."""
    return type(node.op) is keras.layers.Reshape or _is_operation(node, "Reshape")


def axes_of(node: Node) -> list[int]:
    """Return the order in which a node puts its input's dimensions; [] where it is none such."""
    if type(node.op) is keras.layers.Permute:
        return [0, *node.op.dims]
    return list(node.op.axes or ()) if _is_operation(node, "Transpose") else []


def _is_operation(node: Node, kind: str) -> bool:
    # The user's own operation may have any name.
    ours = type(node.op).__module__.startswith("keras.")
    return ours and isinstance(node.op, keras.Operation) and type(node.op).__name__ == kind


def is_convolution(node: Node) -> bool:
    """Tell whether a node is a convolution whose filters may stand in any order."""
    layer = node.op
    plain = type(layer) in (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    if not plain or layer.data_format != "channels_last" or getattr(layer, "groups", 1) != 1:
        return False
    # What looks at all channels at once might look at their order.
    return is_elementwise(layer.activation)


def reordered(producer: Node, source: Value, order: Array) -> Value:
    """Add a convolution with its filters in another order: number `order[i]` comes `i`th."""
    layer: Any = producer.op
    kernel, bias = weights_of(layer)
    axis = 2 if isinstance(layer, keras.layers.Conv2DTranspose) else 3
    moved = None if bias is None else bias[order]
    return rebuilt(layer, producer.name, source, kernel.take(order, axis), moved, layer.activation)


def _forms(name: str, source: Value, groups: int, order: Array) -> tuple[Form, ...]:
    _, height, width, channels = source.shape

    def build(boundary: Sequence[Value]) -> Value:
        kernel = np.eye(channels)[:, order]  # column j has its 1 where channel j comes from
        return convolution(name, boundary[0], kernel[None, None], None)

    reshape = CostedOp("RESHAPE", height, width, channels, channels)
    turned = CostedOp(
        "TRANSPOSE", height * width * channels, 1, 1, 1, stride=min(groups, channels // groups)
    )
    permuted = CostedOp("CONV_2D", height, width, channels, channels)
    return (
        Form("permutation", build, ops=(permuted,)),
        Form("transpose", ops=(reshape, turned, reshape), only=Delegate.XNNPACK),
    )

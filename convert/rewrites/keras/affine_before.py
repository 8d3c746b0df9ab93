"""A normalization, or what else scales and shifts channels, into the convolution behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import convolution, depthwise, pad
from portrait_tflite.convert.rewrites.keras.affine import ChannelAffine, affine_of
from portrait_tflite.convert.rewrites.keras.border import (
    Pads,
    beyond_range,
    border_ops,
    constant_border,
)
from portrait_tflite.convert.rewrites.keras.frame import extent, same_side
from portrait_tflite.convert.rewrites.keras.site import Array, Form, Refusal, Site, Uses, single

_CONSUMERS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


@dataclass(frozen=True)
class _Chain:
    """What lies before a convolution: `source` → affine layers → explicit padding.

    Attributes:
        layer: Name of the affine layer next to the convolution.
        pads: Of a ZeroPadding2D layer.
    """

    layer: str
    source: Value
    affine: ChannelAffine
    pads: Pads


class FoldAffineBefore:
    """Folds a batch normalization, rescaling or normalization into the convolution behind it.

    Given:  x → BatchNormalization(s, t) → Conv2D(W, b) → y
    Result: x → Conv2D(W · s, b + Σ W · t) → y

    The same for depthwise and separable convolutions, the latter laid open, for several such layers
    in a row and with a ZeroPadding2D in between. Where zeros are padded behind a shift, the border
    before it is `v = −t / s`, since `s · v + t = 0`:

    Result: x → CONCATENATION(v, x, v), rows then columns → Conv2D(W · s, b + Σ W · t, VALID) → y

    unless `v` lies so far from what x holds that int8 would lose precision; then, or where that
    is cheaper, a 1×1 depthwise convolution does the scaling.
    """

    name = "fold_affine_before"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        consumer = value.node
        if type(consumer.op) not in _CONSUMERS or getattr(consumer.op, "groups", 1) != 1:
            return None
        chain = _chain(consumer.inputs[0], uses)
        if not isinstance(chain, _Chain) or consumer.op.data_format != "channels_last":
            return chain if isinstance(chain, Refusal) else None
        return Site(
            layer=chain.layer,
            root=value,
            boundary=(chain.source,),
            forms=_forms(consumer, chain),
            reason=f"folded into {consumer.name}",
        )


def _chain(behind: Value, uses: Uses) -> _Chain | Refusal | None:
    """Look for affine layers that only this convolution needs."""
    pads: Pads = ((0, 0), (0, 0))
    value = behind
    if type(value.node.op) is keras.layers.ZeroPadding2D and uses[value] == 1:
        pads = value.node.op.padding
        value = value.node.inputs[0]
    layer, affine = value.node.name, affine_of(value.node)
    if affine is None:
        return None
    # The normalized tensor is needed by somebody else too.
    if uses[value] > 1:
        return Refusal(layer, "its output is also used elsewhere")
    source = value.node.inputs[0]
    while uses[source] == 1 and (earlier := affine_of(source.node)):
        affine, source = affine.after(earlier), source.node.inputs[0]
    return _Chain(layer, source, affine, pads)


def _forms(consumer: Node, chain: _Chain) -> tuple[Form, ...]:
    affine, pads = chain.affine, _all_pads(consumer, chain)
    if not np.any(pads) or not np.any(affine.shift):
        return single("folded", lambda boundary: _folded(consumer, boundary[0], chain))
    height, width, channels = chain.source.shape[1:]
    scaled = Form(
        "depthwise",
        lambda boundary: _kept(consumer, boundary[0], chain),
        ops=(CostedOp("DEPTHWISE_CONV_2D", height, width, channels, channels),),
    )
    # A channel that is not looked at has the shift everywhere but in the border.
    if np.any((affine.scale == 0) & (affine.shift != 0)):
        return (scaled,)
    numbers = np.divide(
        -affine.shift, affine.scale, out=np.zeros(channels), where=affine.shift != 0
    )
    framed = Form(
        "constant_border",
        lambda boundary: _framed(consumer, boundary[0], affine, pads, numbers),
        ops=border_ops(chain.source, pads),
        unfit=beyond_range(numbers),
    )
    return framed, scaled


def _folded(consumer: Node, source: Value, chain: _Chain) -> Value:
    """Add the convolution with the affine layers in it, its padding as it was."""
    padded = pad(f"{consumer.name}_padding", source, *chain.pads)
    return _convolved(consumer, padded, chain.affine, consumer.op.padding)


def _framed(
    consumer: Node, source: Value, affine: ChannelAffine, pads: Pads, numbers: Array
) -> Value:
    framed = constant_border(consumer.name, source, pads, numbers)
    return _convolved(consumer, framed, affine, "valid")


def _kept(consumer: Node, source: Value, chain: _Chain) -> Value:
    """Add the affine layers as one depthwise convolution, and what followed."""
    scaled = as_depthwise(chain.layer, source, chain.affine)
    padded = pad(f"{consumer.name}_padding", scaled, *chain.pads)
    return apply_op(consumer.name, consumer.op, padded)


def as_depthwise(name: str, source: Value, affine: ChannelAffine) -> Value:
    """Add a 1×1 depthwise convolution that scales and shifts the channels."""
    return depthwise(name, source, affine.scale[None, None, :, None], affine.shift)


def _convolved(consumer: Node, source: Value, affine: ChannelAffine, padding: str) -> Value:
    """Add the convolution of `affine(source)`; the shift counts at every position."""
    layer = consumer.op
    # kernel: [kh, kw, in, out], of a depthwise one [kh, kw, in, multiplier]
    kernel, *others = (np.asarray(weight, np.float64) for weight in layer.get_weights())
    moved = np.einsum("hwio,i->io", kernel, affine.shift)
    shape = {
        "strides": layer.strides,
        "padding": padding,
        "dilation": layer.dilation_rate,
    }
    add: Callable[..., Value] = convolution
    if type(layer) is keras.layers.Conv2D:
        moved = moved.sum(axis=0)
    else:
        add, moved = depthwise, moved.reshape(-1)
    scaled = kernel * affine.scale[:, None]
    if type(layer) is keras.layers.SeparableConv2D:
        bias = moved if np.any(moved) else None
        value = add(f"{consumer.name}_depthwise", source, scaled, bias, **shape)
        return convolution(consumer.name, value, *_pair(others), activation=layer.activation)
    bias = others[0] + moved if others else moved if np.any(moved) else None
    return add(consumer.name, source, scaled, bias, activation=layer.activation, **shape)


def _pair(weights: list[Array]) -> tuple[Array, Array | None]:
    return weights[0], weights[1] if len(weights) > 1 else None


def _all_pads(consumer: Node, chain: _Chain) -> Pads:
    """Return how many zeros lie around the affine layers' output."""
    layer = consumer.op
    rows, columns = (
        _side(
            chain.pads[axis],
            chain.source.shape[axis + 1],
            extent(int(layer.kernel_size[axis]), int(layer.dilation_rate[axis])),
            int(layer.strides[axis]),
            same=layer.padding == "same",
        )
        for axis in (0, 1)
    )
    return rows, columns


def _side(
    explicit: tuple[int, int], size: int, reach: int, stride: int, *, same: bool
) -> tuple[int, int]:
    """Add TensorFlow's SAME padding to an explicit one, along one axis."""
    before, behind = same_side(size + sum(explicit), reach, stride) if same else (0, 0)
    return explicit[0] + before, explicit[1] + behind

"""Channel counts as multiples of 8, which a phone's kernels compute anyway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Node, Value, apply_op, as_arrays, evaluate
from portrait_tflite.convert.rewrites.keras.added_layers import (
    convolution,
    is_elementwise,
    rebuilt,
    weights_of,
)
from portrait_tflite.convert.rewrites.keras.least_squares import Window, gather_equations
from portrait_tflite.convert.rewrites.keras.site import (
    Activations,
    Array,
    Build,
    Form,
    Refusal,
    Site,
    Uses,
)
from portrait_tflite.vocabulary import Approximation

_MULTIPLE = 8
_MOST_DROPPED = 0.2  # of the channels
# Layers without weights that look at each channel alone.
_PER_CHANNEL = (
    keras.layers.ReLU,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.UpSampling2D,
    keras.layers.ZeroPadding2D,
)


@dataclass(frozen=True)
class RoundChannels:
    """Drops the few channels between two convolutions that are more than a multiple of 8.

    Given:  x → Conv2D(20) → ReLU → DepthwiseConv2D → Conv2D → y
    Result: x → Conv2D(16) → ReLU → DepthwiseConv2D → Conv2D → y                form `pruned`

    Another function, for `--rewrite channels8` only: the channels that matter least go, and the
    last kernel is fitted anew by least squares (He et al. 2017, Channel Pruning). Going up to the
    next multiple would be the same function, and saves nothing by the cost table, in whose kernels
    those channels are computed already.

    Attributes:
        name: What reports and plans call it.
        second: Whether it takes every other link of a chain of convolutions, beginning with the
            second one. Links next to each other share a convolution, so that each has its turn.
    """

    name: str = "round_channels"
    second: bool = False

    approximations = frozenset({Approximation.CHANNELS8})
    exact = False

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        link = _link(value.node, uses)
        if link is None or _links_before(link.producer, uses) % 2 != self.second:
            return None
        count = int(link.producer.op.filters)
        rounded = count // _MULTIPLE * _MULTIPLE
        if rounded == count or count - rounded > _MOST_DROPPED * count:
            return None
        source = link.producer.inputs[0]
        pruned = Form(
            "pruned",
            approximation=Approximation.CHANNELS8,
            ops=link.ops(rounded),
            fit=lambda activations: _fitted(link, rounded, activations),
        )
        return Site(
            layer=link.producer.name,
            root=value,
            boundary=(source,),
            forms=(pruned, Form("as_given", ops=link.ops(count))),
            reason=f"{count} channels → {rounded}",
        )


@dataclass(frozen=True, eq=False)
class _Link:
    """Two convolutions, with layers between them that look at each channel alone."""

    producer: Node
    between: tuple[Node, ...]
    consumer: Node

    def ops(self, channels: int) -> tuple[CostedOp, ...]:
        """List the ops whose cost depends on the channels between."""
        depthwise = [node for node in self.between if node.op.weights]
        return (
            _op("CONV_2D", self.producer, self.producer.inputs[0].shape[3], channels),
            *(_op("DEPTHWISE_CONV_2D", node, channels, channels) for node in depthwise),
            _op("CONV_2D", self.consumer, channels, int(self.consumer.op.filters)),
        )


def _op(kind: str, node: Node, channels_in: int, channels_out: int) -> CostedOp:
    height, width = node.output.shape[1:3]
    kernel, stride = tuple(node.op.kernel_size), int(node.op.strides[0])
    return CostedOp(kind, height, width, channels_in, channels_out, kernel, stride)


def _link(consumer: Node, uses: Uses) -> _Link | None:
    """Find the convolution before a convolution."""
    if not _is_plain(consumer):
        return None
    between: list[Node] = []
    value = consumer.inputs[0]
    # Whatever else reads a tensor needs all of its channels.
    while uses[value] == 1 and _is_per_channel(value.node):
        between.insert(0, value.node)
        value = value.node.inputs[0]
    producer = value.node
    if uses[value] > 1 or not _is_plain(producer) or not is_elementwise(producer.op.activation):
        return None
    return _Link(producer, tuple(between), consumer)


def _links_before(node: Node, uses: Uses) -> int:
    link = _link(node, uses)
    return 0 if link is None else 1 + _links_before(link.producer, uses)


def _is_plain(node: Node) -> bool:
    layer = node.op
    return (
        type(layer) is keras.layers.Conv2D
        and layer.groups == 1
        and tuple(layer.dilation_rate) == (1, 1)
        and layer.data_format == "channels_last"
    )


def _is_per_channel(node: Node) -> bool:
    layer = node.op
    if type(layer) is keras.layers.DepthwiseConv2D:
        return bool(layer.depth_multiplier == 1 and is_elementwise(layer.activation))
    if isinstance(layer, keras.layers.Activation):
        return is_elementwise(layer.activation)
    return type(layer) in _PER_CHANNEL


def _fitted(link: _Link, rounded: int, activations: Activations) -> Build:
    """Choose the channels that stay and fit the last kernel to what it gave before."""
    layer = link.consumer.op
    kernel, bias = weights_of(layer)
    samples = [(held, _convolved(held, layer, kernel, bias)) for held in _held(link, activations)]
    spread = np.mean([held.std(axis=(0, 1)) for held, _ in samples], axis=0)
    weight = spread * np.sqrt(np.square(kernel).sum(axis=(0, 1, 3)))
    kept = np.sort(np.argsort(-weight, kind="stable")[:rounded])
    window = Window(tuple(layer.kernel_size), tuple(layer.strides), layer.padding)
    left = ((held[..., kept], target) for held, target in samples)
    fitted, shift = gather_equations(window, left, len(samples)).solve()
    return lambda boundary: _pruned(link, boundary, kept, fitted, shift)


def _held(link: _Link, activations: Activations) -> Iterator[Array]:
    """Yield what the last convolution reads, per picture `[h, w, channels]`."""
    source = link.producer.inputs[0]
    for image in activations.inputs[0]:
        yield as_arrays(evaluate([link.consumer.inputs[0]], {source: image[None]}))[0][0]


def _convolved(held: Array, layer: Any, kernel: Array, bias: Array | None) -> Array:
    """Return the layer's linear output `[h, w, out]`."""
    linear = keras.ops.conv(held[None], kernel, tuple(layer.strides), layer.padding)
    array: Array = as_arrays([linear])[0][0]
    return array if bias is None else array + bias


def _pruned(
    link: _Link, boundary: Sequence[Value], kept: Array, fitted: Array, shift: Array
) -> Value:
    value = boundary[0]
    for node in (link.producer, *link.between):
        if not node.op.weights:
            value = apply_op(node.name, node.op, value)
            continue
        kernel, bias = weights_of(node.op)
        depthwise = type(node.op) is keras.layers.DepthwiseConv2D
        part = kernel[:, :, kept] if depthwise else kernel[..., kept]
        few = None if bias is None else bias[kept]
        value = rebuilt(node.op, node.name, value, part, few, node.op.activation)
    layer = link.consumer.op
    return convolution(
        link.consumer.name,
        value,
        fitted,
        shift,
        strides=layer.strides,
        padding=layer.padding,
        activation=layer.activation,
    )

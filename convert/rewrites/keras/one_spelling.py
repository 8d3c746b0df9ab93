"""One spelling for what can be written in several ways, so that the other rewrites see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.keras.site import (
    Build,
    Refusal,
    Site,
    TakeChannel,
    Uses,
    single,
)

_Layer = Any
_FUNCTIONS: dict[str, Any] = {
    "Relu": keras.activations.relu,
    "Relu6": keras.activations.relu6,
    "Sigmoid": keras.activations.sigmoid,
    "Tanh": keras.activations.tanh,
    "Silu": keras.activations.silu,
    "HardSigmoid": keras.activations.hard_sigmoid,
    "HardSilu": keras.activations.hard_silu,
    "Selu": keras.activations.selu,
    "Softplus": keras.activations.softplus,
}


class OneSpelling:
    """Makes `keras.ops` and operators on tensors the layers that do the same.

    Given:  x → keras.ops.relu → y
    Result: x → Activation(relu) → y

    Also concatenate, add, pad, image.resize, softmax, clip to [0, 6], maximum with 0, slices of
    rows, columns and of one channel, broadcasts of a number per channel; and `Resizing` by whole
    factors, which is `UpSampling2D`.
    """

    name = "one_spelling"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        build = _spelled(node)
        if build is None:
            return None
        return Site(
            layer=node.name,
            root=value,
            boundary=node.inputs,
            forms=single("layer", build),
            reason="so that other rewrites see it as the layer that it is",
        )


def _spelled(node: Node) -> Build | None:
    op = node.op
    if isinstance(op, keras.layers.Resizing):
        layer = _upsampling(node, (op.height, op.width))
    # A layer is itself; functions of ours and of the user's are nobody's business.
    elif isinstance(op, keras.layers.Layer) or not isinstance(op, keras.Operation):
        return None
    else:
        return _operation(node)
    return None if layer is None else _call_of(node.name, layer)


def _operation(node: Node) -> Build | None:
    kind = type(node.op).__name__
    # The user's own operation may have any name.
    if not type(node.op).__module__.startswith("keras."):
        return None
    if kind == "GetItem":
        return _slice(node)
    if kind in _FUNCTIONS:
        layer = keras.layers.Activation(_FUNCTIONS[kind], name=node.name)
    elif kind in _READERS:
        layer = _READERS[kind](node)
    else:
        return None
    if layer is None:
        return None
    several = isinstance(layer, keras.layers.Add | keras.layers.Concatenate)
    return _call_of(node.name, layer, several=several)


def _call_of(name: str, layer: _Layer, *, several: bool = False) -> Build:
    def build(boundary: Sequence[Value]) -> Value:
        return apply_op(name, layer, list(boundary) if several else boundary[0])

    return build


def _relu(node: Node) -> _Layer | None:
    op = node.op  # what `keras.activations.relu` makes of a tensor
    return keras.layers.ReLU(op.max_value, op.negative_slope, op.threshold, name=node.name)


def _leaky_relu(node: Node) -> _Layer | None:
    return keras.layers.LeakyReLU(node.op.negative_slope, name=node.name)


def _elu(node: Node) -> _Layer | None:
    return keras.layers.ELU(node.op.alpha, name=node.name)


def _softmax(node: Node) -> _Layer | None:
    if node.op.axis not in (-1, len(node.output.shape) - 1):
        return None
    return keras.layers.Activation("softmax", name=node.name)


def _clip(node: Node) -> _Layer | None:
    if (node.op.x_min, node.op.x_max) != (0, 6):
        return None
    return keras.layers.Activation("relu6", name=node.name)


def _maximum(node: Node) -> _Layer | None:
    if len(node.inputs) != 1 or not any(_is_zero(item) for item in node.args):
        return None
    return keras.layers.Activation("relu", name=node.name)


def _is_zero(item: Any) -> bool:
    return isinstance(item, int | float) and item == 0


def _add(node: Node) -> _Layer | None:
    if len(node.inputs) != 2 or node.inputs[0].shape != node.inputs[1].shape:
        return None
    return keras.layers.Add(name=node.name)


def _concatenate(node: Node) -> _Layer | None:
    return keras.layers.Concatenate(node.op.axis, name=node.name)


def _pad(node: Node) -> _Layer | None:
    widths = node.op.pad_width
    constant = node.kwargs.get("constant_values")
    zeros = node.op.mode == "constant" and not constant and len(node.inputs) == 1
    if not zeros or len(widths) != 4 or any((*widths[0], *widths[3])):
        return None
    return keras.layers.ZeroPadding2D((tuple(widths[1]), tuple(widths[2])), name=node.name)


def _resize(node: Node) -> _Layer | None:
    op = node.op
    if op.data_format != "channels_last":
        return None
    return _upsampling(node, op.size)


def _upsampling(node: Node, size: Sequence[int]) -> _Layer | None:
    """Return the UpSampling2D that a resize to `size` is, or None."""
    op = node.op
    other = getattr(op, "antialias", False) or op.crop_to_aspect_ratio or op.pad_to_aspect_ratio
    source = node.inputs[0].shape
    if other or len(source) != 4 or op.interpolation not in ("nearest", "bilinear"):
        return None
    if any(after % before for after, before in zip(size, source[1:3], strict=True)):
        return None
    factors = (size[0] // source[1], size[1] // source[2])
    return keras.layers.UpSampling2D(factors, interpolation=op.interpolation, name=node.name)


def _broadcast(node: Node) -> _Layer | None:
    """Read one number per channel for every position as a resize, which every delegate has."""
    source, target = node.inputs[0].shape, node.output.shape
    if len(source) != 4 or source[1:3] != (1, 1) or source[3] != target[3] or len(target) != 4:
        return None
    return keras.layers.UpSampling2D(target[1:3], interpolation="bilinear", name=node.name)


def _slice(node: Node) -> Build | None:
    """Read `x[:, a:b, c:d]` as a cropping, `x[..., k:k + 1]` and `x[..., k]` as one channel."""
    source = node.inputs[0].shape
    key = node.args[1] if len(node.args) > 1 else None
    if len(source) != 4 or not isinstance(key, tuple) or len(node.inputs) != 1:
        return None
    number = key[-1]
    if isinstance(number, int):
        key = (*key[:-1], slice(number, number + 1 or None))
    cuts = _cuts(key, source)
    if cuts is None or cuts[0] != (0, 0):
        return None
    if isinstance(number, int):
        whole = cuts[1] == cuts[2] == (0, 0) and len(node.output.shape) == 3
        return _channel_alone(node, cuts[3][0]) if whole else None
    if cuts[3] == (0, 0):
        layer = keras.layers.Cropping2D((cuts[1], cuts[2]), name=node.name)
        return _call_of(node.name, layer)
    one_channel = sum(cuts[3]) == source[3] - 1
    if one_channel and cuts[1] == cuts[2] == (0, 0):
        return _call_of(node.name, TakeChannel(cuts[3][0]))
    return None


def _channel_alone(node: Node, channel: int) -> Build:
    """Take a channel and drop its dimension."""
    layer = keras.layers.Reshape(node.output.shape[1:], name=node.name)

    def build(boundary: Sequence[Value]) -> Value:
        taken = apply_op(f"{node.name}_channel", TakeChannel(channel), boundary[0])
        return apply_op(node.name, layer, taken)

    return build


def _cuts(key: tuple[Any, ...], shape: Sequence[int]) -> list[tuple[int, int]] | None:
    """Return how much a key cuts from the begin and the end of each dimension."""
    if Ellipsis in [item for item in key if not isinstance(item, slice)]:
        at = next(i for i, item in enumerate(key) if item is Ellipsis)
        key = (*key[:at], *[slice(None)] * (len(shape) - len(key) + 1), *key[at + 1 :])
    key = (*key, *[slice(None)] * (len(shape) - len(key)))
    if not all(isinstance(item, slice) for item in key):
        return None
    ranges = [range(*item.indices(size)) for item, size in zip(key, shape, strict=True)]
    if any(found.step != 1 or not found for found in ranges):
        return None
    return [(r.start, size - r.stop) for r, size in zip(ranges, shape, strict=True)]


_READERS: dict[str, Callable[[Node], _Layer | None]] = {
    "ReLU": _relu,
    "LeakyRelu": _leaky_relu,
    "Elu": _elu,
    "Softmax": _softmax,
    "Clip": _clip,
    "Maximum": _maximum,
    "Add": _add,
    "BroadcastTo": _broadcast,
    "Concatenate": _concatenate,
    "Pad": _pad,
    "Resize": _resize,
}

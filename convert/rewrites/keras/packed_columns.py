"""Neighbouring columns as channels: convolutions of few channels fill the kernels' tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Node, Value, apply_op
from portrait_tflite.convert.rewrites.column_packs import (
    FEWEST_POSITIONS,
    TILE,
    pack_sizes,
    packed_kernel,
)
from portrait_tflite.convert.rewrites.keras.added_layers import (
    convolution,
    depthwise,
    is_elementwise,
    is_linear,
    weights_of,
)
from portrait_tflite.convert.rewrites.keras.site import Array, Form, Site, Uses
from portrait_tflite.vocabulary import Delegate

Add = Callable[[Value], Value]


@dataclass(frozen=True)
class ColumnsAsChannels:
    """Reads the memory of `[n, h, w, c]` as other columns and channels, or back."""

    width: int
    channels: int

    def __call__(self, x: Any) -> Any:
        return keras.ops.reshape(x, (x.shape[0], x.shape[1], self.width, self.channels))


@dataclass(frozen=True, eq=False)
class _Dense:
    """A convolution of stride 1 that pads to the same size.

    Attributes:
        kernel: `[kh, kw, in, out]`.
        bias: `[out]`.
    """

    kernel: Array
    bias: Array | None
    activation: Any

    def packed(self, count: int) -> _Dense:
        """Return the convolution over packs of `count` columns."""
        bias = None if self.bias is None else np.tile(self.bias, count)
        return _Dense(packed_kernel(self.kernel, count), bias, self.activation)

    def ops(self, height: int, width: int) -> tuple[CostedOp, ...]:
        kernel_height, kernel_width, channels, filters = self.kernel.shape
        size = (kernel_height, kernel_width)
        return (CostedOp("CONV_2D", height, width, channels, filters, size),)

    def add(self, name: str, source: Value) -> Value:
        return convolution(
            name, source, self.kernel, self.bias, padding="same", activation=self.activation
        )


@dataclass(frozen=True, eq=False)
class _Spatial:
    """A depthwise convolution of stride 1 before a pointwise one, linear.

    Attributes:
        source: Its input.
        kernel: `[kh, kw, in, multiplier]`.
        bias: `[in · multiplier]`.
        add: Adds it by itself.
    """

    source: Value
    kernel: Array
    bias: Array | None
    add: Add

    def merged(self, pointwise: _Dense) -> _Dense:
        """Return both as one convolution."""
        channels, multiplier = self.kernel.shape[2:]
        mixing = pointwise.kernel[0, 0]  # [in · multiplier, out]
        kernel = np.einsum("hwim,imo->hwio", self.kernel, mixing.reshape(channels, multiplier, -1))
        bias = pointwise.bias
        if self.bias is not None:
            moved = self.bias @ mixing
            bias = moved if bias is None else bias + moved
        return _Dense(kernel, bias, pointwise.activation)

    def op(self, height: int, width: int) -> CostedOp:
        kernel_height, kernel_width, channels, multiplier = self.kernel.shape
        filters = channels * multiplier
        size = (kernel_height, kernel_width)
        return CostedOp("DEPTHWISE_CONV_2D", height, width, channels, filters, size)


@dataclass(frozen=True)
class PackedColumns:
    """Computes a convolution of few channels on several columns at once.

    Given:  x [1, h, w, c] → Conv2D(k×k, SAME) → y [1, h, w, d]
    Result: x → RESHAPE [1, h, w/p, p·c] → Conv2D(k×k', SAME, zeros between) → RESHAPE → y

    A matrix kernel takes as long for 3 channels as for 16, and a reshape is a plain copy. Exact,
    in int8 the same bytes: the weights are the same ones, with the same scale per channel, and
    zeros. A separable convolution of few channels may become one dense convolution besides.

    Attributes:
        fewest: Positions below which too little is saved for two more ops.
    """

    fewest: int = FEWEST_POSITIONS
    name: str = "packed_columns"

    def match(self, value: Value, uses: Uses) -> Site | None:
        found = _parts(value.node, uses)
        if found is None:
            return None
        dense, spatial = found
        channels, filters = dense.kernel.shape[2:]
        positions = value.shape[1] * value.shape[2]
        if filters >= TILE or channels > TILE or positions < self.fewest:
            return None
        return Site(
            layer=value.node.name,
            root=value,
            boundary=(spatial.source,) if spatial else value.node.inputs,
            forms=tuple(_forms(value, dense, spatial)),
            reason=f"{filters} channels leave most of a kernel's {TILE} idle",
        )


def _parts(node: Node, uses: Uses) -> tuple[_Dense, _Spatial | None] | None:
    """Read a convolution, and the depthwise one before it that nobody else needs."""
    layer = node.op
    if type(layer) is keras.layers.SeparableConv2D and _is_plain(layer):
        kernel, pointwise, *bias = (np.asarray(weight) for weight in layer.get_weights())
        spatial = _Spatial(
            node.inputs[0],
            kernel,
            None,
            lambda source: depthwise(
                f"{node.name}_depthwise", source, kernel, None, padding="same"
            ),
        )
        return _Dense(pointwise, bias[0] if bias else None, layer.activation), spatial
    if type(layer) is not keras.layers.Conv2D or not _is_plain(layer):
        return None
    dense = _Dense(*weights_of(layer), layer.activation)
    before = node.inputs[0].node
    mergeable = (
        type(before.op) is keras.layers.DepthwiseConv2D
        and _is_plain(before.op)
        and is_linear(before.op.activation)
        and uses[node.inputs[0]] == 1
        and dense.kernel.shape[:2] == (1, 1)
    )
    if not mergeable:
        return dense, None
    return dense, _Spatial(
        before.inputs[0],
        *weights_of(before.op),
        lambda source: apply_op(before.name, before.op, source),
    )


def _is_plain(layer: Any) -> bool:
    """Tell whether a layer convolves every position and looks at each number alone then."""
    same = layer.padding == "same" or tuple(layer.kernel_size) == (1, 1)
    steps = {*layer.strides, *layer.dilation_rate, getattr(layer, "groups", 1)}
    channels_last = layer.data_format == "channels_last"
    return same and channels_last and steps == {1} and is_elementwise(layer.activation)


def _forms(value: Value, dense: _Dense, spatial: _Spatial | None) -> Iterator[Form]:
    height, width = value.shape[1:3]
    before = (spatial.op(height, width),) if spatial else ()
    yield Form("pixels", ops=(*before, *dense.ops(height, width)))
    most = max(*dense.kernel.shape[2:], spatial.kernel.shape[2] if spatial else 0)
    packs = pack_sizes(width, most)
    for count in packs:
        ops, build = _packed(value, dense, count)
        first = spatial.add if spatial else _unchanged
        yield _form(f"packed_{count}", (*before, *ops), first, build)
    if spatial:
        merged = spatial.merged(dense)
        for count in (1, *packs):
            ops, build = _packed(value, merged, count)
            yield _form(f"merged_{count}", ops, _unchanged, build)


def _form(name: str, ops: tuple[CostedOp, ...], first: Add, then: Add) -> Form:
    return Form(name, lambda boundary: then(first(boundary[0])), ops=ops, only=Delegate.XNNPACK)


def _unchanged(source: Value) -> Value:
    return source


def _packed(value: Value, dense: _Dense, count: int) -> tuple[tuple[CostedOp, ...], Add]:
    """Return what a convolution over packs of columns becomes, and what adds it."""
    name, (height, width, filters) = value.node.name, value.shape[1:]
    if count == 1:
        return dense.ops(height, width), lambda source: dense.add(name, source)
    packed, columns = dense.packed(count), width // count
    channels, packed_filters = packed.kernel.shape[2:]

    def add(source: Value) -> Value:
        packs = apply_op(f"{name}_packs", ColumnsAsChannels(columns, channels), source)
        result = packed.add(name, packs)
        return apply_op(f"{name}_columns", ColumnsAsChannels(width, filters), result)

    ops = (
        CostedOp("RESHAPE", height, columns, channels, channels),
        *packed.ops(height, columns),
        CostedOp("RESHAPE", height, columns, packed_filters, packed_filters),
    )
    return ops, add

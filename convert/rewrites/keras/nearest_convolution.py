"""Nearest-neighbour upsampling merged with the convolution behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Node, Value
from portrait_tflite.convert.rewrites.keras.added_layers import convolution, weights_of
from portrait_tflite.convert.rewrites.keras.nearest_upsampling import copy_ops, named, resize_op
from portrait_tflite.convert.rewrites.keras.phase_forms import (
    UpsamplingLayer,
    joint_form,
    split_forms,
)
from portrait_tflite.convert.rewrites.keras.site import (
    Array,
    Build,
    Form,
    Refusal,
    Site,
    Uses,
)
from portrait_tflite.convert.rewrites.keras.upsampling import Resize, resize_of, resized
from portrait_tflite.convert.rewrites.phases import Axis, nearest_axis, shortest_nearest_axis

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


class NearestUpsamplingConvolution:
    """Computes a convolution behind nearest-neighbour upsampling at the low resolution.

    Given:  x → UpSampling2D(f×g, nearest) → Conv2D(k×l, any padding and dilation) → y
    Result: x → PAD → CONV_2D(f·g·out) → DEPTH_TO_SPACE(f) → cut → y            form `merged`
            x → f times CONV_2D(g·out) → rows in turn → y                       form `rows`
            x → f·g times CONV_2D(out) → beside each other, rows in turn → y    form `phases`
            x → CONV_2D → RESIZE_NEAREST_NEIGHBOR → y      form `conv_first`, where phases are alike

    Exact: taps of the convolution that read the same source pixel are added up. A depthwise
    convolution has the form `phases` alone, and so has a separable one, its 1×1 convolution behind.
    """

    name = "nearest_upsampling_convolution"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        if type(node.op) not in _CONVOLUTIONS:
            return None
        upsampling = node.inputs[0].node
        resize = resize_of(upsampling)
        if resize is None or resize.interpolation != "nearest":
            return None
        factors = resize.factors
        if factors is None:
            return Refusal(node.name, f"{upsampling.name} enlarges by no whole factors")
        # The upsampled tensor is needed by somebody else, so nothing is saved.
        if uses[node.inputs[0]] > 1:
            return Refusal(node.name, f"the output of {upsampling.name} is also used elsewhere")
        if reason := _unfit(node.op):
            return Refusal(node.name, reason)
        return Site(
            layer=node.name,
            root=value,
            boundary=(resize.source,),
            forms=_forms(node, resize, factors),
            reason=f"merged with {upsampling.name}, ×{named(factors)}",
        )


def _unfit(layer: Any) -> str:
    """Say why a convolution cannot be merged, or ""."""
    if tuple(layer.strides) != (1, 1):
        return (
            f"strides {tuple(layer.strides)}: it drops positions, which ones depends on the phase"
        )
    if layer.data_format != "channels_last":
        return "channels come first"
    if getattr(layer, "groups", 1) > 1:
        return f"{layer.groups} groups"
    if getattr(layer, "depth_multiplier", 1) > 1:
        return f"depth multiplier {layer.depth_multiplier}"
    return ""


def _forms(node: Node, resize: Resize, factors: tuple[int, int]) -> tuple[Form, ...]:
    layer, source = node.op, resize.source
    rows, columns = _axes(layer, source, factors, nearest_axis)
    kept = Form(
        "upsampling_conv",
        ops=(*copy_ops(source, factors), *_convolution_ops(layer, node.output, source)),
    )
    if isinstance(layer, keras.layers.SeparableConv2D):
        return *_separable_forms(node, source, rows, columns), kept
    depth = source.shape[3]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        upsampling = UpsamplingLayer(
            node.name, depth, depth, lambda: weights_of(layer), layer.activation, depthwise=True
        )
        return *split_forms(upsampling, rows, columns, columns), kept
    upsampling = UpsamplingLayer(
        node.name, depth, int(layer.filters), lambda: weights_of(layer), layer.activation
    )
    joint = _axes(layer, source, factors, shortest_nearest_axis)
    return (
        joint_form("merged", upsampling, *joint),
        *split_forms(upsampling, rows, columns, joint[1]),
        *_conv_first_forms(upsampling, rows, columns),
        kept,
    )


def _conv_first_forms(upsampling: UpsamplingLayer, rows: Axis, columns: Axis) -> tuple[Form, ...]:
    """The convolution before a nearest resize, where every position of a cell reads the same."""
    if not (rows.alike and columns.alike):
        return ()
    row, column = (replace(axis.split()[0], length=axis.cells) for axis in (rows, columns))
    small = joint_form("", upsampling, row, column)
    height, width = rows.length, columns.length

    def build(boundary: Sequence[Value]) -> Value:
        assert small.build is not None
        up = f"{upsampling.name}_up"
        return resized(up, small.build(boundary), "nearest", (height, width))

    resize = resize_op((height, width), upsampling.channels_out)
    return (Form("conv_first", build, ops=(*small.ops, resize)),)


def _separable_forms(node: Node, source: Value, rows: Axis, columns: Axis) -> tuple[Form, ...]:
    """Phases of the depthwise half; the 1×1 convolution reads the picture that they make."""
    layer, depth = node.op, source.shape[3]

    def spatial() -> tuple[Array, None]:
        return np.asarray(layer.get_weights()[0]), None

    half = UpsamplingLayer(f"{node.name}_depthwise", depth, depth, spatial, depthwise=True)
    forms = split_forms(half, rows, columns, columns)
    pointwise = _pointwise_op(layer, node.output)
    return tuple(
        replace(form, build=_then_pointwise(form, node), ops=(*form.ops, pointwise))
        for form in forms
    )


def _then_pointwise(form: Form, node: Node) -> Build:
    """Build a form of the depthwise half, then the 1×1 convolution."""

    def build(boundary: Sequence[Value]) -> Value:
        assert form.build is not None
        _, kernel, *bias = (np.asarray(weight) for weight in node.op.get_weights())
        spatial = form.build(boundary)
        bias_or_none = bias[0] if bias else None
        return convolution(node.name, spatial, kernel, bias_or_none, activation=node.op.activation)

    return build


def _pointwise_op(layer: Any, value: Value) -> CostedOp:
    height, width, depth = value.shape[1:]
    return CostedOp("CONV_2D", height, width, int(layer.pointwise_kernel.shape[2]), depth)


def _convolution_ops(layer: Any, value: Value, source: Value) -> tuple[CostedOp, ...]:
    """List what the convolution is where it stays behind the upsampling."""
    height, width, depth = value.shape[1:]
    depth_in, kernel = source.shape[3], tuple(layer.kernel_size)
    if isinstance(layer, keras.layers.Conv2D):
        return (CostedOp("CONV_2D", height, width, depth_in, depth, kernel),)
    spatial = CostedOp("DEPTHWISE_CONV_2D", height, width, depth_in, depth_in, kernel)
    if isinstance(layer, keras.layers.SeparableConv2D):
        return spatial, _pointwise_op(layer, value)
    return (spatial,)


def _axes(
    layer: Any, source: Value, factors: tuple[int, int], describe: Callable[..., Axis]
) -> tuple[Axis, Axis]:
    rows, columns = (
        describe(
            source.shape[axis],
            int(layer.kernel_size[axis - 1]),
            factors[axis - 1],
            layer.padding,
            int(layer.dilation_rate[axis - 1]),
        )
        for axis in (1, 2)
    )
    return rows, columns

"""Transposed convolutions as ordinary ones."""

from __future__ import annotations

from typing import Any

import keras

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.added_layers import weights_of
from portrait_tflite.convert.rewrites.keras.phase_forms import (
    UpsamplingLayer,
    joint_form,
    split_forms,
)
from portrait_tflite.convert.rewrites.keras.resize_fit import resize_forms
from portrait_tflite.convert.rewrites.keras.site import Array, Form, Refusal, Site, Uses
from portrait_tflite.convert.rewrites.phases import Axis, transposed_axis
from portrait_tflite.vocabulary import Approximation

_FUSED = (keras.activations.relu, keras.activations.relu6)


class TransposedConvolution:
    """Computes a transposed convolution at the low resolution.

    Given:  x → Conv2DTranspose(k×l, strides s×t, SAME or VALID, activation) → y
    Result: x → PAD → CONV_2D(s·t·out) → activation → DEPTH_TO_SPACE(s) → y    form `subpixel`
            x → s times CONV_2D(t·out) → rows in turn → y                      form `rows`
            x → s·t times CONV_2D(out) → beside each other, rows in turn → y   form `phases`
            x → CONV_2D → y                                      strides 1, form `convolution`

    Exact. An activation that looks at several channels stays behind the rearrangement. For strides
    that differ this is a TRANSPOSE, since DEPTH_TO_SPACE is square, or a RESHAPE alone where the
    stride of the rows is 1. Which costs less depends on kernel and channels: where k > s the one
    convolution multiplies by zeros; several have fewer channels each, which fill a kernel's tiles
    less well.
    """

    name = "transposed_convolution"
    approximations = frozenset({Approximation.RESIZE})

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        layer = node.op
        if type(layer) is not keras.layers.Conv2DTranspose:
            return None
        if layer.data_format != "channels_last":
            return Refusal(node.name, "channels come first")

        source = node.inputs[0]
        strides = tuple(layer.strides)
        return Site(
            layer=node.name,
            root=value,
            boundary=(source,),
            forms=(
                *_phase_forms(node.name, layer, source, value),
                Form("transpose_conv", ops=(_kept_op(layer, source, value),)),
                *_approximate_forms(node.name, layer, source),
            ),
            reason=(
                f"{layer.kernel_size[0]}×{layer.kernel_size[1]}, stride "
                + (f"{strides[0]}" if strides[0] == strides[1] else f"{strides[0]}×{strides[1]}")
            ),
        )


def _phase_forms(name: str, layer: Any, source: Value, value: Value) -> tuple[Form, ...]:
    upsampling = UpsamplingLayer(
        name, source.shape[3], int(layer.filters), lambda: _weights(layer), layer.activation
    )
    rows, columns = _axes(layer, source, value)
    if tuple(layer.strides) == (1, 1):
        return (joint_form("convolution", upsampling, rows, columns),)
    joint = joint_form("subpixel", upsampling, rows, columns)
    return joint, *split_forms(upsampling, rows, columns, columns)


def _kept_op(layer: Any, source: Value, value: Value) -> CostedOp:
    rows, columns = (int(stride) for stride in layer.strides)
    return CostedOp(
        kind="TRANSPOSE_CONV",
        height=value.shape[1],
        width=value.shape[2],
        channels_in=source.shape[3],
        channels_out=int(layer.filters),
        kernel=tuple(layer.kernel_size),
        stride=rows,
        stride_columns=columns if columns != rows else None,
        fused=layer.activation in _FUSED,
    )


def _approximate_forms(name: str, layer: Any, source: Value) -> tuple[Form, ...]:
    # A resize gives `stride` positions for each, the same in both directions.
    if layer.strides[0] != layer.strides[1] or layer.output_padding is not None:
        return ()
    return resize_forms(name, layer, source)


def _weights(layer: Any) -> tuple[Array, Array | None]:
    kernel, bias = weights_of(layer)
    return kernel.transpose(0, 1, 3, 2), bias  # Keras keeps [kh, kw, out, in]


def _axes(layer: Any, source: Value, value: Value) -> tuple[Axis, Axis]:
    rows, columns = (
        transposed_axis(
            source.shape[axis],
            int(layer.kernel_size[axis - 1]),
            int(layer.strides[axis - 1]),
            layer.padding,
            value.shape[axis],
        )
        for axis in (1, 2)
    )
    return rows, columns

"""Transposed convolutions as ordinary ones."""

from __future__ import annotations

from typing import Any

import keras

from portrait_tflite.convert.costed_op import CostedOp
from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.added_layers import is_linear, weights_of
from portrait_tflite.convert.rewrites.keras.phases import (
    Axis,
    phase_convolution,
    phase_ops,
    transposed_axis,
)
from portrait_tflite.convert.rewrites.keras.resize_fit import resize_forms
from portrait_tflite.convert.rewrites.keras.site import Form, Refusal, Site, Uses


class TransposedConvolution:
    """Computes a transposed convolution at the low resolution.

    Given:  x → Conv2DTranspose(k×k, stride s, SAME or VALID, activation) → y
    Result: x → PAD → CONV_2D(s²·out) → activation → DEPTH_TO_SPACE(s) → y     form `subpixel`
            x → CONV_2D → y                                         stride 1, form `convolution`

    Exact. Which costs less depends on the kernel: where k = s no tap is wasted; where k > s the
    phase convolution multiplies by zeros, and TRANSPOSE_CONV is cheaper on arm64.
    """

    name = "transposed_convolution"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        layer = node.op
        if type(layer) is not keras.layers.Conv2DTranspose:
            return None
        if layer.data_format != "channels_last":
            return Refusal(node.name, "channels come first")
        if layer.strides[0] != layer.strides[1]:
            return Refusal(node.name, f"strides {layer.strides} differ, depth-to-space is square")
        if layer.output_padding is not None:
            return Refusal(node.name, "output_padding is set")
        if layer.activation is keras.activations.softmax:
            return Refusal(node.name, "softmax is not element-wise")
        if tuple(layer.dilation_rate) != (1, 1):
            return Refusal(node.name, f"dilation {layer.dilation_rate}")

        source = node.inputs[0]
        stride = int(layer.strides[0])
        exact = Form(
            "convolution" if stride == 1 else "subpixel",
            lambda boundary: _as_phases(node.name, layer, boundary[0]),
            ops=phase_ops(_axes(layer, source), source.shape[3], int(layer.filters), stride),
        )
        kept = Form("transpose_conv", ops=(_kept_op(layer, source, value),))
        return Site(
            layer=node.name,
            root=value,
            boundary=(source,),
            forms=(exact, kept, *resize_forms(node.name, layer, source)),
            reason=f"{layer.kernel_size[0]}×{layer.kernel_size[1]}, stride {stride}",
        )


def _kept_op(layer: Any, source: Value, value: Value) -> CostedOp:
    return CostedOp(
        kind="TRANSPOSE_CONV",
        height=value.shape[1],
        width=value.shape[2],
        channels_in=source.shape[3],
        channels_out=int(layer.filters),
        kernel=tuple(layer.kernel_size),
        stride=int(layer.strides[0]),
        fused=not is_linear(layer.activation),
    )


def _as_phases(name: str, layer: Any, source: Value) -> Value:
    kernel, bias = weights_of(layer)
    stride = int(layer.strides[0])
    return phase_convolution(
        name,
        source,
        kernel.transpose(0, 1, 3, 2),  # Keras keeps [kh, kw, out, in]
        bias,
        _axes(layer, source),
        stride,
        layer.activation,
    )


def _axes(layer: Any, source: Value) -> tuple[Axis, Axis]:
    height, width = source.shape[1:3]
    rows, columns = layer.kernel_size
    stride = int(layer.strides[0])
    return (
        transposed_axis(height, rows, stride, layer.padding),
        transposed_axis(width, columns, stride, layer.padding),
    )

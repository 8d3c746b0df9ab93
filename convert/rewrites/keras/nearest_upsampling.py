"""Nearest-neighbour upsampling, which Keras lowers to rank-5 RESHAPE and TILE."""

from __future__ import annotations

from typing import Any

import keras

from portrait_tflite.convert.costed_op import CostedOp
from portrait_tflite.convert.graph import Value, apply_op
from portrait_tflite.convert.rewrites.keras.added_layers import depth_to_space, weights_of
from portrait_tflite.convert.rewrites.keras.phases import (
    Axis,
    nearest_axis,
    phase_convolution,
    phase_ops,
)
from portrait_tflite.convert.rewrites.keras.site import Form, Refusal, Site, Uses


class NearestUpsampling:
    """Repeats pixels by copying channels.

    Given:  x → UpSampling2D(2, nearest) → y
    Result: x → CONCATENATION(x, x, x, x) → DEPTH_TO_SPACE(2) → y

    Exact, the same bytes in int8. A factor of 4 or 8 is this two or three times over.
    """

    name = "nearest_upsampling"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        if not _is_nearest(node.op):
            return None
        factor = _square_factor(node.op)
        if factor is None:
            return Refusal(node.name, f"factors {node.op.size} differ, depth-to-space is square")
        # More than five inputs are too many for XNNPACK's CONCATENATION: double step by step.
        if factor & (factor - 1):
            return Refusal(node.name, f"factor {factor} is no power of two")
        source = node.inputs[0]
        return Site(
            layer=node.name,
            root=value,
            boundary=(source,),
            forms=(
                Form(
                    "copies",
                    lambda boundary: _copies(node.name, boundary[0], factor),
                    ops=_copies_ops(source, factor),
                ),
                Form("upsampling", ops=_lowered_ops(source, factor)),
            ),
            reason=f"×{factor}; Keras lowers it to RESHAPE and TILE of rank 5",
        )


class NearestUpsamplingConvolution:
    """Merges nearest-neighbour upsampling with the convolution behind it.

    Given:  x → UpSampling2D(s, nearest) → Conv2D(k×k, SAME) → y
    Result: x → PAD → CONV_2D(s²·out) → DEPTH_TO_SPACE(s) → cut → y

    Exact: taps of the convolution that read the same source pixel are added up.
    """

    name = "nearest_upsampling_convolution"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        layer = node.op
        if type(layer) is not keras.layers.Conv2D or not _is_nearest(node.inputs[0].node.op):
            return None
        upsampling = node.inputs[0].node
        factor = _square_factor(upsampling.op)
        if factor is None:
            return Refusal(node.name, f"factors {upsampling.op.size} differ")
        # The upsampled tensor is needed by somebody else, so nothing is saved.
        if uses[node.inputs[0]] > 1:
            return Refusal(node.name, f"the output of {upsampling.name} is also used elsewhere")
        if (
            tuple(layer.strides) != (1, 1)
            or tuple(layer.dilation_rate) != (1, 1)
            or layer.groups > 1
        ):
            return Refusal(node.name, "the convolution has strides, dilation or groups")
        if layer.padding != "same" and tuple(layer.kernel_size) != (1, 1):
            return Refusal(node.name, "the convolution is VALID")
        if layer.activation is keras.activations.softmax:
            return Refusal(node.name, "softmax is not element-wise")
        source = upsampling.inputs[0]
        return Site(
            layer=node.name,
            root=value,
            boundary=(source,),
            forms=(
                Form(
                    "merged",
                    lambda boundary: _merged(node.name, layer, boundary[0], factor),
                    ops=phase_ops(
                        _axes(layer, source, factor), source.shape[3], int(layer.filters), factor
                    ),
                ),
                Form(
                    "upsampling_conv",
                    ops=(*_lowered_ops(source, factor), _convolution_op(layer, value)),
                ),
            ),
            reason=f"merged with {upsampling.name}, ×{factor}",
        )


def _is_nearest(op: Any) -> bool:
    return isinstance(op, keras.layers.UpSampling2D) and op.interpolation == "nearest"


def _square_factor(op: Any) -> int | None:
    rows, columns = op.size
    return int(rows) if rows == columns else None


def _copies(name: str, source: Value, factor: int) -> Value:
    value = source
    step = 1
    while step < factor:
        step *= 2
        label = name if step == factor else f"{name}_{step}"
        layer = keras.layers.Concatenate(name=f"{label}_copies")
        value = depth_to_space(label, apply_op(layer.name, layer, [value] * 4), 2)
    return value


def _copies_ops(source: Value, factor: int) -> tuple[CostedOp, ...]:
    height, width, depth = source.shape[1:]
    ops = []
    while factor > 1:
        ops += [CostedOp("CONCATENATION", height, width, depth, depth)] * 4
        height, width, factor = 2 * height, 2 * width, factor // 2
        ops.append(CostedOp("DEPTH_TO_SPACE", height, width, 4 * depth, depth, stride=2))
    return tuple(ops)


def _lowered_ops(source: Value, factor: int) -> tuple[CostedOp, ...]:
    """List what Keras makes of nearest upsampling: per axis RESHAPE and TILE of rank 5."""
    height, width, depth = source.shape[1:]
    sizes = ((height, width), (height * factor, width), (height * factor, width * factor))
    reshapes = tuple(CostedOp("RESHAPE", *size, depth, depth) for size in sizes)
    return reshapes + tuple(CostedOp("TILE", *size, depth, depth) for size in sizes[1:])


def _convolution_op(layer: Any, value: Value) -> CostedOp:
    height, width, depth = value.shape[1:]
    channels_in = int(layer.kernel.shape[2])
    return CostedOp("CONV_2D", height, width, channels_in, depth, tuple(layer.kernel_size))


def _merged(name: str, layer: Any, source: Value, factor: int) -> Value:
    kernel, bias = weights_of(layer)
    axes = _axes(layer, source, factor)
    return phase_convolution(name, source, kernel, bias, axes, factor, layer.activation)


def _axes(layer: Any, source: Value, factor: int) -> tuple[Axis, Axis]:
    height, width = source.shape[1:3]
    rows, columns = layer.kernel_size
    return nearest_axis(height, rows, factor), nearest_axis(width, columns, factor)

"""Transposed convolutions approximated by bilinear resize and convolution.

Another function, so its weights are fitted by least squares to what the transposed convolution
itself gives on calibration activations (before its activation). Used by `--rewrite resize` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.costed_op import CostedOp
from portrait_tflite.convert.graph import Value, apply_op, as_arrays
from portrait_tflite.convert.rewrites.keras.added_layers import (
    activate,
    convolution,
    depthwise,
    weights_of,
)
from portrait_tflite.convert.rewrites.keras.site import Activations, Array, Build, Form
from portrait_tflite.vocabulary import Approximation

_KERNEL = 3
# Keeps the normal equations solvable where channels are dead; relative to their mean diagonal.
_RIDGE = 1e-5
_ALTERNATIONS = 4
# Where the alternation starts: what bilinear resize leaves to do is mostly smoothing.
_BLUR = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])


def resize_forms(name: str, layer: Any, source: Value) -> tuple[Form, ...]:
    """List the approximate forms of a transposed convolution; none where its size does not fit.

    Args:
        name: Of the layer.
        layer: A Conv2DTranspose.
        source: Its input.
    """
    stride = layer.strides[0]
    # VALID gives more positions than a resize where the kernel reaches over its stride.
    fits = layer.padding == "same" or max(layer.kernel_size) <= stride
    if stride == 1 or not fits:
        return ()

    def fit_resize(activations: Activations) -> Build:
        kernel, bias = _normal_equations(layer, activations.inputs[0]).solve()
        return lambda boundary: _resize_conv(name, layer, boundary[0], kernel, bias)

    def fit_depthwise(activations: Activations) -> Build:
        equations = _normal_equations(layer, activations.inputs[0])
        pointwise, spatial, bias = equations.solve_separable()
        return lambda boundary: _resize_depthwise(
            name, layer, boundary[0], pointwise, spatial, bias
        )

    return (
        Form(
            "resize_conv",
            approximation=Approximation.RESIZE,
            ops=_resize_conv_ops(layer, source),
            fit=fit_resize,
        ),
        Form(
            "resize_depthwise",
            approximation=Approximation.RESIZE,
            ops=_resize_depthwise_ops(layer, source),
            fit=fit_depthwise,
        ),
    )


def _resize_conv_ops(layer: Any, source: Value) -> tuple[CostedOp, ...]:
    height, width, depth = source.shape[1:]
    size = (height * int(layer.strides[0]), width * int(layer.strides[0]))
    resize = CostedOp("RESIZE_BILINEAR", *size, depth, depth)
    return resize, CostedOp("CONV_2D", *size, depth, layer.filters, (_KERNEL, _KERNEL))


def _resize_depthwise_ops(layer: Any, source: Value) -> tuple[CostedOp, ...]:
    height, width, depth = source.shape[1:]
    size = (height * int(layer.strides[0]), width * int(layer.strides[0]))
    filters = layer.filters
    return (
        CostedOp("CONV_2D", height, width, depth, filters),
        CostedOp("RESIZE_BILINEAR", *size, filters, filters),
        CostedOp("DEPTHWISE_CONV_2D", *size, filters, filters, (_KERNEL, _KERNEL)),
    )


@dataclass(frozen=True)
class _Equations:
    """Normal equations of a 3×3 convolution on the resized input.

    Attributes:
        gram: `[9 · in + 1, 9 · in + 1]`: taps outside, channels inside, the bias last.
        moment: `[9 · in + 1, out]`.
    """

    gram: Array
    moment: Array

    def solve(self) -> tuple[Array, Array]:
        """Return kernel `[3, 3, in, out]` and bias `[out]`."""
        solution = _solve(self.gram, self.moment)
        return solution[:-1].reshape(_KERNEL, _KERNEL, -1, self.moment.shape[1]), solution[-1]

    def solve_separable(self) -> tuple[Array, Array, Array]:
        """Fit a pointwise and a depthwise convolution, by alternating least squares.

        Returns:
            Pointwise `[in, out]`, spatial `[3, 3, out]` and bias `[out]`.
        """
        columns = [self._separate(moment) for moment in self.moment.T]
        pointwise, spatial, bias = (np.stack(part, axis=-1) for part in zip(*columns, strict=True))
        return pointwise, spatial.reshape(_KERNEL, _KERNEL, -1), bias

    def _separate(self, moment: Array) -> tuple[Array, Array, Array]:
        """Fit one output channel: pointwise `[in]`, spatial `[9]`, bias `[]`."""
        taps = _KERNEL * _KERNEL
        gram = self.gram[:-1, :-1].reshape(taps, -1, taps, (len(self.gram) - 1) // taps)
        border = self.gram[:-1, -1].reshape(taps, -1)
        target = moment[:-1].reshape(taps, -1)
        spatial, pointwise, bias = _BLUR.ravel(), np.zeros(gram.shape[1]), moment[-1]
        for _ in range(_ALTERNATIONS):
            inner = np.tensordot(spatial, np.tensordot(gram, spatial, (2, 0)), (0, 0))
            pointwise, bias = self._part(inner, spatial @ border, spatial @ target, moment[-1])
            inner = np.tensordot(np.tensordot(gram, pointwise, (3, 0)), pointwise, (1, 0))
            spatial, bias = self._part(inner, border @ pointwise, target @ pointwise, moment[-1])
        return pointwise, spatial, np.asarray(bias)

    def _part(self, gram: Array, border: Array, target: Array, last: float) -> tuple[Array, Array]:
        """Solve for one factor and the bias, the other factor being given."""
        corner = self.gram[-1:, -1:]
        whole = np.block([[gram, border[:, None]], [border[None], corner]])
        solution = _solve(whole, np.append(target, last))
        return solution[:-1], solution[-1]


def _normal_equations(layer: Any, inputs: Array) -> _Equations:
    """Gather the equations over activations `[n, h, w, in]` and the layer's linear output."""
    features = _KERNEL * _KERNEL * inputs.shape[-1] + 1
    gram = np.zeros((features, features))
    moment = np.zeros((features, layer.filters))
    for image in inputs:
        patches = np.concatenate(list(_patches(image[None], int(layer.strides[0]))), axis=-1)
        rows = patches.reshape(-1, features - 1)
        rows = np.concatenate([rows, np.ones((len(rows), 1), np.float32)], axis=1)
        target = _linear_output(layer, image[None]).reshape(len(rows), -1)
        gram += rows.T @ rows
        moment += rows.T @ target
    return _Equations(gram, moment)


def _solve(gram: Array, moment: Array) -> Array:
    """Solve normal equations, with a little ridge: channels may be dead."""
    ridge = np.eye(len(gram)) * (_RIDGE * np.trace(gram) / len(gram))
    solution: Array = np.linalg.solve(gram + ridge, moment)
    return solution


def _patches(inputs: Array, stride: int) -> Iterator[Array]:
    """Yield the resized input shifted to each tap of the kernel, `[1, h·s, w·s, in]`."""
    resized = as_arrays([_resize(stride)(inputs)])[0]
    half = _KERNEL // 2
    padded = np.pad(resized, ((0, 0), (half, half), (half, half), (0, 0)))
    height, width = resized.shape[1:3]
    for row in range(_KERNEL):
        for column in range(_KERNEL):
            yield padded[:, row : row + height, column : column + width]


def _linear_output(layer: Any, inputs: Array) -> Array:
    kernel, bias = weights_of(layer)
    output = keras.ops.conv_transpose(inputs, kernel, layer.strides, padding=layer.padding)
    array: Array = as_arrays([output])[0]
    return array if bias is None else array + bias


def _resize(stride: int, name: str | None = None) -> Any:
    return keras.layers.UpSampling2D(stride, interpolation="bilinear", name=name)


def _resize_conv(name: str, layer: Any, source: Value, kernel: Array, bias: Array) -> Value:
    resize = _resize(int(layer.strides[0]), f"{name}_resize")
    resized = apply_op(resize.name, resize, source)
    return convolution(name, resized, kernel, bias, padding="same", activation=layer.activation)


def _resize_depthwise(
    name: str, layer: Any, source: Value, pointwise: Array, spatial: Array, bias: Array
) -> Value:
    mixed = convolution(f"{name}_pointwise", source, pointwise[None, None], None)
    resize = _resize(int(layer.strides[0]), f"{name}_resize")
    resized = apply_op(resize.name, resize, mixed)
    value = depthwise(f"{name}_depthwise", resized, spatial[..., None], bias, padding="same")
    return activate(f"{name}_activation", value, layer.activation)

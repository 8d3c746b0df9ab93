"""Transposed convolutions approximated by bilinear resize and convolution.

Another function, so its weights are fitted by least squares to what the transposed convolution
itself gives on calibration activations (before its activation). Used by `--rewrite resize` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import Value, apply_op, as_arrays
from portrait_tflite.convert.rewrites.site import (
    Activations,
    Array,
    Build,
    Form,
    activate,
    convolution,
    depthwise,
    weights_of,
)

_KERNEL = 3
# Keeps the normal equations solvable where channels are dead; relative to their mean diagonal.
_RIDGE = 1e-5


def resize_forms(name: str, layer: Any) -> tuple[Form, ...]:
    """List the approximate forms of a transposed convolution; none where its size does not fit."""
    stride = layer.strides[0]
    # VALID gives more positions than a resize where the kernel reaches over its stride.
    fits = layer.padding == "same" or max(layer.kernel_size) <= stride
    if stride == 1 or not fits:
        return ()

    def fit_resize(activations: Activations) -> Build:
        kernel, bias = _fit(layer, activations.inputs[0])
        return lambda boundary: _resize_conv(name, layer, boundary[0], kernel, bias)

    def fit_depthwise(activations: Activations) -> Build:
        kernel, bias = _fit(layer, activations.inputs[0])
        pointwise, spatial = _separate(kernel)
        return lambda boundary: _resize_depthwise(
            name, layer, boundary[0], pointwise, spatial, bias
        )

    return (
        Form("resize_conv", exact=False, family="resize_conv", fit=fit_resize),
        Form("resize_depthwise", exact=False, family="resize_depthwise", fit=fit_depthwise),
    )


def _fit(layer: Any, inputs: Array) -> tuple[Array, Array]:
    """Fit a 3×3 convolution on the resized input to the layer's linear output.

    Args:
        inputs: Activations `[n, h, w, in]`.

    Returns:
        Kernel `[3, 3, in, out]` and bias `[out]`.
    """
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
    gram += np.eye(features) * (_RIDGE * np.trace(gram) / features)
    solution = np.linalg.solve(gram, moment)
    kernel = solution[:-1].reshape(_KERNEL, _KERNEL, inputs.shape[-1], -1)
    return kernel, solution[-1]


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


def _separate(kernel: Array) -> tuple[Array, Array]:
    """Split `[k, k, in, out]` into the nearest pointwise `[in, out]` times spatial `[k, k, out]`.

    The best rank-1 factor per output channel, by singular value decomposition.
    """
    outputs = kernel.shape[3]
    flat = kernel.reshape(_KERNEL * _KERNEL, -1, outputs).transpose(2, 0, 1)
    left, values, right = np.linalg.svd(flat, full_matrices=False)
    root = np.sqrt(values[:, 0])
    spatial = (left[:, :, 0] * root[:, None]).T.reshape(_KERNEL, _KERNEL, outputs)
    pointwise = (right[:, 0, :] * root[:, None]).T
    return pointwise, spatial


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

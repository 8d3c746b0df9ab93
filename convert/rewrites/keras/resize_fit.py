"""Transposed convolutions approximated by bilinear resize and convolution.

Another function, so its weights are fitted by least squares to what the transposed convolution
itself gives on calibration activations (before its activation). Used by `--rewrite resize` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Value, apply_op, as_arrays
from portrait_tflite.convert.rewrites.keras.added_layers import (
    activate,
    convolution,
    depthwise,
    weights_of,
)
from portrait_tflite.convert.rewrites.keras.least_squares import (
    Equations,
    Window,
    gather_equations,
    solve,
)
from portrait_tflite.convert.rewrites.keras.site import Activations, Array, Build, Form
from portrait_tflite.vocabulary import Approximation

_KERNEL = 3
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

    fit = _Fit(layer)

    def fit_resize(activations: Activations) -> Build:
        kernel, bias = fit.whole(activations)
        return lambda boundary: _resize_conv(name, layer, boundary[0], kernel, bias)

    def fit_depthwise(activations: Activations) -> Build:
        pointwise, spatial, bias = fit.separable(activations)
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


class _Fit:
    """Fits a layer's forms; their common equations are gathered once."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._gathered: tuple[Activations, Equations] | None = None

    def whole(self, activations: Activations) -> tuple[Array, Array]:
        """Return kernel `[3, 3, in, out]` and bias `[out]`."""
        return self._equations(activations).solve()

    def separable(self, activations: Activations) -> tuple[Array, Array, Array]:
        """Return pointwise `[in, out]`, spatial `[3, 3, out]` and bias `[out]`."""
        return _separate(self._equations(activations))

    def _equations(self, activations: Activations) -> Equations:
        if self._gathered is None or self._gathered[0] is not activations:
            inputs = activations.inputs[0]
            window = Window((_KERNEL, _KERNEL))
            found = gather_equations(window, _samples(self._layer, inputs), len(inputs))
            self._gathered = activations, found
        return self._gathered[1]


def _samples(layer: Any, inputs: Array) -> Iterator[tuple[Array, Array]]:
    """Yield the resized input and the layer's linear output of each picture."""
    resize = _resize(int(layer.strides[0]))
    for image in inputs:
        resized = as_arrays([resize(image[None])])[0]
        yield resized[0], _linear_output(layer, image[None])[0]


def _separate(equations: Equations) -> tuple[Array, Array, Array]:
    """Split the fit into a pointwise and a depthwise one, by alternating least squares."""
    taps = _KERNEL * _KERNEL
    gram, moment = equations.gram, equations.moment
    depth = (len(gram) - 1) // taps
    blocks = gram[:-1, :-1].reshape(taps, depth, taps, depth).transpose(0, 2, 1, 3)
    border = gram[:-1, -1].reshape(taps, depth)
    target = moment[:-1].reshape(taps, depth, -1)
    # t, u: taps; i, j: input channels; o: output channels, each with equations of its own.
    spatial = np.tile(_BLUR.reshape(taps, 1), (1, moment.shape[1]))
    for _ in range(_ALTERNATIONS):
        inner = np.einsum("to,uo,tuij->oij", spatial, spatial, blocks, optimize=True)
        wanted = np.einsum("to,tio->oi", spatial, target)
        pointwise, bias = _part(equations, inner, spatial.T @ border, wanted)
        inner = np.einsum("io,tuij,jo->otu", pointwise, blocks, pointwise, optimize=True)
        wanted = np.einsum("io,tio->ot", pointwise, target)
        spatial, bias = _part(equations, inner, (border @ pointwise).T, wanted)
    return pointwise, spatial.reshape(_KERNEL, _KERNEL, -1), bias


def _part(equations: Equations, gram: Array, border: Array, target: Array) -> tuple[Array, Array]:
    """Solve for one factor and the bias, the other factor being given.

    Args:
        equations: Of the whole convolution.
        gram: `[out, n, n]`.
        border: `[out, n]`: the bias's row of it.
        target: `[out, n]`.

    Returns:
        The factor `[n, out]` and the bias `[out]`.
    """
    corner = np.full((len(gram), 1, 1), equations.gram[-1, -1])
    whole = np.block([[gram, border[:, :, None]], [border[:, None], corner]])
    moment = np.concatenate([target, equations.moment[-1][:, None]], axis=1)
    solution = solve(whole, moment[..., None])[..., 0]
    return solution[:, :-1].T, solution[:, -1]


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

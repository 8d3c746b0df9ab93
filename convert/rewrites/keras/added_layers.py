"""The layers that rewrites add to the Keras graph, with their weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.graph import Value, apply_op
from portrait_tflite.convert.rewrites.keras.site import Array


def convolution(
    name: str,
    source: Value,
    kernel: Array,
    bias: Array | None,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: str = "valid",
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    activation: Any = None,
) -> Value:
    """Add a Conv2D with weights; `kernel` is `[kh, kw, in ÷ groups, out]`, `bias` `[out]`."""
    layer = keras.layers.Conv2D(
        kernel.shape[3],
        kernel.shape[:2],
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        groups=groups,
        use_bias=bias is not None,
        activation=activation,
        name=name,
    )
    return _with_weights(layer, source, [kernel] if bias is None else [kernel, bias])


def depthwise(
    name: str,
    source: Value,
    kernel: Array,
    bias: Array | None,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: str = "valid",
    dilation: tuple[int, int] = (1, 1),
    activation: Any = None,
) -> Value:
    """Add a DepthwiseConv2D with weights; `kernel` is `[kh, kw, in, multiplier]`."""
    layer = keras.layers.DepthwiseConv2D(
        kernel.shape[:2],
        depth_multiplier=kernel.shape[3],
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        use_bias=bias is not None,
        activation=activation,
        name=name,
    )
    return _with_weights(layer, source, [kernel] if bias is None else [kernel, bias])


def transposed(
    name: str,
    source: Value,
    kernel: Array,
    bias: Array | None,
    like: keras.layers.Conv2DTranspose,
    activation: Any,
) -> Value:
    """Add a Conv2DTranspose shaped as `like` with other weights; kernel `[kh, kw, out, in]`."""
    layer = keras.layers.Conv2DTranspose(
        kernel.shape[2],
        kernel.shape[:2],
        strides=like.strides,
        padding=like.padding,
        output_padding=like.output_padding,
        dilation_rate=like.dilation_rate,
        use_bias=bias is not None,
        activation=activation,
        name=name,
    )
    return _with_weights(layer, source, [kernel] if bias is None else [kernel, bias])


def rebuilt(
    layer: Any, name: str, source: Value, kernel: Array, bias: Array | None, activation: Any = None
) -> Value:
    """Add a convolution shaped as `layer` with other weights and another activation.

    Args:
        layer: A Conv2D, DepthwiseConv2D or Conv2DTranspose.
        name: Name of the new layer.
        source: Its input.
        kernel: In the layout of the layer's own kernel.
        bias: `[out]`, or None.
        activation: Its activation function.
    """
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return transposed(name, source, kernel, bias, layer, activation)
    settings = {
        "strides": layer.strides,
        "padding": layer.padding,
        "dilation": layer.dilation_rate,
        "activation": activation,
    }
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return depthwise(name, source, kernel, bias, **settings)
    return convolution(name, source, kernel, bias, groups=layer.groups, **settings)


def reconfigured(name: str, layer: Any, source: Value, **changes: Any) -> Value:
    """Add a layer with the weights of `layer` and its settings, but for `changes`."""
    config = {**layer.get_config(), "name": name, **changes}
    return _with_weights(type(layer).from_config(config), source, layer.get_weights())


def pad(name: str, source: Value, rows: tuple[int, int], columns: tuple[int, int]) -> Value:
    """Add a zero padding, or nothing where there is none to add."""
    if not any((*rows, *columns)):
        return source
    return apply_op(name, keras.layers.ZeroPadding2D((rows, columns), name=name), source)


def depth_to_space(name: str, source: Value, block: int) -> Value:
    """Rearrange `[1, h, w, block²·c]` to `[1, h·block, w·block, c]`."""
    return apply_op(name, lambda x: keras.ops.depth_to_space(x, block), source)


def space_to_depth(name: str, source: Value, block: int) -> Value:
    """Rearrange `[1, h·block, w·block, c]` to `[1, h, w, block²·c]`."""
    return apply_op(name, lambda x: keras.ops.space_to_depth(x, block), source)


def activate(name: str, source: Value, activation: Any) -> Value:
    """Add an activation function, or nothing where it is linear."""
    if is_linear(activation):
        return source
    return apply_op(name, keras.layers.Activation(activation, name=name), source)


def is_linear(activation: Any) -> bool:
    """Whether an activation function changes nothing."""
    return activation is None or activation is keras.activations.linear


# What looks at several channels at once, or is none of Keras's own, is not in it.
_ELEMENTWISE = tuple(
    getattr(keras.activations, name)
    for name in (
        *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu"),
        *("hard_tanh", "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6", "selu"),
        *("sigmoid", "silu", "soft_shrink", "softplus", "softsign", "sparse_plus"),
        *("sparse_sigmoid", "squareplus", "tanh", "tanh_shrink", "threshold"),
    )
)


def is_elementwise(activation: Any) -> bool:
    """Whether an activation function is known to look at each number alone."""
    return activation is None or activation in _ELEMENTWISE


def weights_of(layer: Any) -> tuple[Array, Array | None]:
    """Return kernel and bias of a convolution layer as arrays."""
    arrays = [np.asarray(weight) for weight in layer.get_weights()]
    return arrays[0], arrays[1] if len(arrays) > 1 else None


def _with_weights(layer: Any, source: Value, weights: list[Array]) -> Value:
    layer.build(source.shape)
    layer.set_weights(weights)
    return apply_op(layer.name, layer, source)

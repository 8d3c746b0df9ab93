"""A convolution and the max-pooling behind it as one convolution with strides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from portrait_tflite.convert.costs.costed_op import CostedOp
from portrait_tflite.convert.graph import Node, Value, as_arrays
from portrait_tflite.convert.rewrites.keras.added_layers import convolution, weights_of
from portrait_tflite.convert.rewrites.keras.least_squares import Window, gather_equations
from portrait_tflite.convert.rewrites.keras.site import (
    Activations,
    Array,
    Build,
    Form,
    Refusal,
    Site,
    Uses,
)
from portrait_tflite.vocabulary import Approximation

# The largest number stays the largest, so that the activation may come behind the pooling.
_MONOTONE = (
    keras.activations.linear,
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.sigmoid,
    keras.activations.tanh,
)


class StridedPooling:
    """Makes a convolution look at every other position instead of keeping the largest of four.

    Given:  x → Conv2D(k×k) → MaxPooling2D(2) → y
    Result: x → Conv2D(k×k, strides 2) → y                                     form `strided`
            x → Conv2D((k+1)×(k+1), strides 2) → y                             form `strided_wide`

    Another function, for `--rewrite strided` only, fitted by least squares to what the pooling
    gives before its activation. The wide kernel sees all that the four positions saw.
    """

    name = "strided_pooling"
    approximations = frozenset({Approximation.STRIDED})
    exact = False

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        node = value.node
        if type(node.op) is not keras.layers.MaxPooling2D:
            return None
        producer = node.inputs[0].node
        # The full resolution is needed by somebody else, a skip: nothing would be saved.
        if uses[node.inputs[0]] > 1 or not _fits(node.op, producer):
            return None
        source = producer.inputs[0]
        return Site(
            layer=producer.name,
            root=value,
            boundary=(source,),
            forms=(
                _strided("strided", producer, node, 0),
                _strided("strided_wide", producer, node, 1),
                Form("max_pool", ops=_kept_ops(producer, node)),
            ),
            reason=f"max-pooling {node.name} behind it",
        )


def _fits(pooling: Any, producer: Node) -> bool:
    layer = producer.op
    if type(layer) is not keras.layers.Conv2D or layer.activation not in _MONOTONE:
        return False
    factors = tuple(pooling.pool_size)
    height, width = producer.output.shape[1:3]
    return (
        factors == tuple(pooling.strides)
        and min(factors) > 1
        # A last row or column of its own would be dropped by one and kept by the other.
        and (height % factors[0], width % factors[1]) == (0, 0)
        and tuple(layer.strides) == tuple(layer.dilation_rate) == (1, 1)
        and layer.groups == 1
        and layer.data_format == pooling.data_format == "channels_last"
    )


def _strided(name: str, producer: Node, node: Node, wider: int) -> Form:
    """Return a form; its kernel is wider by so many strides less one."""
    layer = producer.op
    rows, columns = (int(factor) for factor in node.op.pool_size)
    kernel = layer.kernel_size[0] + wider * (rows - 1), layer.kernel_size[1] + wider * (columns - 1)
    window = Window(kernel, (rows, columns), layer.padding)

    def fit(activations: Activations) -> Build:
        inputs = activations.inputs[0]
        samples = _samples(layer, node.op, inputs)
        weights, bias = gather_equations(window, samples, len(inputs)).solve()
        return lambda boundary: convolution(
            producer.name,
            boundary[0],
            weights,
            bias,
            strides=window.strides,
            padding=layer.padding,
            activation=layer.activation,
        )

    _, height, width, filters = node.output.shape
    depth = producer.inputs[0].shape[3]
    op = CostedOp("CONV_2D", height, width, depth, filters, kernel, rows)
    return Form(name, approximation=Approximation.STRIDED, ops=(op,), fit=fit)


def _samples(layer: Any, pooling: Any, inputs: Array) -> Iterator[tuple[Array, Array]]:
    """Yield the input and the pooled linear output of each picture."""
    kernel, bias = weights_of(layer)
    for image in inputs:
        linear = keras.ops.conv(image[None], kernel, padding=layer.padding)
        (pooled,) = as_arrays([pooling(linear)])
        yield image, pooled[0] if bias is None else pooled[0] + bias


def _kept_ops(producer: Node, node: Node) -> tuple[CostedOp, ...]:
    _, height, width, filters = producer.output.shape
    depth = producer.inputs[0].shape[3]
    _, rows, columns, _ = node.output.shape
    window = tuple(node.op.pool_size)
    return (
        CostedOp("CONV_2D", height, width, depth, filters, tuple(producer.op.kernel_size)),
        CostedOp("MAX_POOL_2D", rows, columns, filters, filters, window, window[0]),
    )

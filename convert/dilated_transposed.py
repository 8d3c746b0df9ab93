"""A dilated transposed convolution as an ordinary one, which runs everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.values import Node, Value, apply_op
from portrait_tflite.errors import ConversionError

Shape = Sequence[int]


def is_dilated_transposed(op: Any) -> bool:
    """Tell a layer that TensorFlow runs on no CPU, and that no TFLite op does."""
    known = (keras.layers.Conv2DTranspose, _RunsOnCpu)
    if type(op) not in known or op.data_format != "channels_last":
        return False
    return tuple(op.dilation_rate) != (1, 1)


def as_convolution(node: Node) -> Value:
    """Compute a dilated transposed convolution by an ordinary one.

    Given:  x → Conv2DTranspose(W, dilation d) → y
    Result: x → ZeroPadding2D → Conv2D(W turned about, dilation d, VALID) → y

    Its strides are 1, Keras has no others with a dilation. Position `o` reads `x[o + cut − d·u]`
    with kernel index `u`, where SAME cuts off half of what is too much at the start; a convolution
    reads `x[o − pad + d·v]`, so `v` counts `u` from the end.
    """
    layer, source = node.op, node.inputs[0]
    pads = _pads(layer, source.shape, node.output.shape)
    padding = keras.layers.ZeroPadding2D(pads, name=f"{node.name}_padding")
    padded = apply_op(padding.name, padding, source)
    turned = keras.layers.Conv2D(
        layer.filters,
        layer.kernel_size,
        dilation_rate=layer.dilation_rate,
        use_bias=layer.use_bias,
        activation=layer.activation,
        name=node.name,
    )
    turned.build(padded.shape)
    kernel, *bias = (np.asarray(weight) for weight in layer.get_weights())
    # [kh, kw, out, in] → [kh, kw, in, out]
    turned.set_weights([kernel[::-1, ::-1].swapaxes(2, 3), *bias])
    return apply_op(node.name, turned, padded)


def _pads(layer: Any, given: Shape, wanted: Shape) -> list[tuple[int, int]]:
    """Return how many zeros go around the input, `[n, h, w, c]`, for an output of that shape."""
    pads = []
    for axis in (0, 1):
        reach = (int(layer.kernel_size[axis]) - 1) * int(layer.dilation_rate[axis])
        before, after = given[axis + 1], wanted[axis + 1]
        cut = max(before + reach - after, 0) // 2 if layer.padding == "same" else 0
        pads.append((reach - cut, after - before + cut))
    return pads


class _RunsOnCpu(keras.layers.Conv2DTranspose):
    """A dilated one that computes the same by an ordinary convolution."""

    def call(self, inputs: Any) -> Any:
        pads = _pads(self, inputs.shape, self.compute_output_shape(inputs.shape))
        padded = keras.ops.pad(inputs, [(0, 0), *pads, (0, 0)])
        kernel = keras.ops.transpose(keras.ops.flip(self.kernel, (0, 1)), (0, 1, 3, 2))
        value = keras.ops.conv(padded, kernel, dilation_rate=self.dilation_rate)
        value = value if self.bias is None else value + self.bias
        return value if self.activation is None else self.activation(value)


def require_rows_that_tensorflow_makes(model: keras.Model, source: str) -> None:
    """Refuse a SAME transposed convolution whose output is not as long as TensorFlow wants it.

    Other backends of Keras train and run it. Per axis `k % 2 + output_padding` rows stand behind
    the last step; TensorFlow asks for 1 to the stride.

    Raises:
        ConversionError: There is one; it is named.
    """
    for layer in model._flatten_layers():
        if type(layer) is not keras.layers.Conv2DTranspose or is_dilated_transposed(layer):
            continue
        if layer.padding != "same" or layer.output_padding is None:
            continue
        added = np.asarray(layer.kernel_size) % 2 + np.asarray(layer.output_padding)
        if np.any(added < 1) or np.any(added > np.asarray(layer.strides)):
            raise ConversionError(
                "TensorFlow must run every layer. Received: "
                f"{layer.name!r} of {source}, a Conv2DTranspose with padding='same', kernel "
                f"{layer.kernel_size} and output_padding {layer.output_padding}, whose output it "
                "does not make. Take padding='valid' and a Cropping2D with the same weights."
            )


def make_runnable(model: keras.Model) -> None:
    """Let every dilated transposed convolution of a model run on a CPU, where pictures are scored.

    In place: no weight and no other layer changes.
    """
    for layer in model._flatten_layers():
        if is_dilated_transposed(layer):
            layer.__class__ = _RunsOnCpu

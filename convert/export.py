"""A graph as a float `.tflite` of built-in ops."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from portrait_tflite.convert.builtin_ops import with_builtins
from portrait_tflite.convert.files.flatbuffer import read_model, rename_io, serialize
from portrait_tflite.convert.graph import OUTPUT_NAME, Graph
from portrait_tflite.convert.network_inputs import INPUT_NAME, keras_ends, plain_name
from portrait_tflite.errors import ConversionError
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Precision

_NO_BUILTIN = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")
_NO_16_BIT = re.compile(r"Quantization to 16x8-bit not yet supported for op: '(\w+)'")
# What may stand in the place of an op that TFLite has not; any layer's weights stay as they are.
_INSTEAD = {
    "MaxPoolWithArgmax": (
        "Pool with keras.ops.max_pool and unpool by keras.ops.equal(x, upsampled maxima), which is "
        "the same where no window has its maximum twice; --custom-objects can give both layers "
        "anew under their names."
    )
}
_COUNTED = re.compile(r"_\d+$")


class Export:
    """A graph traced once, from which every variant is converted.

    Args:
        graph: The network, of batch 1.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph  # tf.function holds variables weakly: their layers must live on
        signature = _signature(graph.input_names, [value.shape for value in graph.inputs])
        with quiet():
            # AutoGraph looks into no Keras layer anyway, and takes time to find that out.
            traced = tf.function(graph, input_signature=signature, autograph=False)
            self._concrete = with_builtins(traced.get_concrete_function())

    def convert(self, configure: Callable[[Any], None] | None = None) -> bytes:
        """Convert with `TFLiteConverter`.

        Args:
            configure: Sets the converter's options.

        Raises:
            ConversionError: An op has no TFLite builtin; the message names op and layer.
        """
        with quiet():
            # No trackable object: with one, the variables would stay variables in the file.
            converter = tf.lite.TFLiteConverter.from_concrete_functions([self._concrete], None)
            if configure:
                configure(converter)
            data = run_converter(converter, self._layer_of)
        return named(data, self._graph.input_names, self._graph.output_names)

    def float_model(self, precision: Precision) -> bytes:
        """Convert to float32, or to float16 weights."""
        return self.convert(_configure_float16 if precision is Precision.FLOAT16 else None)

    def _layer_of(self, op: str) -> str:
        """Name the first layer that calls a TensorFlow op such as `Qr`; "" where none is known."""
        layers = {node.name for node in self._graph.nodes()}
        for operation in self._concrete.graph.get_operations():
            # Tracing counts scopes up: the layer `up` is in the scope `up_1`.
            scopes = operation.name.split("/")[:-1] if operation.type == op else []
            for name in (n for scope in scopes for n in (_COUNTED.sub("", scope), scope)):
                if name in layers:
                    return str(name)
        return ""


def run_converter(converter: Any, layer_of: Callable[[str], str] = lambda _: "") -> bytes:
    """Run a `TFLiteConverter`; its failure becomes a `ConversionError`.

    Args:
        layer_of: From the name of a TensorFlow op to the layer that calls it, or "".
    """
    try:
        return bytes(converter.convert())
    except Exception as error:  # the converter raises whatever its bindings raise
        raise ConversionError(_explain(str(error), layer_of)) from error


def named(
    data: bytes, inputs: Sequence[str] = (INPUT_NAME,), outputs: Sequence[str] = (OUTPUT_NAME,)
) -> bytes:
    """Name the file's inputs and outputs, in their order."""
    model = read_model(data)
    rename_io(model, inputs, outputs)
    return serialize(model)


def keras_converter(model: keras.Model, *, batch_one: bool) -> Any:
    """Return the plain `TFLiteConverter` of a model as given, the baseline of every claim."""
    if not batch_one:
        return tf.lite.TFLiteConverter.from_keras_model(model)
    names = [INPUT_NAME, *(end.name for end in keras_ends(model.inputs[1:]))]
    function = tf.function(
        lambda *images: model(images if len(images) > 1 else images[0], training=False),
        input_signature=_signature(names, [(1, *tensor.shape[1:]) for tensor in model.inputs]),
    )
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], None)


def _signature(names: Sequence[str], shapes: Sequence[Sequence[int | None]]) -> list[Any]:
    return [
        tf.TensorSpec(shape, tf.float32, name=plain_name(name))
        for name, shape in zip(names, shapes, strict=True)
    ]


def _configure_float16(converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _explain(message: str, layer_of: Callable[[str], str]) -> str:
    """Turn the converter's report into one line that names op and layer."""
    op = _NO_BUILTIN.search(message)
    if op:
        # The report itself has no layer, only the Python lines that were traced.
        layer = layer_of(op.group(1))
        return (
            f"every op must have a TFLite builtin. Received: tf.{op.group(1)}"
            f"{f' (layer {layer!r})' if layer else ''}. "
            + _INSTEAD.get(op.group(1), "Replace that layer by built-in ones and train again.")
        )
    op = _NO_16_BIT.search(message)
    if op:
        return (
            f"int16x8 must have 16-bit kernels for every op. Received: {op.group(1)}, which has "
            "none. Leave --int16x8 out, or replace that layer and train again."
        )
    first = next((line.strip() for line in message.splitlines() if line.strip()), "no message")
    return f"TFLiteConverter must take the network. Received from it: {first[:200]}"

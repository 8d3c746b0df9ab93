"""A quantized probability has the scale 1/256, whatever head it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.plan import RewriteRequest, chooser_for, mask_graph, rewrite_for
from portrait_tflite.quantize.int8.float_file import widened_file
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.ranged_network import quantize_network
from portrait_tflite.quantize.variants import build_variants
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import (
    Activation,
    Delegate,
    IoType,
    ModelSpec,
    OutputSpec,
    Precision,
    Target,
)

SIZE = 16
SECOND = OutputSpec(channel=1)
UNIT = {"bias_initializer": "uniform"}


def _convolution(filters: int, **options: Any) -> Any:
    return layers.Conv2D(filters, 1, **UNIT, **options)


def _resized(x: Any, interpolation: str) -> Any:
    half = layers.AveragePooling2D(2)(x)
    mask = _convolution(1, activation="sigmoid")(half)
    return layers.UpSampling2D(2, interpolation=interpolation)(mask)


HEADS: dict[str, tuple[Callable[[Any], Any], OutputSpec]] = {
    "sigmoid": (_convolution(1, activation="sigmoid"), OutputSpec()),
    "two classes": (_convolution(2, activation="softmax"), SECOND),
    "three classes": (_convolution(3, activation="softmax"), SECOND),
    "logits": (_convolution(1), OutputSpec(activation=Activation.SIGMOID)),
    "logits of two classes": (
        _convolution(2),
        OutputSpec(channel=1, activation=Activation.SOFTMAX),
    ),
    "bilinear behind": (lambda x: _resized(x, "bilinear"), OutputSpec()),
    "nearest behind": (lambda x: _resized(x, "nearest"), OutputSpec()),
    "reshaped": (
        lambda x: layers.Reshape((SIZE, SIZE, 1))(
            _convolution(1, activation="sigmoid")(layers.Reshape((SIZE * SIZE, 1, 8))(x))
        ),
        OutputSpec(),
    ),
    "transposed": (
        lambda x: layers.Conv2DTranspose(
            1, 2, strides=2, activation="sigmoid", bias_initializer="uniform"
        )(layers.AveragePooling2D(2)(x)),
        OutputSpec(),
    ),
}


def _build(head: Callable[[Any], Any], output: OutputSpec, io: IoType) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3))
    body = layers.Conv2D(8, 3, padding="same", activation="relu", **UNIT)(image)
    spec = ModelSpec(SIZE, SIZE, output=output)
    graph, _ = mask_graph(keras.Model(image, head(body)), spec)
    pictures = np.random.default_rng(0).random((4, SIZE, SIZE, 3)).astype(np.float32)
    request = RewriteRequest()
    chooser = chooser_for(Delegate.XNNPACK, request)
    plan = rewrite_for(graph, Delegate.XNNPACK, request, (pictures[:2],), chooser)

    def representative() -> Iterator[list[Any]]:
        return iter([[picture[None]] for picture in pictures])

    built = build_variants(
        {Delegate.XNNPACK: plan.graph},
        (Precision.INT8,),
        Target.CPU,
        representative,
        io,
        [(pictures[:1],)],
        spec=ModelSpec(SIZE, SIZE),
    )
    return open_model(built["int8"].data).outputs[0]


@pytest.mark.parametrize("name", HEADS)
def test_int8_and_uint8_probabilities(name: str) -> None:
    head, output = HEADS[name]
    info = _build(head, output, IoType.INT8)
    assert (info.dtype, info.scale, info.zero_point) == ("int8", 1 / 256, -128)


def test_a_float_file_without_its_keras_model_keeps_them_too() -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3))
    mask = _convolution(1, activation="sigmoid")(layers.AveragePooling2D(2)(image))
    copies = keras.ops.concatenate([mask] * 4, axis=-1)
    graph = trace(keras.Model(image, keras.ops.depth_to_space(copies, 2)))
    data = Export(graph).float_model(Precision.FLOAT32)
    frames = [(np.full((1, SIZE, SIZE, 3), value, np.float32),) for value in (0.0, 1.0)]
    (info,) = open_model(quantize_network(measured_network(widened_file(data), frames))).outputs
    assert (info.scale, info.zero_point) == (1 / 256, -128)


def test_uint8_begins_at_zero() -> None:
    info = _build(*HEADS["two classes"], IoType.UINT8)
    assert (info.dtype, info.scale, info.zero_point) == ("uint8", 1 / 256, 0)

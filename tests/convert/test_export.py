"""Float files of a graph, and what is said where the converter cannot write one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.export import Export, keras_converter, run_converter
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewriter import REWRITES
from portrait_tflite.errors import ConversionError
from portrait_tflite.quiet import quiet
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Precision

Build = Callable[..., Any]


def _unet(randomized: Build) -> keras.Model:
    x = keras.Input((16, 16, 3), name="picture")
    skip = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(x)
    y = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="down")(skip)
    y = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", name="up")(y)
    y = layers.Add(name="skip")([y, skip])
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="probability")(y)
    return randomized(keras.Model(x, mask))


@pytest.mark.parametrize(
    ("precision", "tolerance"), [(Precision.FLOAT32, 1e-5), (Precision.FLOAT16, 5e-3)]
)
def test_a_float_file_is_one_partition_and_says_the_same(
    randomized: Build, images_for: Build, precision: Precision, tolerance: float
) -> None:
    model = _unet(randomized)
    data = Export(trace(model)).float_model(precision)
    runner = open_model(data)
    (image,), (mask,) = runner.inputs, runner.outputs
    assert (image.name, image.shape, image.dtype) == ("image", (1, 16, 16, 3), "float32")
    assert (mask.name, mask.shape, mask.dtype) == ("mask", (1, 16, 16, 1), "float32")
    assert (runner.partitions, runner.outside) == (1, ())
    picture = images_for(model, 1)
    np.testing.assert_allclose(runner.run(picture)[0], model(picture), atol=tolerance)


def test_float16_is_half_as_large(randomized: Build) -> None:
    export = Export(trace(_unet(randomized)))
    floats = [export.float_model(p) for p in (Precision.FLOAT32, Precision.FLOAT16)]
    constants = [
        sum(b.data.size for b in read_model(data).buffers if b.data is not None) for data in floats
    ]
    assert constants[1] < 0.6 * constants[0]


def test_a_rewritten_graph_is_exported_without_the_old_layers(
    randomized: Build, images_for: Build, rewrite_with: Build
) -> None:
    model = _unet(randomized)
    outcome = rewrite_with(model, REWRITES)
    data = Export(outcome.result.graph).convert()
    ops = audit_model(data).ops
    assert "TRANSPOSE_CONV" not in ops
    assert ops["DEPTH_TO_SPACE"] == 1
    picture = images_for(model, 1)
    np.testing.assert_allclose(open_model(data).run(picture)[0], model(picture), atol=1e-5)


class _Decompose(layers.Layer):
    """Uses an op that TFLite does not have."""

    def call(self, x: Any) -> Any:
        return tf.linalg.qr(x)[0]


class _Gamma(layers.Layer):
    def call(self, x: Any) -> Any:
        return tf.math.igamma(tf.abs(x) + 1.0, tf.abs(x) + 2.0)


class _Python(layers.Layer):
    def call(self, x: Any) -> Any:
        result = tf.numpy_function(np.negative, [x], tf.float32)
        result.set_shape(x.shape)
        return result


class _Sub(keras.Model):
    """The op lies inside a part that cannot be walked."""

    def __init__(self) -> None:
        super().__init__(name="strange")
        self.inner = _Decompose(name="inner")

    def call(self, x: Any) -> Any:
        return self.inner(tf.identity(x))


@pytest.mark.parametrize(
    ("layer", "op", "name"),
    [
        (lambda: _Decompose(name="strange"), "tf.Qr", "strange"),
        (lambda: _Gamma(name="strange_1"), "tf.Igamma", "strange_1"),
        (lambda: _Python(name="strange"), "tf.PyFunc", "strange"),
        (_Sub, "tf.Qr", "strange"),
        (lambda: layers.Lambda(lambda x: tf.linalg.qr(x)[0], name="lam"), "tf.Qr", "lam"),
    ],
)
def test_an_op_without_a_builtin_is_named_with_its_layer(
    randomized: Build, layer: Any, op: str, name: str
) -> None:
    x = keras.Input((8, 8, 3))
    y = layer()(layers.Conv2D(4, 3, padding="same", name="stem")(x))
    model = randomized(keras.Model(x, layers.Conv2D(1, 1, name="mask")(y)))
    with pytest.raises(ConversionError) as raised:
        Export(trace(model)).convert()
    assert str(raised.value) == (
        f"every op must have a TFLite builtin. Received: {op} (layer {name!r}). "
        "Replace that layer by built-in ones and train again."
    )


class _ArgPool(layers.Layer):
    """Where the maxima are, as SegNets hand it to their decoders."""

    def call(self, x: Any) -> Any:
        return tf.cast(tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")[1], tf.float32)


def test_what_stands_in_its_place_is_said(randomized: Build) -> None:
    x = keras.Input((8, 8, 3))
    model = randomized(keras.Model(x, layers.Conv2D(1, 1)(_ArgPool(name="arg_pool")(x))))
    with pytest.raises(ConversionError) as raised:
        Export(trace(model)).convert()
    start = (
        "every op must have a TFLite builtin. Received: tf.MaxPoolWithArgmax (layer 'arg_pool'). "
    )
    assert str(raised.value).startswith(start + "Pool with keras.ops.max_pool and unpool by ")


@pytest.mark.parametrize("batch_one", [True, False])
def test_the_baseline_names_the_op_alone(randomized: Build, batch_one: bool) -> None:
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, _Decompose()(x))
    with quiet(), pytest.raises(ConversionError, match=r"Received: tf\.Qr\. "):
        run_converter(keras_converter(model, batch_one=batch_one))


@pytest.mark.parametrize(
    ("report", "said"),
    [("", "no message"), ("\n  It broke.\nmore", "It broke."), ("x" * 500, "x" * 200)],
)
def test_any_other_failure_is_told_in_one_line(report: str, said: str) -> None:
    class Failing:
        def convert(self) -> bytes:
            raise RuntimeError(report)

    with pytest.raises(ConversionError) as raised:
        run_converter(Failing())
    expected = f"TFLiteConverter must take the network. Received from it: {said}"
    assert str(raised.value) == expected


def test_an_export_keeps_its_weights_alive(randomized: Build, images_for: Build) -> None:
    model = _unet(randomized)
    picture = images_for(model, 1)
    expected = np.asarray(model(picture))
    export = Export(trace(model))
    del model
    keras.backend.clear_session()
    np.testing.assert_allclose(open_model(export.convert()).run(picture)[0], expected, atol=1e-5)

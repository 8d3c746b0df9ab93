"""Run by tests in a process of its own: Keras 2 writes nets of every kind into a folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras2
from tf_keras.src.applications.convnext import LayerScale, StochasticDepth

layers = keras2.layers


def of_layers() -> Any:
    """Layers whose configuration changed between Keras 2 and 3."""
    x = keras2.Input((16, 16, 3))
    y = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2")(x)
    y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
    y = layers.DepthwiseConv2D(3, strides=2, padding="same")(y)
    y = layers.SpatialDropout2D(0.1)(layers.LeakyReLU(alpha=0.1)(y))
    y = layers.PReLU(shared_axes=[1, 2])(layers.SeparableConv2D(4, 3, padding="same")(y))
    gate = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(y))
    y = layers.Multiply()([y, layers.Dense(4, activation="hard_sigmoid")(gate)])
    y = layers.Conv2DTranspose(4, 3, padding="same")(layers.UpSampling2D()(y))
    return keras2.Model(x, layers.Conv2D(1, 1, activation="sigmoid", name="head/mask")(y))


def of_functions() -> Any:
    """TensorFlow functions and operators between layers."""
    x = keras2.Input((16, 16, 3))
    y = tf.nn.relu(layers.Conv2D(4, 3, padding="same")(x))
    z = tf.concat([tf.nn.relu6((y + layers.Conv2D(4, 1)(y)) * 2.0), y], -1)
    z = tf.image.resize(tf.image.resize(z, (8, 8)), (16, 16), method="nearest")
    z = 1.0 - z / 2.0
    z = tf.reduce_mean(z, axis=[1, 2], keepdims=True) * z
    z = tf.pad(z, [[0, 0], [1, 1], [1, 1], [0, 0]])[:, 1:-1, 1:-1, :]
    z = tf.reshape(tf.clip_by_value(z, 0.0, 6.0), (-1, 16, 16, 8))
    return keras2.Model(x, tf.sigmoid(layers.Conv2D(1, 1)(z)))


def of_more_functions() -> Any:
    """TensorFlow functions of several outputs, of lists, reductions, choices, pools and patches."""
    x = keras2.Input((16, 16, 3))
    y = layers.Conv2D(8, 3, padding="same")(x)
    even = tf.split(y, 4, axis=-1)
    first, middle, last = tf.split(y, [1, -1, 2], -1)
    rows = tf.unstack(tf.stack([even[0], even[3]], axis=1), axis=1)
    z = tf.concat([rows[1] * even[1], first, middle, last], -1)
    z = z - tf.reduce_max(z, axis=-1, keepdims=True) + tf.reduce_min(first, [1, 2], True)
    z = tf.where(tf.greater(z, -1.0), tf.math.log(tf.exp(z) + 1.0), tf.nn.selu(z))
    z = tf.nn.max_pool2d(z, 2, 2, "SAME") + tf.nn.avg_pool2d(z, [1, 3, 3, 1], [1, 2, 2, 1], "SAME")
    pixels = tf.reshape(tf.math.l2_normalize(z, axis=-1), (-1, 64, 10))
    alike = tf.matmul(pixels, pixels, transpose_b=True)
    z = tf.reshape(tf.matmul(tf.nn.softmax(alike), pixels), (-1, 8, 8, 10))
    z = tf.tile(tf.cast(tf.reduce_sum(z, -1, keepdims=True), "float32"), [1, 2, 2, 4])
    z = tf.transpose(tf.nn.depth_to_space(tf.nn.space_to_depth(z, 2), 2), [0, 2, 1, 3])
    patches = tf.image.extract_patches(z, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")
    largest = tf.equal(z, tf.reduce_max(z, [1, 2], True))
    z = tf.nn.depth_to_space(patches, 2) * tf.cast(tf.not_equal(z, 0.5), "float32")
    z = z + tf.cast(largest, "float32")
    return keras2.Model(x, tf.sigmoid(layers.Conv2D(1, 1)(z)))


def nested() -> Any:
    """A Sequential in a functional model."""
    inner = keras2.Sequential([layers.Conv2D(4, 3, padding="same", input_shape=(16, 16, 3))])
    x = keras2.Input((16, 16, 3))
    return keras2.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(inner(x)))


def _inner() -> Any:
    """A functional model of two outputs."""
    x = keras2.Input((16, 16, 3))
    y = layers.Conv2D(3, 3, padding="same", activation="relu")(x)
    return keras2.Model(x, [y, layers.Conv2D(1, 1, activation="sigmoid")(y)])


def encoder() -> Any:
    """A functional model in another, its outputs used as skips, with a Sequential between."""
    x = keras2.Input((16, 16, 3))
    skip, deep = _inner()(x)
    up = keras2.Sequential([layers.Conv2D(4, 3, padding="same"), layers.ReLU()])(deep)
    y = layers.Concatenate()([up, skip])
    return keras2.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


def called_twice() -> Any:
    """A functional model whose second call is the mask."""
    x = keras2.Input((16, 16, 3))
    inner, first = _inner(), layers.Conv2D(3, 3, padding="same")(x)
    _, gate = inner(first)
    _, mask = inner(layers.Multiply()([first, gate]))
    return keras2.Model(x, mask)


def _attending(call: Callable[[Any, Any, Any, Any], Any]) -> Any:
    x = keras2.Input((16, 16, 3))
    stem = layers.Conv2D(8, 3, strides=4, padding="same", input_shape=(16, 16, 3))
    y = keras2.Sequential([stem, layers.Reshape((16, 8))])(x)
    value, key = layers.Dense(8)(y), layers.LayerNormalization()(layers.Dense(8)(y))
    z = call(
        layers.MultiHeadAttention(2, 4, value_dim=3), y, layers.LayerNormalization()(value), key
    )
    z = layers.Reshape((4, 4, 8))(layers.Add()([y, z]))
    return keras2.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(z))


def attention() -> Any:
    """Attention to what a nested model gives."""
    return _attending(lambda layer, query, value, key: layer(query, value, key))


def attention_by_name() -> Any:
    """The same with its tensors in another order, in which Keras 2 keeps the layers."""
    return _attending(lambda layer, query, value, key: layer(query, key=key, value=value))


def convnext() -> Any:
    """Layers that Keras 2 has for one of its applications alone."""
    x = keras2.Input((16, 16, 3))
    y = layers.Conv2D(4, 3, padding="same")(x)
    z = LayerScale(0.1, 4)(layers.Dense(4)(layers.LayerNormalization()(y)))
    y = layers.Add()([y, StochasticDepth(0.2)(z)])
    return keras2.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


def mixed() -> Any:
    """Computed in float16."""
    half = keras2.mixed_precision.Policy("mixed_float16")
    x = keras2.Input((16, 16, 3))
    y = layers.Conv2D(4, 3, padding="same", activation="relu", dtype=half)(x)
    return keras2.Model(x, layers.Conv2D(1, 1, activation="sigmoid", dtype="float32")(y))


class Doubled(layers.Layer):
    """A layer of the user's own."""

    def call(self, inputs: Any) -> Any:
        return 2.0 * inputs


def _around(layer: Any) -> Any:
    x = keras2.Input((16, 16, 3))
    y = layer(layers.Conv2D(4, 3, padding="same")(x))
    return keras2.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


def own_layer() -> Any:
    """With a layer that only the user's code can build."""
    return _around(Doubled())


def own_function() -> Any:
    """With a Lambda layer."""
    return _around(layers.Lambda(lambda y: 2.0 * y, name="twice"))


class FixedDropout(layers.Dropout):
    """Of EfficientNet's library: one draw per picture."""

    def _get_noise_shape(self, inputs: Any) -> Any:
        return (tf.shape(inputs)[0], 1, 1, 1)


def drop_connect() -> Any:
    """With a library's layer that does nothing at inference."""
    return _around(FixedDropout(0.2, noise_shape=(None, 1, 1, 1)))


def write(folder: Path, net: Callable[[], Any]) -> None:
    """Write a net with random weights in every format, and what it gives for `picture.npy`."""
    model, rng = net(), np.random.default_rng(0)
    for weight in model.weights:
        positive = "variance" in weight.name
        value = rng.uniform(0.5, 2, weight.shape) if positive else rng.normal(0, 0.3, weight.shape)
        weight.assign(value)
    np.save(folder / f"{net.__name__}.npy", model(np.load(folder / "picture.npy")))
    model.save(folder / f"{net.__name__}.h5")
    model.save(folder / f"{net.__name__}.keras")
    if net is not convnext:  # Keras 2 itself fails to write its StochasticDepth so
        model.save(folder / f"{net.__name__}_saved", save_format="tf")


if __name__ == "__main__":
    plain = (of_layers, of_functions, nested, encoder, called_twice, mixed, drop_connect)
    for one in (
        *plain,
        of_more_functions,
        attention,
        attention_by_name,
        convnext,
        own_layer,
        own_function,
    ):
        write(Path(sys.argv[1]), one)

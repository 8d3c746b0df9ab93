"""Layers of other people's nets, spelled as they spell them: int8 in one partition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.plan import RewriteRequest, mask_graph, rewrite_for
from portrait_tflite.quantize.variants import build_variants
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import Delegate, IoType, ModelSpec, OutputSpec, Precision, Target

Build = Callable[..., Any]
SPEC = ModelSpec(16, 16, output=OutputSpec(channel=1))


def _squeeze_excite(y: Any) -> Any:
    gate = layers.Dense(2, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    gate = ops.relu6(layers.Conv2D(8, 1)(gate) + 3.0) * (1 / 6)
    return layers.Multiply()([y, gate])


def _net(randomized: Build) -> keras.Model:
    x = keras.Input((16, 16, 3))
    y = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    y = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(8, 3, strides=2)(y))
    y = _squeeze_excite(ops.relu(layers.BatchNormalization()(layers.Dense(8)(y))))
    branches = [layers.Conv2D(2, 3, dilation_rate=n, padding="same")(y) for n in range(1, 7)]
    y = ops.concatenate([y, *branches], axis=-1)
    y = keras.activations.relu(layers.SeparableConv2D(8, 3, padding="same")(y) + y[..., :8])
    y = layers.Conv2D(2, 1)(ops.pad(y[:, 1:-1, 1:-1], ((0, 0), (1, 1), (1, 1), (0, 0))))
    return randomized(
        keras.Model(x, ops.softmax(ops.image.resize(y, (16, 16), interpolation="bilinear")))
    )


def _by_hand(randomized: Build) -> keras.Model:
    """A net whose activations are all spelled out."""
    x = keras.Input((16, 16, 3))
    y = layers.Conv2D(8, 3, padding="same")(x)
    for function in (
        lambda t: ops.where(t > 0, t, 0.1 * t),
        lambda t: ops.where(t < 0, ops.multiply(np.linspace(0.1, 0.8, 8), t), t),
        lambda t: ops.where(t > 0, t, ops.exp(t) - 1),
        lambda t: t * ops.cast(t > 0, "float32"),
        lambda t: 0.5 * t * (1 + ops.erf(t / np.sqrt(2.0))),
        lambda t: t * ops.tanh(ops.log(1 + ops.exp(t))),
        lambda t: ops.log(1 + ops.exp(t)),
        keras.activations.celu,
        keras.activations.log_sigmoid,
    ):
        y = function(layers.Conv2D(8, 1)(y))
    return randomized(keras.Model(x, layers.Conv2D(2, 1, activation="sigmoid")(y)))


@pytest.mark.parametrize("net", [_net, _by_hand])
def test_one_partition_and_nothing_outside(randomized: Build, net: Build) -> None:
    model = net(randomized)
    pictures = np.random.default_rng(1).uniform(0, 1, (8, 16, 16, 3)).astype(np.float32)
    graph, _ = mask_graph(model, SPEC)
    graphs = {
        delegate: rewrite_for(graph, delegate, RewriteRequest(), pictures).graph
        for delegate in (Delegate.XNNPACK, Delegate.GPU)
    }
    built = build_variants(
        graphs,
        (Precision.FLOAT16, Precision.INT8),
        Target.BOTH,
        lambda: iter([[picture[None]] for picture in pictures]),
        IoType.INT8,
        [(pictures[:1],)],
    )
    audits = {name: audit_model(one.data) for name, one in built.items()}
    assert audits["int8"].xnnpack.outside == ()
    assert audits["int8"].xnnpack.partitions == 1
    assert audits["float16"].gpu.outside == ()
    runner = open_model(built["int8"].data)
    output = runner.run(to_stored(pictures[:1], runner.inputs[0]))[0]
    expected = np.asarray(model(pictures[:1]))[..., 1:]
    assert np.abs(to_real(output, runner.outputs[0]) - expected).max() <= 0.05

"""What can be written in several ways becomes the layer that other rewrites know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras.fused_activation import FuseActivation
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.convert.rewrites.keras.site import TakeChannel

Build = Callable[..., Any]
SPELL = OneSpelling()
FRAME = ((0, 0), (1, 2), (3, 0), (0, 0))

SPELLINGS: dict[str, tuple[Callable[[Any], Any], type]] = {
    "ops_relu": (ops.relu, layers.Activation),
    "relu_of_a_tensor": (keras.activations.relu, layers.ReLU),
    "relu_up_to_6": (lambda y: keras.activations.relu(y, max_value=6.0), layers.ReLU),
    "ops_relu6": (ops.relu6, layers.Activation),
    "clip": (lambda y: ops.clip(y, 0.0, 6.0), layers.Activation),
    "maximum": (lambda y: ops.maximum(y, 0.0), layers.Activation),
    "maximum_turned": (lambda y: ops.maximum(0.0, y), layers.Activation),
    "sigmoid": (ops.sigmoid, layers.Activation),
    "tanh": (ops.tanh, layers.Activation),
    "silu": (ops.silu, layers.Activation),
    "hard_silu": (ops.hard_silu, layers.Activation),
    "hard_sigmoid": (ops.hard_sigmoid, layers.Activation),
    "selu": (ops.selu, layers.Activation),
    "leaky_relu": (lambda y: ops.leaky_relu(y, 0.3), layers.LeakyReLU),
    "softmax": (ops.softmax, layers.Activation),
    "softmax_of_the_last_axis": (lambda y: ops.softmax(y, axis=3), layers.Activation),
    "plus": (lambda y: y + layers.Conv2D(4, 1)(y), layers.Add),
    "plus_itself": (lambda y: y + y, layers.Add),
    "concatenate": (lambda y: ops.concatenate([y, y, y], axis=-1), layers.Concatenate),
    "concatenate_rows": (lambda y: ops.concatenate([y, y], axis=1), layers.Concatenate),
    "pad": (lambda y: ops.pad(y, FRAME), layers.ZeroPadding2D),
    "resize": (lambda y: ops.image.resize(y, (12, 18)), layers.UpSampling2D),
    "resize_nearest": (
        lambda y: ops.image.resize(y, (12, 6), interpolation="nearest"),
        layers.UpSampling2D,
    ),
    "resizing": (layers.Resizing(18, 12), layers.UpSampling2D),
    "rows_and_columns": (lambda y: y[:, 1:-1, 2:], layers.Cropping2D),
    "a_channel": (lambda y: y[..., 1:2], TakeChannel),
    "a_channel_alone": (lambda y: y[..., 1], layers.Reshape),
    "the_last_channel_alone": (lambda y: y[:, :, :, -1], layers.Reshape),
    "the_last_channel": (lambda y: y[:, :, :, 3:], TakeChannel),
}


def _net(function: Callable[[Any], Any]) -> keras.Model:
    x = keras.Input((6, 6, 4))
    return keras.Model(x, function(x))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_it_becomes_the_layer(randomized: Build, rewrite_with: Build, spelling: str) -> None:
    function, layer = SPELLINGS[spelling]
    outcome = rewrite_with(randomized(_net(function)), [SPELL])
    assert outcome.forms == ["layer"]
    assert isinstance(outcome.result.graph.output.node.op, layer)
    assert outcome.error <= 1e-6


@pytest.mark.parametrize(
    "function",
    [
        layers.Activation("relu"),
        lambda y: ops.clip(y, 0.0, 5.0),
        lambda y: ops.maximum(y, 1.0),
        lambda y: ops.maximum(y, y * 2),
        lambda y: ops.softmax(y, axis=1),
        lambda y: y + 1.0,
        lambda y: y + ops.mean(y, axis=(1, 2), keepdims=True),
        lambda y: ops.pad(y, FRAME, constant_values=1.0),
        lambda y: ops.pad(y, FRAME, mode="reflect"),
        lambda y: ops.pad(y, ((0, 0), (0, 0), (0, 0), (0, 1))),
        lambda y: ops.image.resize(y, (9, 12)),
        lambda y: ops.image.resize(y, (12, 12), interpolation="bicubic"),
        lambda y: ops.image.resize(y, (3, 3), antialias=True),
        layers.Resizing(12, 12, crop_to_aspect_ratio=True),
        lambda y: y[:, ::2],
        lambda y: y[:, 1],
        lambda y: y[:, 1:, :, 1],
        lambda y: y[..., 1:3],
        lambda y: y[:, 1:, 1:, :1],
    ],
)
def test_what_is_no_such_layer_stays(function: Callable[[Any], Any]) -> None:
    graph = trace(_net(function))
    assert SPELL.match(graph.output, graph.uses()) is None


def test_an_operation_of_the_users_own_stays() -> None:
    class Relu(keras.Operation):
        def call(self, x: Any) -> Any:
            return x - 1

        def compute_output_spec(self, x: Any) -> Any:
            return keras.KerasTensor(x.shape)

    graph = trace(_net(Relu()))
    assert SPELL.match(graph.output, graph.uses()) is None


slopes = st.floats(0.0, 1.5, width=16)


def _cut(draw: Any, size: int) -> slice:
    """Leave at least one row; either end may be counted from behind, or left out."""
    start = draw(st.integers(0, size - 1))
    stop = draw(st.integers(start + 1, size))
    return slice(
        draw(st.sampled_from([start, start - size] + [None] * (start == 0))),
        stop if stop < size else draw(st.sampled_from([size, None])),
    )


@st.composite
def _padded(draw: Any, size: Any) -> Any:
    rows, columns = (tuple(draw(st.integers(0, 3)) for _ in range(2)) for _ in range(2))
    return lambda y: ops.pad(y, ((0, 0), rows, columns, (0, 0)))


@st.composite
def _resized(draw: Any, size: Any) -> Any:
    target = tuple(n * draw(st.integers(1, 3)) for n in size[:2])
    how = draw(st.sampled_from(["nearest", "bilinear"]))
    if draw(st.booleans()):
        return layers.Resizing(*target, interpolation=how)
    return lambda y: ops.image.resize(y, target, interpolation=how)


@st.composite
def _cropped(draw: Any, size: Any) -> Any:
    rows, columns = (_cut(draw, n) for n in size[:2])
    return lambda y: y[:, rows, columns]


@st.composite
def _one_channel(draw: Any, size: Any) -> Any:
    channel = draw(st.integers(-size[2], size[2] - 1))
    if draw(st.booleans()):
        return lambda y: y[..., channel]
    return lambda y: y[..., channel : channel + 1 or None]


@st.composite
def _joined(draw: Any, size: Any) -> Any:
    count, axis = draw(st.integers(2, 6)), draw(st.sampled_from([1, 2, 3, -1, -2, -3]))
    return lambda y: ops.concatenate([y] * count, axis=axis)


@st.composite
def _clamped(draw: Any, size: Any) -> Any:
    slope, threshold = draw(slopes), draw(slopes)
    top = draw(st.sampled_from([None, 1.0, 6.0]))
    return draw(
        st.sampled_from(
            [
                lambda y: keras.activations.relu(y, slope, top, threshold),
                lambda y: ops.leaky_relu(y, slope),
                lambda y: ops.elu(y, slope),
                ops.relu,
                ops.relu6,
                ops.silu,
                ops.hard_sigmoid,
                lambda y: ops.clip(y, 0, 6),
                lambda y: ops.maximum(0, y),
            ]
        )
    )


@st.composite
def _spelled(draw: Any) -> tuple[tuple[int, int, int], Any]:
    size = draw(st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 5)))
    kind = draw(st.sampled_from([_padded, _resized, _cropped, _one_channel, _joined, _clamped]))
    return size, draw(kind(size))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(_spelled())
def test_every_spelling_computes_the_same(rewrite_with: Build, drawn: Any) -> None:
    size, function = drawn
    x = keras.Input(size)
    outcome = rewrite_with(keras.Model(x, function(x)), [SPELL])
    assert outcome.reasons == []
    assert outcome.error <= 1e-6


def test_a_spelled_activation_fuses(randomized: Build, rewrite_with: Build) -> None:
    net = _net(lambda y: ops.relu(layers.Conv2DTranspose(3, 2, strides=2)(y)))
    outcome = rewrite_with(randomized(net), [SPELL, FuseActivation()])
    assert outcome.ops == ["Conv2DTranspose"]
    assert outcome.error <= 1e-6


def test_a_wrong_spelling_is_undone(rewrite_with: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = {"Relu": keras.activations.relu6}
    module = "portrait_tflite.convert.rewrites.keras.one_spelling._FUNCTIONS"
    monkeypatch.setattr(module, functions)
    outcome = rewrite_with(_net(lambda y: ops.relu(y * np.float32(9))), [SPELL])
    assert outcome.error == 0
    assert "verification failed" in outcome.reasons[0]

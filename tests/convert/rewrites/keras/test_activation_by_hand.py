"""Activations that are spelled out in operations, read by their values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from portrait_tflite.convert.graph import Graph, as_arrays, trace
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras import activation_by_hand
from portrait_tflite.convert.rewrites.keras.activation_by_hand import ActivationByHand
from portrait_tflite.convert.rewrites.keras.known_activations import Known, _times, recognize
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.convert.rewrites.keras.site import Site

Build = Callable[..., Any]
Function = Callable[[Any], Any]
HAND = ActivationByHand()
SLOPES = np.array([0.1, -0.3, 2.0])


def _sixths(y: Any) -> Any:
    return layers.ReLU(6.0)(y + 3.0) * (1.0 / 6.0)


def _elu(y: Any, slope: float = 1.0, rate: float = 1.0) -> Any:
    return ops.where(y > 0, y, slope * (ops.exp(ops.minimum(rate * y, 0.0)) - 1))


SPELLINGS: dict[str, list[Function]] = {
    "relu": [
        lambda y: ops.where(y > 0, y, 0.0),
        lambda y: ops.where(y < 0, ops.zeros_like(y), y),
        lambda y: y * ops.cast(y > 0, "float32"),
        lambda y: (y + ops.abs(y)) / 2,
        lambda y: keras.activations.threshold(y, 0.0, 0.0),
    ],
    "leaky_relu": [
        lambda y: ops.where(y > 0, y, 0.1 * y),
        lambda y: ops.where(y >= 0, y, y / 10.0),
        lambda y: ops.where(ops.greater(0, y), ops.multiply(0.2, y), y),
        lambda y: ops.where(ops.less_equal(y, 0.0), 2 * y, y),
        lambda y: ops.maximum(y, 0.1 * y),
        lambda y: layers.Maximum()([layers.Rescaling(0.3)(y), y]),
        lambda y: ops.minimum(3.0 * y, y),
        lambda y: ops.relu(y) - 0.25 * ops.relu(-y),
        lambda y: 0.55 * y + 0.45 * ops.abs(y),
    ],
    "prelu": [
        lambda y: ops.where(y > 0, y, y * SLOPES),
        lambda y: ops.relu(y) - ops.multiply(SLOPES, ops.relu(-y)),
        lambda y: ops.relu(y) + layers.Rescaling([0.3, 0.2, 0.1])(ops.minimum(y, 0)),
    ],
    "absolute": [lambda y: ops.where(y > 0, y, -y), lambda y: ops.maximum(-y, y)],
    "relu6": [
        lambda y: ops.minimum(ops.maximum(y, 0), 6),
        lambda y: ops.where(y > 6, 6.0, ops.relu(y)),
    ],
    "sigmoid": [lambda y: 1 / (1 + ops.exp(-y)), lambda y: (ops.tanh(y / 2) + 1) / 2],
    "tanh": [
        lambda y: 2 * ops.sigmoid(2 * y) - 1,
        lambda y: (ops.exp(y) - ops.exp(-y)) / (ops.exp(y) + ops.exp(-y)),
    ],
    "silu": [lambda y: y / (1 + ops.exp(-y))],
    "hard_sigmoid": [
        _sixths,
        lambda y: ops.relu6(3 + y) / 6,
        lambda y: layers.Rescaling(1 / 6)(ops.relu6(layers.Rescaling(1.0, 3.0)(y))),
        lambda y: ops.clip(y / 6 + 0.5, 0, 1),
    ],
    "hard_silu": [
        lambda y: layers.Multiply()([y, _sixths(y)]),
        lambda y: _sixths(y) * y,
        lambda y: y * ops.relu6(y + 3) / 6,
        lambda y: y * ops.hard_sigmoid(y),
        lambda y: y * (ops.relu6(y + 3) * 0.16667),
    ],
    "gelu": [
        lambda y: 0.5 * y * (1 + ops.erf(y / np.sqrt(2.0))),
        lambda y: y * (0.5 * (1.0 + ops.erf(y * 0.70710678))),
    ],
    "tanh_gelu": [
        lambda y: 0.5 * y * (1 + ops.tanh(0.7978845608 * (y + 0.044715 * ops.power(y, 3)))),
        lambda y: 0.5 * y * (1 + ops.tanh(0.79788456 * y * (1 + 0.044715 * y * y))),
    ],
    "softplus": [lambda y: ops.log1p(ops.exp(y)), lambda y: ops.log(1 + ops.exp(y))],
    "mish": [
        lambda y: y * ops.tanh(ops.softplus(y)),
        lambda y: y * ops.tanh(ops.log(1 + ops.exp(y))),
    ],
    "log_sigmoid": [
        keras.activations.log_sigmoid,
        lambda y: ops.log(ops.sigmoid(y)),
        lambda y: -ops.softplus(-y),
    ],
    "elu": [
        _elu,
        lambda y: ops.where(y > 0, y, ops.expm1(y)),
        lambda y: ops.relu(y) + ops.minimum(0.0, ops.exp(y) - 1.0),
        partial(_elu, slope=0.3),
        partial(_elu, slope=0.5, rate=3.0),
        lambda y: 1.2 * _elu(y, 0.7),
        partial(keras.activations.celu, alpha=0.5),
    ],
    "selu": [lambda y: 1.0507009873554805 * _elu(y, 1.6732632423543772)],
}
EACH = [
    pytest.param(name, function, id=f"{name}_{number}")
    for name, functions in SPELLINGS.items()
    for number, function in enumerate(functions)
]


def _net(function: Function) -> keras.Model:
    x = keras.Input((4, 5, 3))
    return keras.Model(x, function(x))


@pytest.mark.parametrize(("name", "function"), EACH)
def test_every_spelling_is_recognized(rewrite_with: Build, name: str, function: Function) -> None:
    outcome = rewrite_with(_net(function), [OneSpelling(), HAND])
    assert outcome.reasons == []
    assert outcome.forms[-1] == name
    scales = {"ChannelAffine"} if name in ("elu", "hard_silu") else set()
    assert len(set(outcome.ops) - scales) == 1, "one op, and what folds into its neighbours"
    assert outcome.error <= 2e-6


@pytest.mark.parametrize(
    "function",
    [
        lambda y: layers.ReLU(6.0)(y + 2.0) * (1.0 / 6.0),
        lambda y: layers.ReLU(6.0)(y + 3.0) * (1.0 / 5.0),
        lambda y: layers.ReLU(5.0)(y + 3.0) * (1.0 / 6.0),
        lambda y: layers.ReLU(6.0)(y * 3.0) * (1.0 / 6.0),
        lambda y: y * (ops.relu6(y + 3) * 0.17),
        lambda y: (y + 1.0) * layers.Activation("hard_sigmoid")(y),
        lambda y: 3 * y + 1,
        lambda y: y * ops.sigmoid(y),
        lambda y: y * ops.sigmoid(1.702 * y),
        lambda y: ops.where(y > 0.5, y, 0.0),
        lambda y: ops.where(y > 0, y, 0.1 * y + 0.01),
        lambda y: ops.where(y > 0, y, -0.5 * y),
        lambda y: ops.where(y > 0, y, ops.sin(y)),
        lambda y: y * layers.Activation("softmax")(y),
        lambda y: y * ops.cast(ops.max(y, axis=-1, keepdims=True) > 0, "float32"),
        lambda y: ops.where(y > 0, y, y * np.linspace(0, 1, 4 * 5 * 3).reshape(4, 5, 3)),
        layers.Activation("elu"),
        layers.LeakyReLU(0.1),
        layers.ReLU(),
    ],
)
def test_others_stay(rewrite_with: Build, function: Function) -> None:
    outcome = rewrite_with(_net(function), [OneSpelling(), HAND])
    assert HAND.name not in {record.rewrite for record in outcome.result.records}
    assert outcome.reasons == []


def test_what_is_no_number_stays() -> None:
    graph = trace(_net(lambda y: y / 0.0 * 1.0))
    assert HAND.match(graph.output, graph.uses()) is None


def test_what_somebody_else_reads_stays(rewrite_with: Build) -> None:
    x = keras.Input((4, 5, 3))
    below = 0.1 * x
    y = layers.Concatenate()([ops.where(x > 0, x, below), below])
    assert rewrite_with(keras.Model(x, y), [HAND]).forms == []


def test_an_operation_of_the_users_own_stays(rewrite_with: Build) -> None:
    class Where(keras.Operation):  # type: ignore[misc]  # Keras is untyped
        def call(self, x: Any) -> Any:
            return ops.where(x > 0, x, 0.1 * x)

        def compute_output_spec(self, x: Any) -> Any:
            return keras.KerasTensor(x.shape, x.dtype)

    assert rewrite_with(_net(lambda y: Where()(y) * 1.0), [HAND]).forms == []


def test_a_number_of_numpy_is_one_of_float32() -> None:
    graph = trace(_net(lambda y: y / np.sqrt(2.0) + np.arange(3.0)))
    assert np.asarray(graph(np.ones((1, 4, 5, 3), np.float32))).dtype == np.float32


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(("leaky", "prelu", "elu", "swish", "other")),
    spelling=st.integers(0, 100),
    slope=st.floats(0.001, 4).filter(lambda slope: abs(slope - 1) > 1e-3),
    rate=st.floats(0.3, 3),
    reach=st.floats(0.5, 20),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(2, 5)),
    seed=st.integers(0, 1 << 16),
)
def test_whatever_the_numbers_are(
    kind: str,
    spelling: int,
    slope: float,
    rate: float,
    reach: float,
    shape: tuple[int, ...],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    slopes = rng.uniform(-2, 0.9, shape[-1])
    fixed = [one for name in sorted(SPELLINGS) if name != "prelu" for one in SPELLINGS[name]]
    functions: dict[str, list[Function]] = {
        "leaky": [
            lambda y: ops.where(y > 0, y, slope * y),
            lambda y: ops.maximum(y, slope * y) if slope < 1 else ops.minimum(slope * y, y),
            lambda y: ops.relu(y) - slope * ops.relu(-y),
        ],
        "prelu": [
            lambda y: ops.where(y < 0, y * slopes, y),
            lambda y: ops.relu(y) - ops.multiply(slopes, ops.relu(-y)),
        ],
        "elu": [lambda y: _elu(y, slope, rate), lambda y: rate * _elu(y, slope)],
        "swish": [lambda y: _sixths(y) * y, lambda y: y * _sixths(y)],
        "other": fixed,
    }
    choices = functions[kind]
    x = keras.Input(shape)
    graph = trace(keras.Model(x, choices[spelling % len(choices)](x)))
    site = HAND.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    build = site.forms[0].build
    assert build
    image = rng.uniform(-reach, reach, (2, *shape)).astype(np.float32)
    image.flat[0], image.flat[-1] = 0, reach  # where the sides meet; and a magnitude
    arrays = as_arrays(one(image) for one in (graph, Graph(graph.input, build(site.boundary))))
    assert difference(*arrays)[1] <= TOLERANCE


@pytest.mark.parametrize(("name", "function"), EACH)
def test_a_broken_one_is_undone(
    rewrite_with: Build, monkeypatch: pytest.MonkeyPatch, name: str, function: Function
) -> None:
    def wrong(values: Any) -> Any:
        known = recognize(values)
        return known and Known(known.name, lambda name, x: known.build(name, _times("wrong", x, 2)))

    monkeypatch.setattr(activation_by_hand, "recognize", wrong)
    outcome = rewrite_with(_net(function), [HAND])
    assert "verification failed" in outcome.reasons[-1], name
    assert outcome.error <= 1e-7  # some have numbers of float64 in the original

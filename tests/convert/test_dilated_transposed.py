"""Dilated transposed convolutions, which TensorFlow runs on no CPU, against sums of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert import dilated_transposed
from portrait_tflite.convert.choice import CheapestForm, EveryExactForm
from portrait_tflite.convert.dilated_transposed import (
    make_runnable,
    require_rows_that_tensorflow_makes,
)
from portrait_tflite.convert.graph import Graph, trace
from portrait_tflite.convert.rewriter import rewrite_graph
from portrait_tflite.errors import ConversionError
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]


def _net(size: tuple[int, int, int], kernel: Any, **options: Any) -> keras.Model:
    x = keras.Input(size)
    return keras.Model(x, layers.Conv2DTranspose(2, kernel, name="up", **options)(x))


def _scattered(picture: Any, layer: Any, length: tuple[int, int]) -> Any:
    """Add every position's share to where a transposed convolution puts it, then cut."""
    kernel, bias = (np.asarray(weight, np.float64) for weight in layer.get_weights())
    height, width, _ = picture.shape
    rows, columns = layer.dilation_rate
    reach = ((kernel.shape[0] - 1) * rows, (kernel.shape[1] - 1) * columns)
    full = np.zeros((height + reach[0], width + reach[1], kernel.shape[2]))
    for u, v in np.ndindex(*kernel.shape[:2]):
        share = np.einsum("hwi,oi->hwo", picture, kernel[u, v])
        full[u * rows : u * rows + height, v * columns : v * columns + width] += share
    top, left = (
        (whole - size) // 2 if layer.padding == "same" else 0
        for whole, size in zip(full.shape, length, strict=False)
    )
    return full[top : top + length[0], left : left + length[1]] + bias


def _difference(model: keras.Model, graph: Graph, seed: int = 0) -> float:
    picture = np.random.default_rng(seed).normal(size=graph.input.shape).astype(np.float32)
    layer = model.get_layer("up")
    expected = _scattered(picture[0], layer, model.output.shape[1:3])
    found = np.asarray(graph(picture))[0]
    assert found.shape == expected.shape == graph.output.shape[1:]
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    kernel=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    dilation=st.tuples(st.integers(1, 4), st.integers(1, 4)).filter(lambda d: d != (1, 1)),
    padding=st.sampled_from(["same", "valid"]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)),
    seed=st.integers(0, 9),
)
def test_it_is_what_the_sums_say(
    randomized: Build,
    kernel: tuple[int, int],
    dilation: tuple[int, int],
    padding: str,
    size: tuple[int, int, int],
    seed: int,
) -> None:
    model = _net(size, kernel, dilation_rate=dilation, padding=padding)
    assert _difference(randomized(model, seed), trace(model), seed) <= 1e-5


def test_it_keeps_its_name_and_takes_its_activation_along(randomized: Build) -> None:
    model = randomized(_net((5, 6, 3), 3, dilation_rate=2, padding="same", activation="relu"))
    graph = trace(model)
    assert graph.output.node.name == "up"
    assert np.asarray(graph(np.ones((1, 5, 6, 3), np.float32))).min() >= 0


def test_where_same_pads_alike_no_padding_is_left(randomized: Build) -> None:
    model = randomized(_net((5, 6, 3), 3, dilation_rate=2, padding="same"))
    picture = np.ones((1, 5, 6, 3), np.float32)
    chooser = EveryExactForm(CheapestForm(Delegate.XNNPACK))
    graph = rewrite_graph(trace(model), picture, chooser).graph
    assert [type(node.op).__name__ for node in graph.nodes() if node.op] == ["Conv2D"]
    assert _difference(model, graph) <= 1e-5


@pytest.mark.parametrize(
    "options", [{}, {"strides": 2}, {"dilation_rate": 2, "data_format": "channels_first"}]
)
def test_others_stay_what_they_are(options: dict[str, Any]) -> None:
    node = trace(_net((4, 4, 3), 3, **options)).output.node
    assert type(node.op) is layers.Conv2DTranspose


def test_a_padding_on_the_other_side_shows(
    randomized: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = randomized(_net((5, 6, 3), (2, 3), dilation_rate=(3, 2), padding="same"))
    right = dilated_transposed._pads
    monkeypatch.setattr(
        dilated_transposed, "_pads", lambda *at: [side[::-1] for side in right(*at)]
    )
    assert _difference(model, trace(model)) > 0.1


@pytest.mark.parametrize("fault", ["not_turned", "transposed", "no_bias"])
def test_other_weights_show(randomized: Build, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    model = randomized(_net((5, 6, 2), (2, 3), dilation_rate=(3, 2), padding="same"))
    kernel, bias = model.get_layer("up").get_weights()
    wrong = {
        "not_turned": [kernel[::-1, ::-1], bias],
        "transposed": [kernel.swapaxes(2, 3), bias],
        "no_bias": [kernel, 0 * bias],
    }
    with monkeypatch.context() as patch:
        patch.setattr(model.get_layer("up"), "get_weights", lambda: wrong[fault])
        graph = trace(model)
    assert _difference(model, graph) > 0.1


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_model_itself_runs_then(randomized: Build, padding: str) -> None:
    model = randomized(_net((5, 6, 3), (2, 3), dilation_rate=(1, 2), padding=padding))
    picture = np.random.default_rng(0).normal(size=(1, 5, 6, 3)).astype(np.float32)
    make_runnable(model)
    found = np.asarray(model.predict_on_batch(picture))
    expected = _scattered(picture[0], model.get_layer("up"), model.output.shape[1:3])
    assert found[0] == pytest.approx(expected, abs=1e-5)
    assert _difference(model, trace(model)) <= 1e-5


@pytest.mark.parametrize(
    ("kernel", "strides", "added", "runs"),
    [
        ((3, 3), 2, (0, 1), True),
        ((2, 3), 2, (1, 1), True),
        ((2, 4), 1, (0, 0), False),
        ((3, 4), 2, (1, 0), False),
        ((3, 4), 2, None, True),
    ],
)
def test_rows_that_tensorflow_does_not_make_are_refused_by_name(
    kernel: tuple[int, int], strides: int, added: Any, runs: bool
) -> None:
    model = _net((5, 6, 3), kernel, strides=strides, padding="same", output_padding=added)
    picture = np.zeros((1, 5, 6, 3), np.float32)
    if runs:
        require_rows_that_tensorflow_makes(model, "net.keras")
        model(picture)
    else:
        with pytest.raises(ConversionError, match=r"'up' of net\.keras, a Conv2DTranspose"):
            require_rows_that_tensorflow_makes(model, "net.keras")
        with pytest.raises(tf.errors.OpError):
            model(picture)

"""Smooth activations as ReLU6, where that is asked for by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.choice import CheapestForm
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewriter import rewrite_graph
from portrait_tflite.convert.rewrites.keras.activation_by_hand import ActivationByHand
from portrait_tflite.convert.rewrites.keras.fused_activation import FuseActivation
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.convert.rewrites.keras.smooth_activation import SmoothActivation
from portrait_tflite.vocabulary import Approximation, Delegate

Build = Callable[..., Any]
ASKED = CheapestForm(Delegate.XNNPACK, frozenset({Approximation.RELU6}))
ORDER = (OneSpelling(), ActivationByHand(), SmoothActivation())

SPELLINGS: dict[str, Build] = {
    "argument": lambda x: layers.Conv2D(4, 3, activation="hard_silu", name="conv")(x),
    "depthwise": lambda x: layers.DepthwiseConv2D(3, activation="silu", name="conv")(x),
    "separable": lambda x: layers.SeparableConv2D(4, 3, activation="gelu", name="conv")(x),
    "layer": lambda x: layers.Activation("silu")(layers.Conv2D(4, 3, name="conv")(x)),
    "swish": lambda x: keras.activations.swish(layers.Conv2D(4, 3, name="conv")(x)),
    "gelu": lambda x: keras.ops.gelu(layers.Conv2D(4, 3, name="conv")(x)),
    "by_hand": lambda x: _swish_by_hand(layers.Conv2D(4, 3, name="conv")(x)),
    "hard_by_hand": lambda x: _hard_swish_by_hand(layers.Conv2D(4, 3, name="conv")(x)),
}


def _swish_by_hand(x: Any) -> Any:
    return layers.Multiply()([layers.Activation("sigmoid")(x), x])


def _hard_swish_by_hand(x: Any) -> Any:
    return layers.Multiply()([x, layers.ReLU(6.0)(x + 3.0) * (1 / 6)])


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_becomes_relu6(
    randomized: Build, rewrite_with: Build, images_for: Build, spelling: str
) -> None:
    x = keras.Input((6, 6, 3))
    model = randomized(keras.Model(x, SPELLINGS[spelling](x)))
    outcome = rewrite_with(model, ORDER, chooser=ASKED)
    record = outcome.result.records[-1]
    assert (record.rewrite, record.chosen, record.exact) == ("smooth_activation", "relu6", False)
    assert record.max_rel_error == pytest.approx(outcome.error, rel=1e-3)
    assert 0.01 < record.max_rel_error < 1
    names = [getattr(getattr(n.op, "activation", None), "__name__", "") for n in _nodes(outcome)]
    assert "relu6" in names
    assert not {"hard_silu", "silu", "gelu", "sigmoid"} & set(names)


def _nodes(outcome: Any) -> Any:
    return outcome.result.graph.nodes()


@pytest.mark.parametrize("spelling", ["layer", "by_hand", "gelu"])
def test_a_convolution_takes_the_clamp_along(
    randomized: Build, rewrite_with: Build, spelling: str
) -> None:
    x = keras.Input((6, 6, 3))
    model = randomized(keras.Model(x, SPELLINGS[spelling](x)))
    outcome = rewrite_with(model, (*ORDER, FuseActivation()), chooser=ASKED)
    assert outcome.ops == ["Conv2D"]
    assert outcome.result.graph.output.node.op.activation is keras.activations.relu6


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "mish", "tanh", "softmax"])
def test_others_stay(randomized: Build, rewrite_with: Build, activation: str) -> None:
    x = keras.Input((6, 6, 3))
    y = layers.Activation(activation)(layers.Conv2D(4, 3, activation=activation)(x))
    outcome = rewrite_with(randomized(keras.Model(x, y)), [SmoothActivation()], chooser=ASKED)
    assert outcome.result.records == outcome.result.skipped == ()


def test_a_gate_of_another_tensor_stays(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((6, 6, 3))
    gate = layers.Activation("sigmoid")(layers.Conv2D(4, 3)(x))
    model = randomized(keras.Model(x, layers.Multiply()([layers.Conv2D(4, 3)(x), gate])))
    assert rewrite_with(model, ORDER, chooser=ASKED).result.records == ()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_unasked_it_leaves_no_trace(randomized: Build, rewrite_with: Build, spelling: str) -> None:
    x = keras.Input((6, 6, 3))
    model = randomized(keras.Model(x, SPELLINGS[spelling](x)))
    outcome = rewrite_with(model, [SmoothActivation()])
    assert outcome.result.records == outcome.result.skipped == ()
    assert outcome.error == 0


def test_forms_say_what_they_cost(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((6, 6, 3))
    y = layers.Activation("silu", name="alone")(layers.Conv2D(8, 3, activation="silu")(x))
    outcome = rewrite_with(randomized(keras.Model(x, y)), [SmoothActivation()], chooser=ASKED)
    first, alone = outcome.result.records
    fused, behind = ({c.form: c.cost for c in r.candidates} for r in (first, alone))
    assert fused["relu6"] == 0 < behind["relu6"] < behind["silu"] == fused["silu"]


def test_what_the_table_has_not_counted_has_no_cost(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((6, 6, 3))
    model = randomized(keras.Model(x, layers.Conv2D(8, 3, activation="gelu")(x)))
    table = CostTable.load("arm64")
    known = tuple(series for series in table.series if series.kind != "GELU")
    asked = replace(ASKED, table=replace(table, series=known))
    (record,) = rewrite_with(model, [SmoothActivation()], chooser=asked).result.records
    assert [(c.form, c.outside, c.cost) for c in record.candidates] == [
        ("relu6", 0, 0), ("gelu", 0, None)
    ]  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    activation=st.sampled_from(["hard_silu", "silu", "gelu"]),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid"]),
    filters=st.integers(1, 4),
    depthwise=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_what_comes_out_is_relu6_of_the_same_sums(
    activation: str,
    kernel: tuple[int, int],
    stride: int,
    padding: str,
    filters: int,
    depthwise: bool,
    seed: int,
) -> None:
    shape = {"strides": stride, "padding": padding, "activation": activation}
    layer = (
        layers.DepthwiseConv2D(kernel, depth_multiplier=filters, **shape)
        if depthwise
        else layers.Conv2D(filters, kernel, **shape)
    )
    x = keras.Input((5, 4, 2))
    model = keras.Model(x, layer(x))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    images = rng.normal(0, 2, (1, 5, 4, 2)).astype(np.float32)
    result = rewrite_graph(trace(model), images, ASKED, [SmoothActivation()])
    layer.activation = keras.activations.relu6
    expected = np.asarray(layer(images))
    np.testing.assert_allclose(np.asarray(result.graph(images)), expected, atol=1e-5)

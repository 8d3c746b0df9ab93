"""The tanh from 0 to 1 that is a sigmoid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from portrait_tflite.convert.choice import CheapestForm, EveryExactForm
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewriter import TOLERANCE, difference, rewrite_graph
from portrait_tflite.convert.rewrites.keras import sigmoid_by_hand
from portrait_tflite.convert.rewrites.keras.affine_behind import FoldAffineBehind
from portrait_tflite.convert.rewrites.keras.fused_activation import FuseActivation
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.convert.rewrites.keras.sigmoid_by_hand import SigmoidByHand
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
ORDER = [OneSpelling(), SigmoidByHand(), FoldAffineBehind(), FuseActivation()]

SPELLINGS: dict[str, Build] = {
    "halved": lambda t: (t + 1.0) / 2,
    "times_half": lambda t: 0.5 * (1 + t),
    "half_and_half": lambda t: t * 0.5 + 0.5,
    "layer": layers.Rescaling(0.5, 0.5),
    "two_layers": lambda t: layers.Rescaling(0.5)(layers.Rescaling(1.0, 1.0)(t)),
    "minus": lambda t: (t - (-1)) / 2.0,
}
TANHS: dict[str, Build] = {
    "argument": lambda x: layers.Conv2D(2, 3, activation="tanh")(x),
    "transposed": lambda x: layers.Conv2DTranspose(2, 3, 2, activation="tanh")(x),
    "layer": lambda x: layers.Activation("tanh")(layers.Conv2D(2, 3)(x)),
    "operation": lambda x: ops.tanh(layers.Conv2D(2, 3)(x)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("tanh", TANHS)
def test_every_spelling_becomes_a_convolution_with_a_sigmoid(
    randomized: Build, rewrite_with: Build, spelling: str, tanh: str
) -> None:
    x = keras.Input((6, 6, 3))
    model = randomized(keras.Model(x, SPELLINGS[spelling](TANHS[tanh](x))))
    outcome = rewrite_with(model, ORDER)
    (op,) = outcome.ops
    assert op.startswith("Conv2D")
    assert outcome.result.graph.output.node.op.activation is keras.activations.sigmoid
    assert outcome.error <= 1e-6


@pytest.mark.parametrize(
    "function",
    [
        lambda y: layers.Activation("tanh")(y),
        lambda y: layers.Activation("tanh")(y) * 0.5,
        lambda y: (layers.Activation("tanh")(y) + 1.0) / 3,
        lambda y: (1.0 - layers.Activation("tanh")(y)) / 2,
        lambda y: layers.Activation("tanh")(y) * 0.5 + 1.0,
        lambda y: layers.Activation("relu")(y) * 0.5 + 0.5,
        lambda y: layers.Conv2D(2, 1, activation="relu")(y) * 0.5 + 0.5,
    ],
)
def test_others_stay(randomized: Build, rewrite_with: Build, function: Build) -> None:
    x = keras.Input((6, 6, 3))
    outcome = rewrite_with(randomized(keras.Model(x, function(x))), [SigmoidByHand()])
    assert outcome.result.records == outcome.result.skipped == ()
    assert outcome.error == 0


def test_a_tanh_that_is_used_elsewhere_stays(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((6, 6, 3))
    tanh = layers.Conv2D(2, 3, activation="tanh")(x)
    y = layers.Concatenate()([tanh, layers.Rescaling(0.5, 0.5)(tanh)])
    outcome = rewrite_with(randomized(keras.Model(x, y)), [SigmoidByHand()])
    assert outcome.result.records == ()


@pytest.mark.parametrize("tanh", ["argument", "layer"])
def test_a_broken_one_is_undone(
    randomized: Build, rewrite_with: Build, monkeypatch: pytest.MonkeyPatch, tanh: str
) -> None:
    rebuilt = sigmoid_by_hand.rebuilt

    def not_doubled(op: Any, name: str, source: Any, kernel: Any, *others: Any) -> Any:
        return rebuilt(op, name, source, kernel / 2, *others)

    monkeypatch.setattr(sigmoid_by_hand, "rebuilt", not_doubled)
    monkeypatch.setattr(sigmoid_by_hand, "apply_op", lambda *given: given[-1])
    x = keras.Input((6, 6, 3))
    model = randomized(keras.Model(x, layers.Rescaling(0.5, 0.5)(TANHS[tanh](x))))
    outcome = rewrite_with(model, [SigmoidByHand()])
    assert "verification failed" in outcome.reasons[0]
    assert outcome.error == 0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    spelling=st.sampled_from(sorted(SPELLINGS)),
    tanh=st.sampled_from(sorted(TANHS)),
    size=st.tuples(st.integers(5, 8), st.integers(5, 8)),
    scale=st.floats(0.01, 1),
    seed=st.integers(0, 1000),
)
def test_it_computes_the_same(
    spelling: str, tanh: str, size: tuple[int, int], scale: float, seed: int
) -> None:
    x = keras.Input((*size, 2))
    model = keras.Model(x, SPELLINGS[spelling](TANHS[tanh](x)))
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, scale, w.shape) for w in model.get_weights()])
    images = rng.normal(0, 1, (1, *size, 2)).astype(np.float32)
    chooser = EveryExactForm(CheapestForm(Delegate.XNNPACK))
    result = rewrite_graph(trace(model), (images,), chooser, [OneSpelling(), SigmoidByHand()])
    assert "sigmoid_by_hand" in {record.rewrite for record in result.records}
    _, relative = difference(np.asarray(model(images)), np.asarray(result.graph(images)))
    assert relative <= TOLERANCE

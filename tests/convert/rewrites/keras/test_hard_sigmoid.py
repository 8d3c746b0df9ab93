"""Hard sigmoids and hard swishes, by hand and for the GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from portrait_tflite.convert.choice import CheapestForm
from portrait_tflite.convert.graph import Graph, Node, apply_op, as_arrays, trace
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras import hard_sigmoid
from portrait_tflite.convert.rewrites.keras.hard_sigmoid import (
    HardSigmoidByHand,
    HardSigmoidForGpu,
    HardSwishByHand,
)
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.convert.rewrites.keras.site import Site
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
HAND, SWISH, FOR_GPU = HardSigmoidByHand(), HardSwishByHand(), HardSigmoidForGpu()
SPELL = OneSpelling()


def _net(function: Callable[[Any], Any]) -> keras.Model:
    x = keras.Input((4, 5, 3))
    return keras.Model(x, function(x))


def _sixths(y: Any) -> Any:
    return layers.ReLU(6.0)(y + 3.0) * (1.0 / 6.0)


@pytest.mark.parametrize(
    ("function", "activations"),
    [
        (_sixths, [keras.activations.hard_sigmoid]),
        (lambda y: ops.relu6(3 + y) / 6, [keras.activations.hard_sigmoid]),
        (
            lambda y: layers.Rescaling(1 / 6)(ops.relu6(layers.Rescaling(1.0, 3.0)(y))),
            [keras.activations.hard_sigmoid],
        ),
        (lambda y: layers.Multiply()([y, _sixths(y)]), [keras.activations.hard_silu]),
        (lambda y: _sixths(y) * y, [keras.activations.hard_silu]),
        (lambda y: y * ops.hard_sigmoid(y), [keras.activations.hard_silu]),
    ],
)
def test_by_hand_it_is_recognized(
    rewrite_with: Build, function: Callable[[Any], Any], activations: list[Any]
) -> None:
    outcome = rewrite_with(_net(function), [SPELL, HAND, SWISH])
    nodes = [node for node in outcome.result.graph.nodes() if node.op]
    assert [node.op.activation for node in nodes] == activations
    assert outcome.error <= 1e-6


@pytest.mark.parametrize(
    "function",
    [
        lambda y: layers.ReLU(6.0)(y + 2.0) * (1.0 / 6.0),
        lambda y: layers.ReLU(6.0)(y + 3.0) * (1.0 / 5.0),
        lambda y: layers.ReLU(5.0)(y + 3.0) * (1.0 / 6.0),
        lambda y: layers.ReLU(6.0)(y + 3.0),
        lambda y: layers.ReLU(6.0)(y * 3.0) * (1.0 / 6.0),
        lambda y: (y + 1.0) * layers.Activation("hard_sigmoid")(y),
        lambda y: y / 0.0,
    ],
)
def test_what_is_none_stays(function: Callable[[Any], Any]) -> None:
    graph = trace(_net(function))
    assert HAND.match(graph.output, graph.uses()) is None
    assert SWISH.match(graph.output, graph.uses()) is None


HOLDERS: dict[str, Callable[[], Any]] = {
    "activation": lambda: layers.Activation("hard_sigmoid", name="gate"),
    "convolution": lambda: layers.Conv2D(2, 3, activation="hard_sigmoid", name="gate"),
    "depthwise": lambda: layers.DepthwiseConv2D(2, activation="hard_sigmoid", use_bias=False),
    "transposed": lambda: layers.Conv2DTranspose(2, 3, activation="hard_sigmoid", name="gate"),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_for_the_gpu_it_is_spelled_out(randomized: Build, rewrite_with: Build, holder: str) -> None:
    net = randomized(_net(HOLDERS[holder]()))
    outcome = rewrite_with(net, [FOR_GPU], chooser=CheapestForm(Delegate.GPU))
    assert outcome.forms == ["per_channel"]
    assert outcome.error <= 1e-6
    kept = rewrite_with(net, [FOR_GPU], chooser=CheapestForm(Delegate.XNNPACK))
    assert kept.forms == []


def test_other_layers_with_one_are_refused(refusal_of: Build) -> None:
    net = _net(layers.Conv2D(3, 1, groups=3, activation="hard_sigmoid"))
    assert refusal_of(net, FOR_GPU) == "Conv2D of rank 4"
    flat = _net(lambda y: layers.Activation("hard_sigmoid")(layers.Flatten()(y)))
    assert refusal_of(flat, FOR_GPU) == "Activation of rank 2"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 4), st.integers(1, 5), st.floats(0.01, 20), st.booleans())
def test_whatever_the_numbers_are(size: int, depth: int, reach: float, swish: bool) -> None:
    source = Node("image", None, (), (), {}, ((1, size, 2, depth),)).output
    by_hand = _sixths_node(source)
    if swish:
        by_hand = apply_op("swish", layers.Multiply(), [source, by_hand])
    image = np.random.default_rng(depth).uniform(-reach, reach, (2, size, 2, depth))
    graph = Graph(source, by_hand)
    site = HAND.match(_sixths_node(source), graph.uses())
    assert isinstance(site, Site)
    assert site.forms[0].build
    gate = site.forms[0].build(site.boundary)
    spelled = FOR_GPU.match(gate, graph.uses())
    assert isinstance(spelled, Site)
    assert spelled.forms[0].build
    for value in (gate, spelled.forms[0].build(spelled.boundary)):
        whole = apply_op("swish", layers.Multiply(), [source, value]) if swish else value
        pair = as_arrays([graph(image.astype("float32")), Graph(source, whole)(image)])
        assert difference(*pair)[1] <= TOLERANCE


def _sixths_node(source: Any) -> Any:
    moved = apply_op("moved", layers.Rescaling(1.0, 3.0), source)
    return apply_op("scaled", layers.Rescaling(1 / 6), apply_op("clamp", layers.ReLU(6.0), moved))


def test_a_broken_one_is_undone(rewrite_with: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(name: str, source: Any) -> Any:
        return apply_op(name, lambda x: ops.relu6(x + 2) / 6, source)

    monkeypatch.setattr(hard_sigmoid, "_spelled", wrong)
    net = _net(HOLDERS["activation"]())
    outcome = rewrite_with(net, [FOR_GPU], chooser=CheapestForm(Delegate.GPU))
    assert "verification failed" in outcome.reasons[0]
    assert outcome.error == 0

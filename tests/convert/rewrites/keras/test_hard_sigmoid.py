"""Hard sigmoids and hard swishes, spelled out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from portrait_tflite.convert.graph import Graph, Node, Value, apply_op, as_arrays, trace
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras import hard_sigmoid
from portrait_tflite.convert.rewrites.keras.hard_sigmoid import (
    HardSigmoidByHand,
    HardSwishByHand,
)
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.convert.rewrites.keras.site import Site

Build = Callable[..., Any]
HAND, SWISH = HardSigmoidByHand(), HardSwishByHand()
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


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 4), st.integers(1, 5), st.floats(0.01, 20), st.booleans(), st.booleans())
def test_whatever_the_numbers_are(
    size: int, depth: int, reach: float, swish: bool, gate_first: bool
) -> None:
    source = Node("image", None, (), (), {}, ((1, size, 2, depth),)).output

    def gated(gate: Value) -> Graph:
        pair = [gate, source] if gate_first else [source, gate]
        return Graph(source, apply_op("swish", layers.Multiply(), pair) if swish else gate)

    by_hand = _sixths_node(source)
    read = gated(_read_by(HAND, Graph(source, by_hand), keras.activations.hard_sigmoid))
    if swish:
        read = Graph(source, _read_by(SWISH, read, keras.activations.hard_silu))
    image = np.random.default_rng(depth).uniform(-reach, reach, (2, size, 2, depth))
    arrays = as_arrays([graph(image.astype("float32")) for graph in (gated(by_hand), read)])
    assert difference(*arrays)[1] <= TOLERANCE


def _read_by(rewrite: HardSigmoidByHand | HardSwishByHand, graph: Graph, function: Any) -> Value:
    site = rewrite.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    assert site.forms[0].build
    value = site.forms[0].build(site.boundary)
    assert value.node.op.activation is function
    return value


def _sixths_node(source: Any) -> Any:
    moved = apply_op("moved", layers.Rescaling(1.0, 3.0), source)
    return apply_op("scaled", layers.Rescaling(1 / 6), apply_op("clamp", layers.ReLU(6.0), moved))


def test_a_broken_one_is_undone(rewrite_with: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(name: str, source: Any, function: str) -> Any:
        assert function == "hard_sigmoid"
        return apply_op(name, layers.Activation("sigmoid"), source)

    monkeypatch.setattr(hard_sigmoid, "activate", wrong)
    outcome = rewrite_with(_net(_sixths), [SPELL, HAND])
    assert "verification failed" in outcome.reasons[0]
    assert outcome.error == 0


def test_a_broken_swish_is_undone(rewrite_with: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    right = hard_sigmoid.activate

    def wrong(name: str, source: Any, function: str) -> Any:
        return right(name, source, "silu" if function == "hard_silu" else function)

    monkeypatch.setattr(hard_sigmoid, "activate", wrong)
    outcome = rewrite_with(_net(lambda y: y * ops.hard_sigmoid(y)), [SPELL, SWISH])
    assert "verification failed" in outcome.reasons[0]
    assert outcome.error == 0

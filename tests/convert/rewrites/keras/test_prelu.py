"""A PReLU becomes ops that XNNPACK has in int8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.choice import CheapestForm
from portrait_tflite.convert.graph import Graph, Node, apply_op, as_arrays, trace
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras import prelu
from portrait_tflite.convert.rewrites.keras.prelu import Prelu
from portrait_tflite.convert.rewrites.keras.site import Site
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
PRELU = Prelu()
SHARED = {"channel": [1, 2], "position": None, "all": [1, 2, 3]}


def _net(slopes: Any, shared: list[int] | None, shape: tuple[int, ...] = (4, 5, 3)) -> keras.Model:
    x = keras.Input(shape)
    layer = layers.PReLU(shared_axes=shared, name="prelu")
    net = keras.Model(x, layer(x))
    layer.alpha.assign(np.broadcast_to(np.asarray(slopes, np.float32), layer.alpha.shape))
    return net


@pytest.mark.parametrize(
    ("slopes", "shared", "form", "ops"),
    [
        ([0.1, -0.3, 1], "channel", "two_depthwise", ["DepthwiseConv2D"] * 2 + ["Add"]),
        (
            [0.1, 1.5, 0.7],
            "channel",
            "two_depthwise",
            ["DepthwiseConv2D", "Activation", "DepthwiseConv2D", "Add"],
        ),
        ([0.2, 0.2, 0.2], "channel", "leaky_relu", ["LeakyReLU"]),
        (0.25, "all", "leaky_relu", ["LeakyReLU"]),
        (0, "position", "relu", ["ReLU"]),
        (-0.5, "all", "two_depthwise", ["DepthwiseConv2D"] * 2 + ["Add"]),
        (
            np.linspace(-2, 2, 60).reshape(4, 5, 3),
            "position",
            "two_products",
            ["function", "Activation", "function", "Add"],
        ),
    ],
)
def test_the_slopes_decide_the_form(
    rewrite_with: Build, slopes: Any, shared: str, form: str, ops: list[str]
) -> None:
    chooser = CheapestForm(Delegate.XNNPACK)
    outcome = rewrite_with(_net(slopes, SHARED[shared]), [PRELU], chooser=chooser)
    assert (outcome.forms, outcome.ops) == ([form], ops)
    assert outcome.error <= 1e-6


def test_for_the_gpu_it_stays(rewrite_with: Build) -> None:
    chooser = CheapestForm(Delegate.GPU)
    outcome = rewrite_with(_net([0.1, 0.2, 0.3], [1, 2]), [PRELU], chooser=chooser)
    assert (outcome.forms, outcome.ops) == ([], ["PReLU"])


def test_behind_a_dense_layer_it_is_refused(refusal_of: Build) -> None:
    assert refusal_of(_net(0.1, None, (7,)), PRELU) == "its tensor has rank 2, not 4"


def test_other_layers_are_none_of_its_business() -> None:
    x = keras.Input((4, 4, 2))
    graph = trace(keras.Model(x, layers.LeakyReLU(0.1)(x)))
    assert PRELU.match(graph.output, graph.uses()) is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from(("channel", "position", "all")),
    st.floats(-2, 2),
    st.floats(-2, 2),
)
def test_whatever_the_slopes_are(
    size: int, depth: int, shared: str, low: float, high: float
) -> None:
    rng = np.random.default_rng(size * 10 + depth)
    layer = layers.PReLU(shared_axes=SHARED[shared])
    layer.build((1, size, 2, depth))
    slopes = np.sort([low, high])
    layer.alpha.assign(rng.uniform(*slopes, layer.alpha.shape).astype(np.float32))
    source = Node("image", None, (), (), {}, ((1, size, 2, depth),)).output
    graph = Graph(source, apply_op("prelu", layer, source))
    site = PRELU.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    assert site.forms[0].build
    rewritten = Graph(source, site.forms[0].build(site.boundary))
    image = rng.normal(size=(2, size, 2, depth)).astype(np.float32)
    # Where all slopes are about 0, what is left of a tensor of negative numbers is tiny.
    magnitude = max(float(np.abs(image).max()), 1e-30)
    error, relative = difference(*as_arrays([graph(image), rewritten(image)]))
    assert min(relative, error / magnitude) <= TOLERANCE


@pytest.mark.parametrize("fault", ["sum", "slopes"])
def test_a_broken_one_is_undone(
    verdict_on: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "sum":
        monkeypatch.setattr(prelu, "_sum", lambda _name, one, _other: one)
    else:
        right = prelu._convolved
        monkeypatch.setattr(prelu, "_convolved", lambda n, v, s: right(n, v, s[..., ::-1]))
    net = _net([0.1, 0.2, 0.9], [1, 2])
    assert "verification failed" in verdict_on(net, PRELU, "two_depthwise", "prelu")

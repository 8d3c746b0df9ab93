"""Layer, group and instance normalization from ops that int8 has."""

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
from portrait_tflite.convert.rewrites.keras import normalization
from portrait_tflite.convert.rewrites.keras.normalization import Normalization
from portrait_tflite.convert.rewrites.keras.site import Site
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
NORM = Normalization()


def _net(layer: Any, shape: tuple[int, ...] = (5, 4, 6)) -> keras.Model:
    x = keras.Input(shape)
    return keras.Model(x, layer(layers.Dense(6)(x)))


@pytest.mark.parametrize(
    "layer",
    [
        layers.LayerNormalization(),
        layers.LayerNormalization(axis=3, center=False),
        layers.LayerNormalization(scale=False, center=False, epsilon=0.1),
        layers.GroupNormalization(2),
        layers.GroupNormalization(-1),
        layers.GroupNormalization(1, scale=False),
        layers.GroupNormalization(6, center=False, scale=False),
    ],
)
@pytest.mark.parametrize(
    ("delegate", "form"), [(Delegate.XNNPACK, "centered"), (Delegate.GPU, "centered_square")]
)
def test_it_is_computed_by_hand(
    randomized: Build, rewrite_with: Build, layer: Any, delegate: Delegate, form: str
) -> None:
    net = randomized(_net(layer))
    outcome = rewrite_with(net, [NORM], chooser=CheapestForm(delegate))
    assert outcome.forms == [form]
    assert outcome.error <= 1e-5
    assert all(len(node.output.shape) == 4 for node in outcome.result.graph.nodes())


@pytest.mark.parametrize(
    ("layer", "shape", "reason"),
    [
        (layers.LayerNormalization(axis=(1, 2, 3)), (5, 4, 6), "it normalizes over axis"),
        (layers.LayerNormalization(axis=1), (5, 4, 6), "it normalizes over axis"),
        (layers.GroupNormalization(2, axis=1), (4, 4, 6), "it normalizes over axis 1"),
        (layers.LayerNormalization(), (5, 6), "its tensor has rank 3, not 4"),
    ],
)
def test_other_axes_are_refused(
    refusal_of: Build, layer: Any, shape: tuple[int, ...], reason: str
) -> None:
    assert refusal_of(_net(layer, shape), NORM).startswith(reason)


def test_batch_normalization_is_none_of_its_business() -> None:
    graph = trace(_net(layers.BatchNormalization()))
    assert NORM.match(graph.output, graph.uses()) is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_whatever_the_groups_are(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 5)), data.draw(st.integers(2, 5))
    groups, size = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 3))
    depth = groups * size
    options = {"center": data.draw(st.booleans()), "scale": data.draw(st.booleans())}
    layer = (
        layers.LayerNormalization(**options)
        if data.draw(st.booleans())
        else layers.GroupNormalization(data.draw(st.sampled_from((groups, -1))), **options)
    )
    rng = np.random.default_rng(height * 100 + width * 10 + depth)
    layer.build((1, height, width, depth))
    for weight in layer.weights:
        weight.assign(rng.uniform(0.5, 2, weight.shape).astype(np.float32))
    source = Node("image", None, (), (), {}, ((1, height, width, depth),)).output
    graph = Graph(source, apply_op("norm", layer, source))
    site = NORM.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    image = rng.normal(size=(2, height, width, depth)).astype(np.float32)
    for form in site.forms:
        assert form.build
        pair = as_arrays([graph(image), Graph(source, form.build(site.boundary))(image)])
        assert difference(*pair)[1] <= TOLERANCE


@pytest.mark.parametrize("fault", ["epsilon", "groups"])
def test_a_broken_one_is_undone(
    randomized: Build, verdict_on: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    right = normalization._group_mean
    monkeypatch.setattr(
        normalization,
        "_group_mean",
        lambda name, source, groups, more: (
            right(name, source, groups, 0.0)
            if fault == "epsilon"
            else right(name, source, np.roll(groups, 1, axis=0), more)
        ),
    )
    net = randomized(_net(layers.GroupNormalization(2, name="norm", epsilon=0.1)))
    assert "verification failed" in verdict_on(net, NORM, "centered", "norm")

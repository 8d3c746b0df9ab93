"""1×1 convolutions before the bilinear resize that they follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.choice import CheapestForm, cost
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.costs.costed_op import FLOAT32
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras import bilinear_upsampling
from portrait_tflite.convert.rewrites.keras.bilinear_upsampling import PointwiseBeforeBilinear
from portrait_tflite.convert.rewrites.keras.site import Site
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
REWRITE = PointwiseBeforeBilinear()
SPELLINGS = ("UpSampling2D", "Resizing", "image.resize")


def _resized(x: Any, factors: tuple[int, int], spelling: str, interpolation: str) -> Any:
    target = (x.shape[1] * factors[0], x.shape[2] * factors[1])
    if spelling == "UpSampling2D":
        return layers.UpSampling2D(factors, interpolation=interpolation, name="up")(x)
    if spelling == "Resizing":
        return layers.Resizing(*target, interpolation=interpolation, name="up")(x)
    return keras.ops.image.resize(x, target, interpolation=interpolation)


def _net(
    *pointwise: Any,
    size: tuple[int, int, int] = (4, 3, 8),
    factors: tuple[int, int] = (2, 2),
    spelling: str = "UpSampling2D",
    interpolation: str = "bilinear",
) -> keras.Model:
    x = keras.Input(size)
    y = _resized(x, factors, spelling, interpolation)
    for layer in pointwise:
        y = layer(y)
    return keras.Model(x, y)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
    factors=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    spelling=st.sampled_from(SPELLINGS),
    before=st.lists(st.sampled_from(["mix", "scale"]), max_size=2),
    filters=st.integers(2, 5),
    use_bias=st.booleans(),
    activation=st.sampled_from([None, "relu", "sigmoid", "softmax"]),
    seed=st.integers(0, 9),
)
def test_linear_layers_commute_with_the_resize(
    randomized: Build,
    every_form: Build,
    size: tuple[int, int, int],
    factors: tuple[int, int],
    spelling: str,
    before: list[str],
    filters: int,
    use_bias: bool,
    activation: str | None,
    seed: int,
) -> None:
    chain = [
        layers.Conv2D(3, 1, use_bias=use_bias) if kind == "mix" else layers.DepthwiseConv2D(1)
        for kind in before
    ]
    last = layers.Conv2D(filters, 1, use_bias=use_bias, activation=activation)
    model = randomized(_net(*chain, last, size=size, factors=factors, spelling=spelling), seed)
    errors = every_form(model, REWRITE)
    assert list(errors) == ["pointwise_first"]
    assert errors["pointwise_first"] <= 1e-5


def test_sizes_that_are_no_whole_factors_commute_too(randomized: Build, every_form: Build) -> None:
    x = keras.Input((4, 5, 3))
    y = layers.Conv2D(2, 1, activation="tanh")(layers.Resizing(7, 3)(x))
    assert every_form(randomized(keras.Model(x, y)), REWRITE)["pointwise_first"] <= 1e-5


def test_the_activation_stays_behind(randomized: Build, rewrite_with: Build) -> None:
    last = layers.Conv2D(1, 1, activation="sigmoid", name="head")
    outcome = rewrite_with(randomized(_net(last)), (REWRITE,))
    assert (outcome.forms, outcome.error <= 1e-5) == (["pointwise_first"], True)
    assert outcome.ops == ["Conv2D", "Resizing", "Activation"]


@pytest.mark.parametrize(
    "last",
    [
        layers.Conv2D(2, 3, padding="same"),
        layers.Conv2D(2, 1, strides=2),
        layers.Conv2D(2, 1, groups=2),
        layers.DepthwiseConv2D(3),
        layers.ReLU(),
    ],
)
def test_what_looks_at_neighbours_or_is_not_linear_stays(last: Any) -> None:
    graph = trace(_net(last))
    assert REWRITE.match(graph.output, graph.uses()) is None


@pytest.mark.parametrize(
    "net",
    [
        lambda: _net(layers.Conv2D(2, 1, activation="relu"), layers.Conv2D(2, 1)),
        lambda: _net(layers.Conv2D(2, 1), interpolation="nearest"),
        lambda: keras.Sequential([keras.Input((4, 3, 8)), layers.Conv2D(2, 1)]),
    ],
    ids=["activation between", "nearest", "no resize"],
)
def test_only_linear_layers_behind_a_bilinear_resize(net: Build) -> None:
    graph = trace(net())
    assert REWRITE.match(graph.output, graph.uses()) is None


@pytest.mark.parametrize("shared", ["up", "first"])
def test_a_tensor_that_others_need_is_not_computed_twice(refusal_of: Build, shared: str) -> None:
    x = keras.Input((4, 3, 8))
    y = layers.UpSampling2D(2, interpolation="bilinear", name="up")(x)
    first = layers.Conv2D(8, 1, name="first")(y)
    other = layers.Conv2D(8, 1, name="first_b")(y) if shared == "up" else first
    last = layers.Conv2D(2, 1, name="last")
    model = keras.Model(x, layers.Add()([last(first), layers.Conv2D(2, 3, padding="same")(other)]))
    graph = trace(model)
    value = next(node.output for node in graph.nodes() if node.name == "last")
    found = REWRITE.match(value, graph.uses())
    assert found.reason == f"the output of {shared} is also used elsewhere"


@pytest.mark.parametrize(
    ("channels", "filters", "activation", "form"),
    [
        (64, 8, None, "pointwise_first"),
        (32, 1, "sigmoid", "pointwise_first"),
        (64, 32, "relu", "pointwise_first"),
        # a resize of many channels costs more than the convolution saves
        (2, 64, None, "resize_first"),
        (2, 64, "relu", "resize_first"),
    ],
)
@pytest.mark.parametrize("delegate", [Delegate.XNNPACK, Delegate.GPU])
def test_the_table_decides(
    delegate: Delegate, channels: int, filters: int, activation: str | None, form: str
) -> None:
    last = layers.Conv2D(filters, 1, activation=activation)
    graph = trace(_net(last, size=(32, 32, channels)))
    site = REWRITE.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    assert CheapestForm(delegate).choose(REWRITE.name, site)[0].name == form


@pytest.mark.parametrize("broken", ["kernel", "bias", "activation"])
def test_the_verifier_catches_a_broken_form(
    randomized: Build, verdict_on: Build, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    last = layers.Conv2D(8, 1, activation="relu", name="last")
    model = randomized(_net(last))
    assert verdict_on(model, REWRITE, "pointwise_first", "last") == ""
    add = bilinear_upsampling.rebuilt
    wrong = {
        "kernel": lambda op, n, v, k, b: add(op, n, v, k.transpose(0, 1, 3, 2), b),
        "bias": lambda op, n, v, k, b: add(op, n, v, k, 0 * b),
        # fused again, it would come before the resize
        "activation": lambda op, n, v, k, b: add(op, n, v, k, b, op.activation),
    }
    monkeypatch.setattr(bilinear_upsampling, "rebuilt", wrong[broken])
    verdict = verdict_on(model, REWRITE, "pointwise_first", "last")
    assert "verification failed: pointwise_first differs by" in verdict


def test_the_file_is_what_the_form_says(randomized: Build, export_form: Build) -> None:
    chain = layers.DepthwiseConv2D(1), layers.Conv2D(4, 1)
    model = randomized(_net(*chain, size=(16, 16, 8), factors=(2, 3)))
    data, taken = export_form(model, REWRITE, "pointwise_first")
    table = CostTable.load("arm64")
    expected = cost(taken, table, FLOAT32) * 1e6 + table.call
    assert predict(data, table).cycles == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_corners_are_aligned_or_centres_are_half_pixels_never_both(
    spelling: str, interpolation: str
) -> None:
    data = Export(trace(_net(spelling=spelling, interpolation=interpolation))).float_model(
        "float32"
    )
    kinds = {"bilinear": "RESIZE_BILINEAR", "nearest": "RESIZE_NEAREST_NEIGHBOR"}
    resizes = [n for n in list_nodes(read_model(data)) if n.op == kinds[interpolation]]
    # UpSampling2D by the nearest is RESHAPE and TILE
    assert len(resizes) == (spelling != "UpSampling2D" or interpolation == "bilinear")
    for node in resizes:
        assert (node.option("alignCorners"), node.option("halfPixelCenters")) == (False, True)
        assert audit_model(data).gpu.outside == ()

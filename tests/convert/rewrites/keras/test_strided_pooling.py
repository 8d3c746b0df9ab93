"""Convolution and max-pooling fitted by one convolution with strides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.choice import CheapestForm, PlannedForm
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewriter import rewrite_graph
from portrait_tflite.convert.rewrites.keras.strided_pooling import StridedPooling
from portrait_tflite.vocabulary import Approximation, Delegate

Build = Callable[..., Any]
ASKED = CheapestForm(Delegate.XNNPACK, frozenset({Approximation.STRIDED}))


def _net(pool: Any = 2, skip: bool = False, **options: Any) -> keras.Model:
    x = keras.Input((8, 12, 3))
    conv = {"kernel_size": 3, "padding": "same", "activation": "relu", **options}
    y = layers.Conv2D(4, name="conv", **conv)(x)
    z = layers.MaxPooling2D(pool, name="pool")(y)
    return keras.Model(x, layers.Concatenate()([layers.AveragePooling2D(2)(y), z]) if skip else z)


def _planned(form: str) -> PlannedForm:
    return PlannedForm(ASKED, {("strided_pooling", "conv"): form})


def _rewritten(model: Any, chooser: Any, images: Any) -> Any:
    return rewrite_graph(trace(model), images, chooser, [StridedPooling()])


@pytest.mark.parametrize("form", ["strided", "strided_wide"])
def test_one_convolution_is_left(randomized: Build, images_for: Build, form: str) -> None:
    model = randomized(_net())
    images = images_for(model, 12)
    result = _rewritten(model, _planned(form), images)
    record = result.records[0]
    node = result.graph.output.node
    assert node.inputs == (result.graph.input,)
    layer = node.op
    assert layer.strides == (2, 2)
    assert layer.kernel_size == ((3, 3) if form == "strided" else (4, 4))
    assert layer.activation is keras.activations.relu
    assert (record.exact, record.layer, record.chosen) == (False, "conv", form)
    truth = np.asarray(model(images))
    error = np.abs(np.asarray(result.graph(images)) - truth).max() / truth.max()
    assert 0.1 < record.max_rel_error == pytest.approx(error, rel=1e-3)


def test_every_form_says_what_it_costs(randomized: Build, images_for: Build) -> None:
    model = randomized(_net())
    record = _rewritten(model, ASKED, images_for(model, 12)).records[0]
    costs = {c.form: c.cost for c in record.candidates}
    assert costs["strided"] < costs["strided_wide"] < costs["max_pool"]


def test_the_wide_kernel_fits_where_the_narrow_one_cannot() -> None:
    """Each position of the input in its own tap: only 4×4 taps see all of a 3×3 at four places."""
    model = _net(activation=None)
    kernel = np.zeros((3, 3, 3, 4), np.float32)
    kernel[0, 0] = 1  # the first row and column that the pooling sees
    model.get_layer("conv").set_weights([kernel, np.arange(4, dtype=np.float32)])
    images = np.random.default_rng(0).normal(size=(8, 8, 12, 3)).astype(np.float32)
    images[:, ::2] = images[:, :, ::2] = -9  # so that the largest is always the first
    errors = {
        form: _rewritten(model, _planned(form), images).records[0].max_rel_error
        for form in ("strided", "strided_wide")
    }
    assert errors["strided_wide"] < 0.01 < 0.2 < errors["strided"]
    # The cheaper form does not fit, and the wide one is taken unless a plan says otherwise.
    record = _rewritten(model, ASKED, images).records[0]
    assert record.chosen == "strided_wide"
    assert "strided is cheaper but leaves" in record.reason


@pytest.mark.parametrize(
    "model",
    [
        _net(skip=True),  # the full resolution is needed beside it
        _net(pool=3),  # 8 rows are no multiple of 3
        _net(dilation_rate=2),
        _net(strides=2),
        _net(activation="gelu"),  # the largest number may not stay the largest
        _net(groups=1, kernel_size=3, data_format="channels_last", activation="softmax"),
    ],
    ids=["skip", "odd", "dilation", "strides", "gelu", "softmax"],
)
def test_others_stay_without_a_word(randomized: Build, rewrite_with: Build, model: Any) -> None:
    outcome = rewrite_with(randomized(model), [StridedPooling()], chooser=ASKED)
    assert outcome.result.records == outcome.result.skipped == ()


def test_overlapping_windows_stay(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((8, 8, 3))
    y = layers.MaxPooling2D(3, strides=2, padding="same")(layers.Conv2D(4, 3, padding="same")(x))
    outcome = rewrite_with(randomized(keras.Model(x, y)), [StridedPooling()], chooser=ASKED)
    assert outcome.result.records == ()


def test_unasked_it_leaves_no_trace(randomized: Build, rewrite_with: Build) -> None:
    outcome = rewrite_with(randomized(_net()), [StridedPooling()])
    assert outcome.result.records == outcome.result.skipped == ()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pool=st.tuples(st.integers(2, 3), st.integers(2, 3)),
    padding=st.sampled_from(["same", "valid"]),
    activation=st.sampled_from([None, "relu", "relu6", "tanh"]),
    bias=st.booleans(),
    filters=st.integers(1, 3),
    form=st.sampled_from(["strided", "strided_wide"]),
    seed=st.integers(0, 1000),
)
def test_every_size_keeps_its_shape_and_beats_a_constant(
    kernel: tuple[int, int],
    pool: tuple[int, int],
    padding: str,
    activation: str | None,
    bias: bool,
    filters: int,
    form: str,
    seed: int,
) -> None:
    grow = (0, 0) if padding == "same" else (kernel[0] - 1, kernel[1] - 1)
    x = keras.Input((4 * pool[0] + grow[0], 4 * pool[1] + grow[1], 2))
    options = {"padding": padding, "activation": activation, "use_bias": bias, "name": "conv"}
    conv = layers.Conv2D(filters, kernel, **options)
    model = keras.Model(x, layers.MaxPooling2D(pool)(conv(x)))
    rng = np.random.default_rng(seed)
    conv.set_weights([rng.normal(0, 0.5, w.shape) for w in conv.get_weights()])
    images = rng.normal(size=(3, *x.shape[1:])).astype(np.float32)
    result = rewrite_graph(trace(model), images, _planned(form), [StridedPooling()])
    assert len(result.records) == 1
    truth, found = np.asarray(model(images)), np.asarray(result.graph(images))
    assert found.shape == truth.shape
    if activation is None:  # least squares before the activation
        assert np.mean((found - truth) ** 2) <= truth.var(axis=(0, 1, 2)).mean() + 1e-5

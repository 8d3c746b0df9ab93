"""Transposed convolutions fitted by bilinear resize and convolution."""

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
from portrait_tflite.convert.rewrites.keras.resize_fit import resize_forms
from portrait_tflite.convert.rewrites.keras.transposed_convolution import TransposedConvolution
from portrait_tflite.vocabulary import Approximation, Delegate, RewriteRecord

Build = Callable[..., Any]


def _bilinear_net(activation: str | None = None) -> keras.Model:
    """A 4×4 stride-2 transposed convolution that is a bilinear resize of each channel.

    The border of its input is zero: a resize repeats the border, the other has zeros there.
    """
    x = keras.Input((8, 8, 3))
    y = layers.ZeroPadding2D(2)(x)
    up = layers.Conv2DTranspose(3, 4, strides=2, padding="same", name="up", activation=activation)
    model = keras.Model(x, up(y))
    ramp = np.array([0.25, 0.75, 0.75, 0.25], np.float32)
    kernel = np.einsum("h,w,oi->hwoi", ramp, ramp, np.eye(3, dtype=np.float32))
    up.set_weights([kernel, np.array([0.3, -0.2, 0.1], np.float32)])
    return model


def _fitted(model: keras.Model, form: str, images: Any) -> tuple[RewriteRecord, Any]:
    plan = {("transposed_convolution", "up"): form}
    chooser = PlannedForm(CheapestForm(Delegate.XNNPACK, frozenset({Approximation.RESIZE})), plan)
    result = rewrite_graph(trace(model), images, chooser, [TransposedConvolution()])
    return result.records[0], result.graph(images)


@pytest.mark.parametrize("form", ["resize_conv", "resize_depthwise"])
@pytest.mark.parametrize("activation", [None, "relu"])
def test_what_is_bilinear_is_found(images_for: Build, form: str, activation: str | None) -> None:
    model = _bilinear_net(activation)
    images = images_for(model, 4)
    record, output = _fitted(model, form, images)
    assert record.max_rel_error < 1e-2
    np.testing.assert_allclose(output, model(images), atol=0.02 * np.abs(model(images)).max())
    # However small the residual: it is another function, and the report says so.
    assert record.exact is False
    assert record.chosen == form


def test_the_record_holds_what_every_form_costs(images_for: Build) -> None:
    model = _bilinear_net()
    record, _ = _fitted(model, "resize_conv", images_for(model))
    costs = {candidate.form: candidate.cost for candidate in record.candidates}
    exact = {"subpixel", "rows", "phases", "transpose_conv"}
    assert set(costs) == exact | {"resize_conv", "resize_depthwise"}
    assert all(cost > 0 for cost in costs.values())


def test_a_random_kernel_leaves_a_residual_that_is_reported(
    randomized: Build, images_for: Build
) -> None:
    model = randomized(_bilinear_net())
    images = images_for(model, 4)
    record, output = _fitted(model, "resize_conv", images)
    true = np.asarray(model(images))
    residual = float(np.abs(output - true).max() / np.abs(true).max())
    assert record.max_rel_error == pytest.approx(residual, rel=1e-3)
    assert record.max_rel_error > 0.05
    # Least squares: better than the best constant.
    assert np.mean((output - true) ** 2) < np.var(true, axis=(0, 1, 2)).mean()


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_every_stride_keeps_the_shape(randomized: Build, images_for: Build, stride: int) -> None:
    x = keras.Input((5, 4, 2))
    options = {"strides": stride, "padding": "same", "activation": "relu"}
    model = randomized(keras.Model(x, layers.Conv2DTranspose(6, 3, name="up", **options)(x)))
    for form in ("resize_conv", "resize_depthwise"):
        _, output = _fitted(model, form, images_for(model))
        assert output.shape == (2, 5 * stride, 4 * stride, 6)
        assert np.isfinite(output).all()


def test_dead_channels_do_not_spoil_the_fit(images_for: Build) -> None:
    model = _bilinear_net()
    images = images_for(model, 4)
    images[..., 1] = 0
    assert _fitted(model, "resize_conv", images)[0].max_rel_error < 1e-2


@pytest.mark.parametrize("options", [{"strides": 1, "padding": "same"}, {"strides": 2}])
def test_another_size_has_no_approximate_form(options: dict[str, Any]) -> None:
    source = trace(keras.Model(x := keras.Input((4, 4, 2)), layers.ReLU()(x))).output
    assert resize_forms("up", layers.Conv2DTranspose(2, 3, **options), source) == ()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    form=st.sampled_from(["resize_conv", "resize_depthwise"]),
    kernel=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    stride=st.integers(2, 4),
    padding=st.sampled_from(["same", "valid"]),
    size=st.tuples(st.integers(2, 5), st.integers(2, 5)),
    filters=st.integers(1, 3),
    bias=st.booleans(),
    activation=st.sampled_from([None, "relu", "sigmoid"]),
    seed=st.integers(0, 1000),
)
def test_every_fit_beats_a_constant_and_tells_its_error(
    form: str, kernel: tuple[int, int], stride: int, padding: str, size: tuple[int, int],
    filters: int, bias: bool, activation: str | None, seed: int,
) -> None:  # fmt: skip
    x = keras.Input((*size, 2))
    options = {"strides": stride, "padding": padding, "use_bias": bias, "name": "up"}
    layer = layers.Conv2DTranspose(filters, kernel, activation=activation, **options)
    model = keras.Model(x, layer(x))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    images = rng.normal(size=(3, *size, 2)).astype(np.float32)
    if padding == "valid" and max(kernel) > stride:
        assert resize_forms("up", layer, trace(model).input) == ()
        return
    record, output = _fitted(model, form, images)
    true = np.asarray(model(images))
    assert output.shape == true.shape == (3, *(n * stride for n in size), filters)
    assert (record.exact, record.chosen) == (False, form)
    residual = float(np.abs(output - true).max() / np.abs(true).max())
    assert record.max_rel_error == pytest.approx(residual, rel=1e-3)
    if activation is None:
        # least squares of the sums: its constant is one of the choices
        error = np.square(np.asarray(output) - true).sum(axis=(0, 1, 2))
        assert np.all(
            error <= 1.001 * np.square(true - true.mean(axis=(0, 1, 2))).sum(axis=(0, 1, 2))
        )

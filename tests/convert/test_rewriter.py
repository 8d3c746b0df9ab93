"""The rewriter catches every rewrite that is not what it says it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.choice import CheapestForm, PlannedForm
from portrait_tflite.convert.graph import Value, apply_op, trace
from portrait_tflite.convert.rewriter import TOLERANCE, difference, rewrite_graph
from portrait_tflite.convert.rewrites.keras.added_layers import convolution, weights_of
from portrait_tflite.convert.rewrites.keras.order import REWRITES
from portrait_tflite.convert.rewrites.keras.site import Form, Refusal, Site, Uses
from portrait_tflite.vocabulary import Approximation, Delegate, Level

Build = Callable[..., Any]


@dataclass(frozen=True)
class _Convolution:
    """Rewrites every convolution named `conv` by the form it is given."""

    form: Form
    name: str = "under_test"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        if value.node.name != "conv":
            return None
        return Site("conv", value, value.node.inputs, (self.form,), "to be tried")


def _net(randomized: Build) -> keras.Model:
    x = keras.Input((6, 5, 3))
    y = layers.Conv2D(3, 3, padding="same", name="conv")(x)
    return randomized(keras.Model(x, layers.Conv2D(1, 1, name="mask")(layers.ReLU()(y))))


def _replace(**changes: Any) -> Callable[[keras.Model], Form]:
    """Make a form of the same convolution but for `changes`: values, or functions of the old."""

    def form_for(model: keras.Model) -> Form:
        kernel, bias = weights_of(model.get_layer("conv"))
        made = {"kernel": kernel, "bias": bias, "padding": "same"}
        for name, change in changes.items():
            made[name] = change(made[name]) if callable(change) else change
        return Form("changed", lambda boundary: convolution("new", boundary[0], **made))

    return form_for


BROKEN = {
    "transposed_kernel": _replace(kernel=lambda k: k.transpose(1, 0, 2, 3)),
    "swapped_channels": _replace(kernel=lambda k: k.transpose(0, 1, 3, 2)),
    "dropped_bias": _replace(bias=None),
    "wrong_padding": _replace(padding="valid"),
    "forgotten_scale": _replace(kernel=lambda k: k * 1.0001),
    "activation": _replace(activation="relu"),
    "nan": _replace(bias=np.array([np.nan, 0, 0])),
    "infinity": _replace(bias=np.array([np.inf, 0, 0])),
    "border": lambda model: Form(
        "changed",
        lambda boundary: _conv_like(
            model, apply_op("roll", lambda x: keras.ops.roll(x, 1, axis=1), boundary[0])
        ),
    ),
}


def _conv_like(model: keras.Model, source: Value) -> Value:
    return convolution("new", source, *weights_of(model.get_layer("conv")), padding="same")


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_rewrite_is_left_out(randomized: Build, rewrite_with: Build, fault: str) -> None:
    model = _net(randomized)
    outcome = rewrite_with(model, [_Convolution(BROKEN[fault](model))])
    assert outcome.forms == []
    (skipped,) = outcome.result.skipped
    assert (skipped.rewrite, skipped.layer) == ("under_test", "conv")
    assert skipped.reason.startswith("verification failed: changed differs by ")
    assert outcome.ops == ["Conv2D", "ReLU", "Conv2D"]
    assert outcome.error == 0


def test_a_faithful_rewrite_is_taken_and_recorded(randomized: Build, rewrite_with: Build) -> None:
    model = _net(randomized)
    form = Form("changed", lambda boundary: _conv_like(model, boundary[0]))
    outcome = rewrite_with(model, [_Convolution(form)])
    (record,) = outcome.result.records
    assert (record.rewrite, record.level, record.layer) == ("under_test", Level.KERAS, "conv")
    assert (record.exact, record.chosen, record.reason) == (True, "changed", "to be tried")
    assert record.max_rel_error <= TOLERANCE
    assert outcome.result.skipped == ()
    assert outcome.error <= TOLERANCE


def test_a_broken_rewrite_does_not_stop_the_others(randomized: Build, rewrite_with: Build) -> None:
    model = _net(randomized)
    broken = _Convolution(BROKEN["dropped_bias"](model))
    outcome = rewrite_with(model, [broken, *REWRITES])
    assert outcome.forms == ["fused"]
    assert len(outcome.reasons) == 1


def test_an_approximate_form_is_taken_with_its_error(
    randomized: Build, rewrite_with: Build
) -> None:
    model = _net(randomized)
    build = BROKEN["dropped_bias"](model).build
    form = Form("fitted", approximation=Approximation.RESIZE, fit=lambda _: build)
    plan = PlannedForm(CheapestForm(Delegate.XNNPACK), {("under_test", "conv"): "fitted"})
    outcome = rewrite_with(model, [_Convolution(form)], chooser=plan)
    (record,) = outcome.result.records
    assert (record.exact, record.chosen) == (False, "fitted")
    assert record.max_rel_error > TOLERANCE
    assert outcome.error > TOLERANCE


def test_a_fit_sees_the_activations_of_its_site(
    randomized: Build, rewrite_with: Build, images_for: Build
) -> None:
    model = _net(randomized)
    seen: list[Any] = []

    def fit(activations: Any) -> Any:
        seen.append(activations)
        return lambda boundary: _conv_like(model, boundary[0])

    rewrite_with(model, [_Convolution(Form("fitted", fit=fit))], chooser=_First())
    images = images_for(model)
    np.testing.assert_array_equal(seen[0].inputs[0], images)
    np.testing.assert_allclose(seen[0].output, model.get_layer("conv")(images), atol=1e-6)


class _First:
    """Takes the first form of every site."""

    def choose(self, rewrite: str, site: Site) -> tuple[Form, str]:
        return site.forms[0], "the first"

    def candidates(self, site: Site) -> tuple[Any, ...]:
        return ()


def test_every_site_of_a_shared_layer_is_rewritten(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((6, 5, 3))
    up = layers.Conv2DTranspose(3, 2, strides=2, name="up")
    model = randomized(keras.Model(x, up(up(x))))
    outcome = rewrite_with(model, REWRITES)
    assert outcome.forms == ["subpixel", "subpixel"]
    assert outcome.error <= TOLERANCE


def test_the_whole_order_on_a_network_that_needs_all_of_it(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((8, 8, 3))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x)))
    y = layers.Conv2D(4, 1)(layers.BatchNormalization()(y))
    y = layers.Dropout(0.5)(y)
    y = layers.BatchNormalization()(layers.Conv2DTranspose(4, 3, strides=2, padding="same")(y))
    y = layers.ReLU()(layers.Dropout(0.5)(y))
    y = layers.Conv2D(4, 3, padding="same")(layers.UpSampling2D(2)(y))
    y = layers.UpSampling2D(2)(layers.ReLU()(y))
    model = keras.Model(x, layers.Softmax()(layers.Conv2D(2, 1)(layers.ReLU()(y))))
    outcome = rewrite_with(randomized(model), REWRITES, channel=1)
    gone = {"BatchNormalization", "Dropout", "UpSampling2D", "Conv2DTranspose", "Softmax"}
    assert not gone & set(outcome.ops)
    assert outcome.error <= 1e-5
    assert all(record.max_rel_error <= TOLERANCE for record in outcome.result.records)


def test_difference_is_relative_to_the_largest_magnitude() -> None:
    before = np.array([0.0, -4.0])
    assert difference(before, np.array([1.0, -4.0])) == (1.0, 0.25)
    assert difference(np.zeros(2), np.ones(2)) == (1.0, 1.0)
    assert difference(before, np.zeros(3)) == (float("inf"), float("inf"))
    assert np.isnan(difference(before, np.array([np.nan, 0]))[1])


def test_a_network_of_one_picture_at_a_time_is_rewritten(randomized: Build) -> None:
    # Coordinates beside the features, as CoordConv has them, for a batch of 1.
    columns = np.broadcast_to(np.linspace(-1, 1, 5, dtype=np.float32)[:, None], (1, 6, 5, 1))
    x = keras.Input((6, 5, 3), batch_size=1)
    y = layers.Conv2D(3, 3, padding="same", name="conv")(x)
    y = keras.ops.concatenate([y, columns], axis=-1)
    model = randomized(keras.Model(x, layers.Conv2D(1, 1, name="mask")(layers.ReLU()(y))))
    images = np.random.default_rng(0).random((2, 6, 5, 3), np.float32)
    form = _replace()(model)
    rewritten = rewrite_graph(
        trace(model), images, CheapestForm(Delegate.XNNPACK), [_Convolution(form)]
    )
    assert [record.rewrite for record in rewritten.records] == ["under_test"]
    found = np.asarray(rewritten.graph(images[:1]))
    assert difference(found, np.asarray(model(images[:1])))[1] <= TOLERANCE

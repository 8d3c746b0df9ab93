"""Which form `auto` takes, per delegate, and that a plan is obeyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from portrait_tflite.convert.choice import CheapestForm, EveryExactForm, PlannedForm, cost, outside
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.nearest_upsampling import (
    NearestUpsampling,
    NearestUpsamplingConvolution,
)
from portrait_tflite.convert.rewrites.site import Form, Site, Work
from portrait_tflite.convert.rewrites.transposed_convolution import TransposedConvolution
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
XNNPACK, GPU = CheapestForm(Delegate.XNNPACK), CheapestForm(Delegate.GPU)


def _site(kernel: Any, stride: int, activation: str | None = None, padding: str = "same") -> Site:
    x = keras.Input((8, 8, 4))
    options = {"strides": stride, "padding": padding, "activation": activation}
    graph = trace(keras.Model(x, layers.Conv2DTranspose(4, kernel, name="up", **options)(x)))
    site = TransposedConvolution().match(graph.output, graph.uses())
    assert isinstance(site, Site)
    return site


@pytest.mark.parametrize(
    ("chooser", "kernel", "stride", "activation", "form"),
    [
        # no tap is wasted where the kernel is the stride
        (XNNPACK, 2, 2, "relu", "subpixel"),
        (XNNPACK, 4, 4, None, "subpixel"),
        (GPU, 2, 2, None, "subpixel"),
        # where it is larger, phases multiply by zeros
        (XNNPACK, 3, 2, "relu", "transpose_conv"),
        (XNNPACK, 4, 2, None, "transpose_conv"),
        (XNNPACK, 5, 2, None, "transpose_conv"),
        (XNNPACK, 8, 4, None, "transpose_conv"),
        (GPU, 3, 2, None, "transpose_conv"),
        # the GPU delegate takes no fused activation
        (GPU, 3, 2, "relu", "subpixel"),
        (GPU, 8, 4, "relu", "subpixel"),
        # a kernel smaller than its stride leaves XNNPACK
        (XNNPACK, 1, 2, None, "subpixel"),
        (XNNPACK, (1, 8), 2, None, "subpixel"),
        (XNNPACK, 3, 1, None, "convolution"),
        (XNNPACK, 5, 1, "relu", "convolution"),
        (GPU, 3, 1, None, "convolution"),
        (GPU, 4, 1, None, "convolution"),
    ],
)
def test_auto_takes_what_the_delegate_takes_and_costs_least(
    chooser: CheapestForm, kernel: Any, stride: int, activation: str | None, form: str
) -> None:
    chosen, reason = chooser.choose("transposed_convolution", _site(kernel, stride, activation))
    assert (chosen.name, reason) == (form, f"cheapest for {chooser.delegate}")


@pytest.mark.parametrize("delegate", [Delegate.XNNPACK, Delegate.GPU])
def test_nearest_upsampling_never_stays(delegate: Delegate) -> None:
    x = keras.Input((8, 8, 4))
    y = layers.UpSampling2D(2)(x)
    graph = trace(keras.Model(x, layers.Conv2D(4, 3, padding="same")(y)))
    matches = [
        (NearestUpsamplingConvolution(), graph.output, "merged"),
        (NearestUpsampling(), graph.output.node.inputs[0], "copies"),
    ]
    for rewrite, value, form in matches:
        site = rewrite.match(value, graph.uses())
        assert isinstance(site, Site)
        assert CheapestForm(delegate).choose(rewrite.name, site)[0].name == form
        kept = site.forms[-1]
        assert kept.build is None
        assert outside(kept, site.work, delegate) > 0


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (4, 2), (2, 2), (3, 1)])
@pytest.mark.parametrize("delegate", [Delegate.XNNPACK, Delegate.GPU])
def test_exact_rewrites_always(kernel: int, stride: int, delegate: Delegate) -> None:
    chooser = EveryExactForm(CheapestForm(delegate))
    form, reason = chooser.choose("transposed_convolution", _site(kernel, stride))
    assert form.build is not None
    assert form.exact
    assert reason == "asked for: --rewrite exact"


@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_resize_takes_an_approximate_form_where_there_is_one(kernel: int) -> None:
    chooser = CheapestForm(Delegate.XNNPACK, approximate=True)
    assert chooser.choose("transposed_convolution", _site(kernel, 2))[0].exact is False
    valid = chooser.choose("transposed_convolution", _site(kernel, 2, padding="valid"))[0]
    assert valid.exact is (kernel > 2)


def test_auto_never_takes_an_approximate_form() -> None:
    cheap = Form("wrong", lambda boundary: boundary[0], exact=False)
    site = _site(3, 2)
    tempting = Site(site.layer, site.root, site.boundary, (*site.forms, cheap), "", site.work)
    assert XNNPACK.choose("transposed_convolution", tempting)[0].exact


def test_candidates_say_what_each_form_costs() -> None:
    candidates = {c.form: c for c in XNNPACK.candidates(_site(3, 2))}
    assert list(candidates) == ["subpixel", "transpose_conv", "resize_conv", "resize_depthwise"]
    assert candidates["transpose_conv"].cost < candidates["subpixel"].cost
    assert all(c.outside == 0 and c.cost > 0 for c in candidates.values())


def test_a_site_without_a_choice_has_no_candidates() -> None:
    site = _site(3, 2)
    only = Site(site.layer, site.root, site.boundary, site.forms[:1], "", site.work)
    assert XNNPACK.candidates(only) == ()


@pytest.mark.parametrize("form", ["subpixel", "transpose_conv", "resize_conv"])
def test_a_plan_is_replayed(form: str) -> None:
    chooser = PlannedForm(XNNPACK, {("transposed_convolution", "up"): form})
    chosen, reason = chooser.choose("transposed_convolution", _site(3, 2))
    assert (chosen.name, reason) == (form, "from the plan")
    assert chooser.candidates(_site(3, 2))


def test_what_a_plan_does_not_name_stays() -> None:
    chosen, reason = PlannedForm(XNNPACK, {}).choose("transposed_convolution", _site(2, 2))
    assert (chosen.build, chosen.fit, reason) == (None, None, "not in the plan")


def test_a_form_that_no_site_has_is_a_usage_error() -> None:
    chooser = PlannedForm(XNNPACK, {("transposed_convolution", "up"): "magic"})
    with pytest.raises(UsageError, match=r"one of subpixel, .*Received: 'magic'.*--rewrite-plan"):
        chooser.choose("transposed_convolution", _site(2, 2))


BLOCK = {"pixels": 1024, "channels_in": 64, "channels_out": 32}


@pytest.mark.parametrize(
    ("family", "work", "expected"),
    [
        # the table's own block
        ("transpose_conv", Work(kernel=9, **BLOCK), 0.96),
        ("subpixel", Work(kernel=9, taps=16, **BLOCK), 1.29),
        # twice the channels, twice the cost
        ("transpose_conv", Work(1024, 128, 32, kernel=9), 1.92),
        # between the entries the smaller one is scaled; below them it is not
        ("transpose_conv", Work(kernel=12, **BLOCK), 1.28),
        ("transpose_conv", Work(kernel=1, **BLOCK), 0.59),
        ("copies", Work(kernel=9, **BLOCK), 0.0),
    ],
)
def test_cost_is_the_table_scaled(family: str, work: Work, expected: float) -> None:
    assert cost(family, work, "int8") == pytest.approx(expected)

"""Which form `auto` takes, per delegate, and that a plan is obeyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from portrait_tflite.convert.choice import (
    BeforeFineTuning,
    CheapestForm,
    EveryExactForm,
    PlannedForm,
    is_planned,
    outside,
)
from portrait_tflite.convert.costs.cost_series import Axis, Series
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.costs.costed_op import FLOAT32, INT8, CostedOp
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras.nearest_convolution import (
    NearestUpsamplingConvolution,
)
from portrait_tflite.convert.rewrites.keras.nearest_upsampling import NearestUpsampling
from portrait_tflite.convert.rewrites.keras.site import Form, Site
from portrait_tflite.convert.rewrites.keras.transposed_convolution import TransposedConvolution
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Approximation, Delegate

Build = Callable[..., Any]
XNNPACK, GPU = CheapestForm(Delegate.XNNPACK), CheapestForm(Delegate.GPU)


def _site(
    kernel: Any,
    stride: int,
    activation: str | None = None,
    padding: str = "same",
    *,
    size: tuple[int, int, int] = (32, 32, 64),
    filters: int = 32,
) -> Site:
    x = keras.Input(size)
    options = {"strides": stride, "padding": padding, "activation": activation}
    graph = trace(keras.Model(x, layers.Conv2DTranspose(filters, kernel, name="up", **options)(x)))
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
        # where it is larger, phases together multiply by zeros; apart they do not
        (XNNPACK, 3, 2, "relu", "phases"),
        (XNNPACK, 4, 2, None, "phases"),
        (XNNPACK, 5, 2, None, "phases"),
        (XNNPACK, 8, 4, None, "phases"),
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


@pytest.mark.parametrize(
    ("size", "filters", "kernel"), [((64, 64, 16), 8, 3), ((32, 32, 4), 4, 3), ((64, 64, 8), 1, 4)]
)
def test_few_channels_fill_a_tile_better_as_phases(
    size: tuple[int, int, int], filters: int, kernel: int
) -> None:
    """TRANSPOSE_CONV computes 16 channels per phase in int8, however few there are."""
    site = _site(kernel, 2, size=size, filters=filters)
    assert XNNPACK.choose("transposed_convolution", site)[0].name in ("subpixel", "rows")


@pytest.mark.parametrize(
    ("delegate", "alone", "outside_alone"),
    # per axis a TILE; on the GPU the three RESHAPE of rank 5 around them, too
    [(Delegate.XNNPACK, "rows", 2), (Delegate.GPU, "resize", 5)],
)
def test_nearest_upsampling_never_stays(delegate: Delegate, alone: str, outside_alone: int) -> None:
    x = keras.Input((8, 8, 4))
    y = layers.UpSampling2D(2)(x)
    graph = trace(keras.Model(x, layers.Conv2D(4, 3, padding="same")(y)))
    matches = [
        (NearestUpsamplingConvolution(), graph.output, "merged"),
        (NearestUpsampling(), graph.output.node.inputs[0], alone),
    ]
    for rewrite, value, form in matches:
        site = rewrite.match(value, graph.uses())
        assert isinstance(site, Site)
        assert CheapestForm(delegate).choose(rewrite.name, site)[0].name == form
        assert site.forms[-1].build is None
    assert outside(site.forms[-1], delegate) == outside_alone


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
    chooser = CheapestForm(Delegate.XNNPACK, frozenset({Approximation.RESIZE}))
    assert chooser.choose("transposed_convolution", _site(kernel, 2))[0].exact is False
    valid = chooser.choose("transposed_convolution", _site(kernel, 2, padding="valid"))[0]
    assert valid.exact is (kernel > 2)


def test_auto_never_takes_an_approximate_form() -> None:
    cheap = Form("wrong", lambda boundary: boundary[0], approximation=Approximation.RESIZE)
    site = _site(3, 2)
    tempting = Site(site.layer, site.root, site.boundary, (*site.forms, cheap), "")
    assert XNNPACK.choose("transposed_convolution", tempting)[0].exact


@pytest.mark.parametrize(
    ("delegate", "form"), [(Delegate.XNNPACK, "for_all"), (Delegate.GPU, "for_gpu")]
)
def test_exact_takes_no_form_that_is_for_the_other_delegate(delegate: Delegate, form: str) -> None:
    site = _site(3, 2)
    for_gpu = Form("for_gpu", lambda boundary: boundary[0], only=Delegate.GPU)
    for_all = Form("for_all", lambda boundary: boundary[0])
    chooser = EveryExactForm(CheapestForm(delegate))
    both = Site(site.layer, site.root, site.boundary, (for_gpu, for_all), "")
    choice = chooser.choose("mine", both)
    assert choice is not None
    assert choice[0].name == form
    alone = Site(site.layer, site.root, site.boundary, (for_gpu, Form("kept")), "")
    assert (chooser.choose("mine", alone) is None) == (delegate is Delegate.XNNPACK)


def test_candidates_say_what_each_form_costs() -> None:
    candidates = {c.form: c for c in XNNPACK.candidates(_site(3, 2))}
    exact = ["subpixel", "rows", "phases", "transpose_conv"]
    assert list(candidates) == [*exact, "resize_conv", "resize_depthwise"]
    costs = [candidates[form].cost for form in ("phases", "rows", "transpose_conv", "subpixel")]
    assert costs == sorted(costs)
    assert all(c.outside == 0 and c.cost > 0 for c in candidates.values())


def test_a_candidate_says_why_it_is_not_taken_however_cheap_it_is() -> None:
    fitted = dict.fromkeys(
        ("resize_conv", "resize_depthwise"), "another function, by --rewrite resize alone"
    )
    columns = dict.fromkeys(("rows", "phases"), "for xnnpack alone")
    asked = CheapestForm(Delegate.XNNPACK, frozenset({Approximation.RESIZE}))
    for chooser, barred in ((XNNPACK, fitted), (GPU, columns | fitted), (asked, {})):
        found = {c.form: c.barred for c in chooser.candidates(_site(3, 2)) if c.barred}
        assert found == barred


def test_a_site_without_a_choice_has_no_candidates() -> None:
    site = _site(3, 2)
    only = Site(site.layer, site.root, site.boundary, site.forms[:1], "")
    assert XNNPACK.candidates(only) == ()


@pytest.mark.parametrize("form", ["subpixel", "transpose_conv", "resize_conv"])
def test_a_plan_is_replayed(form: str) -> None:
    chooser = PlannedForm(XNNPACK, {("transposed_convolution", "up"): form})
    chosen, reason = chooser.choose("transposed_convolution", _site(3, 2))
    assert (chosen.name, reason) == (form, "from the plan")
    assert chooser.candidates(_site(3, 2))


def test_what_a_plan_does_not_name_stays() -> None:
    assert PlannedForm(XNNPACK, {}).choose("transposed_convolution", _site(2, 2)) is None


def test_a_form_that_no_site_has_is_a_usage_error() -> None:
    chooser = PlannedForm(XNNPACK, {("transposed_convolution", "up"): "magic"})
    with pytest.raises(UsageError, match=r"one of subpixel, .*Received: 'magic'.*--rewrite-plan"):
        chooser.choose("transposed_convolution", _site(2, 2))


def _table(**costs: int) -> CostTable:
    """A table by which every op costs the same, except for those that are named."""
    kinds = (
        *("TRANSPOSE_CONV", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "RESIZE_BILINEAR"),
        *("CONCATENATION", "RESHAPE"),
    )
    axis = Axis("channels_out", (1, 1000))
    series = tuple(
        Series(kind, precision, 1, (axis,), (costs.get(kind, 5),) * 2)
        for kind in kinds
        for precision in (INT8, FLOAT32)
    )
    return CostTable("moon", "", {}, 0, series)


@pytest.mark.parametrize("delegate", [Delegate.XNNPACK, Delegate.GPU])
@pytest.mark.parametrize(
    ("cost", "form"), [(9, "transpose_conv"), (10, "subpixel"), (11, "subpixel")]
)
def test_the_table_decides(cost: int, form: str, delegate: Delegate) -> None:
    # the other form is two ops of 5 each; where both cost the same, the rewritten form
    chooser = CheapestForm(delegate, table=_table(TRANSPOSE_CONV=cost))
    assert chooser.choose("transposed_convolution", _site(3, 2))[0].name == form


def test_ops_outside_count_before_the_table() -> None:
    chooser = CheapestForm(Delegate.GPU, table=_table(TRANSPOSE_CONV=0))
    assert chooser.choose("transposed_convolution", _site(3, 2, "relu"))[0].name == "subpixel"


def test_a_reshape_is_outside_of_the_gpu_beside_a_tile_only() -> None:
    reshape, tile = CostedOp("RESHAPE", 8, 8, 4, 4), CostedOp("TILE", 8, 8, 4, 4)
    assert outside(Form("copied", ops=(reshape, reshape)), Delegate.GPU) == 0
    assert outside(Form("tiled", ops=(reshape, tile)), Delegate.GPU) == 2
    assert outside(Form("tiled", ops=(reshape, tile)), Delegate.XNNPACK) == 1


def test_a_form_costs_what_its_ops_do() -> None:
    costs = {
        c.form: c.cost
        for c in CheapestForm(Delegate.XNNPACK, table=_table()).candidates(_site(3, 2))
    }
    assert costs == {
        "subpixel": 10e-6,
        "rows": 35e-6,  # 2 convolutions, 2 RESHAPE, a CONCATENATION of 2, a RESHAPE
        "phases": 65e-6,  # 4 convolutions and 2 CONCATENATION of 2, then as above
        "transpose_conv": 5e-6,
        "resize_conv": 10e-6,
        "resize_depthwise": 15e-6,
    }


@pytest.mark.parametrize(
    ("kernel", "subpixel", "transposed"),
    # Million cycles as counted in whole blocks, 32×32×64 → 64×64×32, once by width alone.
    [(2, 0.47, 0.59), (3, 1.29, 0.96), (4, 2.65, 1.49)],
)
def test_the_committed_table_ranks_blocks_as_they_were_counted(
    kernel: int, subpixel: float, transposed: float
) -> None:
    costs = {candidate.form: candidate.cost for candidate in XNNPACK.candidates(_site(kernel, 2))}
    assert (costs["subpixel"] < costs["transpose_conv"]) == (subpixel < transposed)
    assert costs["subpixel"] == pytest.approx(subpixel, rel=0.3)
    assert costs["transpose_conv"] == pytest.approx(transposed, rel=0.3)


def test_before_fine_tuning_only_what_is_trained_is_taken() -> None:
    asked = CheapestForm(Delegate.XNNPACK, frozenset({Approximation.RESIZE}))
    site = _site(3, 2)
    chosen = BeforeFineTuning(asked).choose("transposed_convolution", site)
    assert chosen == asked.choose("transposed_convolution", site)
    # What cost decides among exact forms has time.
    assert XNNPACK.choose("transposed_convolution", site) is not None
    assert BeforeFineTuning(XNNPACK).choose("transposed_convolution", site) is None
    alone = Site(site.layer, site.root, site.boundary, site.forms[:1], "")
    assert BeforeFineTuning(XNNPACK).choose("transposed_convolution", alone) is not None
    for_one = Form("one", lambda boundary: boundary[0], only=Delegate.XNNPACK)
    alone = Site(site.layer, site.root, site.boundary, (for_one,), "")
    assert BeforeFineTuning(XNNPACK).choose("transposed_convolution", alone) is None


def test_a_plan_is_one_before_fine_tuning_too() -> None:
    planned = PlannedForm(XNNPACK, {})
    assert is_planned(planned)
    assert is_planned(BeforeFineTuning(planned))
    assert not is_planned(BeforeFineTuning(XNNPACK))

"""Nearest-neighbour upsampling merged with the convolution behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.choice import cost
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.costs.costed_op import FLOAT32
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras import phase_forms
from portrait_tflite.convert.rewrites.keras.nearest_convolution import (
    NearestUpsamplingConvolution,
)
from portrait_tflite.convert.rewrites.keras.nearest_upsampling import NearestUpsampling
from portrait_tflite.convert.rewrites.keras.site import Site

Build = Callable[..., Any]
REWRITE = NearestUpsamplingConvolution()
KINDS = {
    "conv": lambda kernel, **options: layers.Conv2D(2, kernel, **options),
    "depthwise": layers.DepthwiseConv2D,
    "separable": lambda kernel, **options: layers.SeparableConv2D(2, kernel, **options),
}


def _net(
    size: tuple[int, int, int] = (3, 4, 2),
    factor: Any = 2,
    kernel: Any = 3,
    kind: str = "conv",
    **options: Any,
) -> keras.Model:
    x = keras.Input(size)
    y = layers.UpSampling2D(factor, name="up")(x)
    options = {"padding": "same", "name": "conv", **options}
    return keras.Model(x, KINDS[kind](kernel, **options)(y))


@settings(deadline=None, max_examples=300, derandomize=True)
@given(
    kind=st.sampled_from([*KINDS, "conv"]),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    factor=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.sampled_from(["same", "valid"]),
    dilation=st.tuples(st.sampled_from([1, 1, 2, 3, 4]), st.sampled_from([1, 1, 2])),
    use_bias=st.booleans(),
    activation=st.sampled_from([None, "relu", "tanh", "softmax"]),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(2, 3)),
    seed=st.integers(0, 9),
    form=st.integers(0, 5),  # one of them each time, all equally often: each takes a while
)
def test_every_form_is_exact_for_every_shape(
    randomized: Build,
    every_form: Build,
    kind: str,
    kernel: tuple[int, int],
    factor: tuple[int, int],
    padding: str,
    dilation: tuple[int, int],
    use_bias: bool,
    activation: str | None,
    size: tuple[int, int, int],
    seed: int,
    form: int,
) -> None:
    if kind != "conv":  # TensorFlow's depthwise convolutions dilate both directions alike
        dilation = (dilation[0], dilation[0])
    if padding == "valid":
        for axis in (0, 1):
            assume((kernel[axis] - 1) * dilation[axis] < size[axis] * factor[axis])
    options = {"padding": padding, "use_bias": use_bias, "activation": activation}
    model = _net(size, factor, kernel, kind, dilation_rate=dilation, **options)
    errors = every_form(randomized(model, seed), REWRITE, form)
    assert next(iter(errors)) == ("merged" if kind == "conv" else "phases")
    (error,) = (error for error in errors.values() if error is not None)
    assert error <= 1e-5


@pytest.mark.parametrize(
    ("options", "forms"),
    [
        ({}, ["merged", "rows", "phases"]),
        ({"kernel": 1}, ["merged", "rows", "phases", "conv_first"]),
        # a dilation that is the factor: every position of a cell reads the same cells
        ({"dilation_rate": 2}, ["merged", "rows", "phases", "conv_first"]),
        ({"factor": (1, 2)}, ["merged", "phases"]),
        ({"factor": (3, 1)}, ["merged", "rows"]),
        ({"kind": "depthwise"}, ["phases"]),
        ({"kind": "separable", "activation": "softmax"}, ["phases"]),
    ],
)
def test_which_forms_there_are(
    randomized: Build, every_form: Build, options: dict[str, Any], forms: list[str]
) -> None:
    assert list(every_form(randomized(_net(**options)), REWRITE)) == forms


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"strides": 2}, "strides (2, 2): it drops positions"),
        ({"groups": 2}, "2 groups"),
        ({"kind": "depthwise", "depth_multiplier": 2}, "depth multiplier 2"),
        ({"data_format": "channels_first"}, "channels come first"),
    ],
)
def test_convolutions_that_cannot_be_merged(
    refusal_of: Build, arguments: dict[str, Any], reason: str
) -> None:
    assert reason in refusal_of(_net(**arguments), REWRITE)


def test_uneven_resizes_cannot_be_merged(refusal_of: Build) -> None:
    x = keras.Input((3, 4, 2))
    y = layers.Resizing(5, 8, interpolation="nearest", name="up")(x)
    model = keras.Model(x, layers.Conv2D(2, 3)(y))
    assert refusal_of(model, REWRITE) == "up enlarges by no whole factors"


def test_an_upsampled_tensor_that_others_need_is_copied(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((3, 4, 2))
    y = layers.UpSampling2D(2, name="up")(x)
    y = layers.Add()([y, layers.Conv2D(2, 3, padding="same", name="conv")(y)])
    outcome = rewrite_with(randomized(keras.Model(x, y)), (REWRITE, NearestUpsampling()))
    assert outcome.forms == ["copies"]
    assert outcome.reasons == ["the output of up is also used elsewhere"]
    assert outcome.error <= 1e-6


def test_bilinear_upsampling_is_another_function() -> None:
    x = keras.Input((3, 4, 2))
    y = layers.UpSampling2D(2, interpolation="bilinear")(x)
    graph = trace(keras.Model(x, layers.Conv2D(2, 3)(y)))
    assert REWRITE.match(graph.output, graph.uses()) is None


@pytest.mark.parametrize("resize", ["Resizing", "image.resize"])
def test_a_nearest_resize_is_an_upsampling(
    randomized: Build, rewrite_with: Build, resize: str
) -> None:
    x = keras.Input((3, 4, 2))
    if resize == "Resizing":
        y = layers.Resizing(6, 12, interpolation="nearest")(x)
    else:
        y = keras.ops.image.resize(x, (6, 12), interpolation="nearest")
    model = randomized(keras.Model(x, layers.Conv2D(2, 3, padding="same")(y)))
    outcome = rewrite_with(model, (REWRITE,))
    assert (outcome.forms, outcome.error <= 1e-5) == (["merged"], True)


@pytest.mark.parametrize("form", ["merged", "rows", "phases"])
@pytest.mark.parametrize("broken", ["kernel", "pad", "bias"])
def test_the_verifier_catches_a_broken_form(
    randomized: Build, verdict_on: Build, monkeypatch: pytest.MonkeyPatch, form: str, broken: str
) -> None:
    model = randomized(_net(activation="relu"))
    assert verdict_on(model, REWRITE, form, "conv") == ""
    kernel, pad = phase_forms.phase_kernel, phase_forms.pad
    if broken == "kernel":
        monkeypatch.setattr(phase_forms, "phase_kernel", lambda *a: kernel(*a)[::-1])
    elif broken == "pad":
        monkeypatch.setattr(phase_forms, "pad", lambda n, v, r, c: pad(n, v, (r[1], r[0]), c))
        # where the padding is the same on both sides, or is the convolution's own, move the cells
        monkeypatch.setattr(phase_forms, "phase_kernel", lambda *a: kernel(*a)[:, ::-1])
    else:
        add = phase_forms.convolution
        monkeypatch.setattr(
            phase_forms, "convolution", lambda n, v, k, _, **o: add(n, v, k, None, **o)
        )
    assert f"verification failed: {form} differs by" in verdict_on(model, REWRITE, form, "conv")


def test_every_form_says_what_it_becomes_on_the_phone() -> None:
    graph = trace(_net())
    site = REWRITE.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    ops = {form.name: form.ops for form in site.forms}
    # one cell more per axis, whose positions are cut off: 2×2 cells then hold a kernel of 3
    assert [(op.kind, op.height, op.width, op.kernel) for op in ops["merged"]] == [
        ("CONV_2D", 4, 5, (2, 2)),
        ("DEPTH_TO_SPACE", 8, 10, (1, 1)),
        ("STRIDED_SLICE", 6, 8, (1, 1)),
    ]
    # apart, each phase has its own two cells, and nothing is computed to be cut off
    assert [(op.height, op.width, op.kernel) for op in ops["phases"][:4]] == [(3, 4, (2, 2))] * 4
    assert "STRIDED_SLICE" not in [op.kind for op in ops["phases"]]
    assert ops["upsampling_conv"][-1].kernel == (3, 3)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("merged", {"factor": 2, "activation": "relu"}),
        ("phases", {"factor": 2, "kernel": 5, "activation": "relu"}),
        ("phases", {"factor": 2, "kind": "depthwise"}),
        ("rows", {"factor": (2, 3), "padding": "valid", "activation": "relu"}),
        ("rows", {"factor": 4, "dilation_rate": 2}),
    ],
)
def test_the_file_is_what_the_form_says(
    randomized: Build, export_form: Build, form: str, options: dict[str, Any]
) -> None:
    data, taken = export_form(randomized(_net((16, 16, 8), **options)), REWRITE, form)
    audit = audit_model(data)
    assert (audit.xnnpack.partitions, audit.xnnpack.outside) == (1, ())
    table = CostTable.load("arm64")
    expected = cost(taken, table, FLOAT32) * 1e6 + table.call
    assert predict(data, table).cycles == pytest.approx(expected, rel=0.03)

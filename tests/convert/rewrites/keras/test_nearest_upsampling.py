"""Nearest-neighbour upsampling, alone and merged with the convolution behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras.nearest_upsampling import (
    NearestUpsampling,
    NearestUpsamplingConvolution,
)
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site

Build = Callable[..., Any]
BOTH = (NearestUpsamplingConvolution(), NearestUpsampling())


def _net(
    size: tuple[int, int, int] = (3, 4, 2),
    factor: Any = 2,
    kernel: Any = 3,
    *,
    interpolation: str = "nearest",
    **options: Any,
) -> keras.Model:
    x = keras.Input(size)
    y = layers.UpSampling2D(factor, interpolation=interpolation, name="up")(x)
    options = {"padding": "same", "name": "conv", **options}
    return keras.Model(x, layers.Conv2D(2, kernel, **options)(y))


@settings(deadline=None, max_examples=40)
@given(
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    factor=st.integers(2, 4),
    use_bias=st.booleans(),
    activation=st.sampled_from([None, "relu", "sigmoid", "tanh"]),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)),
    seed=st.integers(0, 9),
)
def test_the_merged_form_is_exact_for_every_shape(
    randomized: Build,
    rewrite_with: Build,
    kernel: tuple[int, int],
    factor: int,
    use_bias: bool,
    activation: str | None,
    size: tuple[int, int, int],
    seed: int,
) -> None:
    net = _net(size, factor, kernel, use_bias=use_bias, activation=activation)
    outcome = rewrite_with(randomized(net, seed), BOTH)
    assert outcome.forms == ["merged"]
    assert outcome.result.records[0].max_rel_error <= 1e-5
    assert outcome.error <= 1e-5
    assert "UpSampling2D" not in outcome.ops


def test_a_valid_convolution_of_1x1_is_merged_too(randomized: Build, rewrite_with: Build) -> None:
    outcome = rewrite_with(randomized(_net(kernel=1, padding="valid")), BOTH)
    assert (outcome.forms, outcome.error <= 1e-5) == (["merged"], True)


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_copies_are_exactly_the_upsampling(
    randomized: Build, rewrite_with: Build, factor: int
) -> None:
    x = keras.Input((3, 2, 2))
    model = keras.Model(x, layers.UpSampling2D(factor, name="up")(layers.ReLU()(x)))
    outcome = rewrite_with(model, BOTH)
    assert outcome.forms == ["copies"]
    assert outcome.error == 0
    assert outcome.ops.count("Concatenate") == factor.bit_length() - 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"factor": (2, 3)}, "factors (2, 3) differ"),
        ({"strides": 2}, "strides, dilation or groups"),
        ({"dilation_rate": 2}, "strides, dilation or groups"),
        ({"groups": 2}, "strides, dilation or groups"),
        ({"padding": "valid"}, "VALID"),
        ({"activation": "softmax"}, "softmax is not element-wise"),
    ],
)
def test_convolutions_that_cannot_be_merged(arguments: dict[str, Any], reason: str) -> None:
    graph = trace(_net(**arguments))
    found = BOTH[0].match(graph.output, graph.uses())
    assert isinstance(found, Refusal)
    assert (found.layer, reason in found.reason) == ("conv", True)


def test_an_upsampled_tensor_that_others_need_is_copied(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((3, 4, 2))
    y = layers.UpSampling2D(2, name="up")(x)
    y = layers.Add()([y, layers.Conv2D(2, 3, padding="same", name="conv")(y)])
    outcome = rewrite_with(randomized(keras.Model(x, y)), BOTH)
    assert outcome.forms == ["copies"]
    assert outcome.reasons == ["the output of up is also used elsewhere"]
    assert outcome.error <= 1e-6


@pytest.mark.parametrize(
    ("factor", "reason"), [((1, 2), "factors (1, 2) differ"), (3, "no power of two")]
)
def test_factors_that_copies_cannot_do(factor: Any, reason: str) -> None:
    x = keras.Input((3, 4, 2))
    graph = trace(keras.Model(x, layers.UpSampling2D(factor, name="up")(x)))
    found = BOTH[1].match(graph.output, graph.uses())
    assert isinstance(found, Refusal)
    assert (found.layer, reason in found.reason) == ("up", True)


def test_bilinear_upsampling_is_another_function() -> None:
    graph = trace(_net(interpolation="bilinear"))
    uses = graph.uses()
    assert [r.match(v, uses) for r in BOTH for v in (graph.output, *graph.output.node.inputs)] == [
        None
    ] * 4


def test_every_form_says_what_it_becomes_on_the_phone() -> None:
    graph = trace(_net())
    site = BOTH[0].match(graph.output, graph.uses())
    assert isinstance(site, Site)
    merged, kept = site.forms
    # one cell more per axis, whose positions are cut off: 2×2 cells then hold a kernel of 3
    assert [(op.kind, op.height, op.width, op.kernel) for op in merged.ops] == [
        ("CONV_2D", 4, 5, (2, 2)),
        ("DEPTH_TO_SPACE", 8, 10, (1, 1)),
        ("STRIDED_SLICE", 6, 8, (1, 1)),
    ]
    assert [op.kind for op in kept.ops] == ["RESHAPE"] * 3 + ["TILE"] * 2 + ["CONV_2D"]
    assert kept.ops[-1].kernel == (3, 3)


def test_copies_of_a_factor_of_4_double_twice() -> None:
    x = keras.Input((3, 4, 2))
    graph = trace(keras.Model(x, layers.UpSampling2D(4)(x)))
    site = BOTH[1].match(graph.output, graph.uses())
    assert isinstance(site, Site)
    ops = [(op.kind, op.height, op.channels_out) for op in site.forms[0].ops]
    first = [("CONCATENATION", 3, 2)] * 4 + [("DEPTH_TO_SPACE", 6, 2)]
    assert ops == [*first, *[("CONCATENATION", 6, 2)] * 4, ("DEPTH_TO_SPACE", 12, 2)]

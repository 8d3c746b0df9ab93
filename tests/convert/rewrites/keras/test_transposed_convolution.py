"""Transposed convolutions as ordinary ones: exact for every shape, refused where they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.costed_op import CostedOp
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras.phases import transposed_axis
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site
from portrait_tflite.convert.rewrites.keras.transposed_convolution import TransposedConvolution

Build = Callable[..., Any]
REWRITES = (TransposedConvolution(),)


def _net(size: tuple[int, int, int], kernel: Any, **options: Any) -> keras.Model:
    x = keras.Input(size)
    return keras.Model(x, layers.Conv2DTranspose(2, kernel, name="up", **options)(x))


@settings(deadline=None, max_examples=40)
@given(
    kernel=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    stride=st.integers(1, 4),
    padding=st.sampled_from(["same", "valid"]),
    use_bias=st.booleans(),
    activation=st.sampled_from([None, "relu", "relu6", "sigmoid", "tanh"]),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)),
    seed=st.integers(0, 9),
)
def test_the_phases_are_exact_for_every_shape(
    randomized: Build,
    rewrite_with: Build,
    kernel: tuple[int, int],
    stride: int,
    padding: str,
    use_bias: bool,
    activation: str | None,
    size: tuple[int, int, int],
    seed: int,
) -> None:
    options = {"strides": stride, "padding": padding, "use_bias": use_bias}
    model = randomized(_net(size, kernel, activation=activation, **options), seed)
    outcome = rewrite_with(model, REWRITES)
    assert outcome.forms == ["convolution" if stride == 1 else "subpixel"]
    assert outcome.result.records[0].max_rel_error <= 1e-5
    assert outcome.error <= 1e-5
    assert "Conv2DTranspose" not in outcome.ops


@pytest.mark.parametrize(
    ("options", "ops"),
    [
        # k = s: nothing to pad; k = 4, s = 2: one cell each side, as padding="same" has it
        ({"kernel": 2, "strides": 2}, ["Conv2D", "function"]),
        ({"kernel": 4, "strides": 2}, ["Conv2D", "function"]),
        ({"kernel": 3, "strides": 2}, ["ZeroPadding2D", "Conv2D", "function"]),
        ({"kernel": 4, "strides": 3}, ["ZeroPadding2D", "Conv2D", "function"]),
        ({"kernel": 3, "strides": 1}, ["Conv2D"]),
        (
            {"kernel": 3, "strides": 2, "padding": "valid"},
            ["ZeroPadding2D", "Conv2D", "function", "Cropping2D"],
        ),
    ],
)
def test_no_more_ops_than_are_needed(
    randomized: Build, rewrite_with: Build, options: dict[str, Any], ops: list[str]
) -> None:
    model = randomized(_net((4, 4, 3), **{"padding": "same", **options}))
    assert rewrite_with(model, REWRITES).ops == ops


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"strides": (1, 2)}, "strides (1, 2) differ"),
        ({"strides": 2, "output_padding": 1}, "output_padding"),
        ({"strides": 2, "activation": "softmax"}, "softmax is not element-wise"),
        ({"strides": 1, "dilation_rate": 2}, "dilation"),
    ],
)
def test_what_is_not_the_same_function_is_refused(options: dict[str, Any], reason: str) -> None:
    graph = trace(_net((4, 4, 3), 3, **options))
    found = REWRITES[0].match(graph.output, graph.uses())
    assert isinstance(found, Refusal)
    assert found.layer == "up"
    assert reason in found.reason


def test_channels_first_is_refused() -> None:
    graph = trace(_net((3, 4, 4), 3, data_format="channels_first"))
    found = REWRITES[0].match(graph.output, graph.uses())
    assert isinstance(found, Refusal)
    assert "channels come first" in found.reason


def test_subclasses_and_other_layers_are_none_of_its_business() -> None:
    class Custom(layers.Conv2DTranspose):
        """May compute anything."""

    for layer in (Custom(2, 3), layers.Conv2D(2, 3)):
        x = keras.Input((4, 4, 3))
        graph = trace(keras.Model(x, layer(x)))
        assert REWRITES[0].match(graph.output, graph.uses()) is None


def test_every_form_says_what_it_becomes_on_the_phone() -> None:
    graph = trace(_net((4, 6, 3), 3, strides=2, padding="same", activation="relu"))
    site = REWRITES[0].match(graph.output, graph.uses())
    assert isinstance(site, Site)
    ops = {form.name: form.ops for form in site.forms}
    # 2×2 cells for each of 4 phases; 7 of the 16 taps are zeros
    assert ops["subpixel"] == (
        CostedOp("CONV_2D", 4, 6, 3, 8, (2, 2)),
        CostedOp("DEPTH_TO_SPACE", 8, 12, 8, 2, stride=2),
    )
    assert ops["transpose_conv"] == (
        CostedOp("TRANSPOSE_CONV", 8, 12, 3, 2, (3, 3), stride=2, fused=True),
    )
    assert [op.kind for op in ops["resize_conv"]] == ["RESIZE_BILINEAR", "CONV_2D"]
    assert [op.channels_in for op in ops["resize_depthwise"]] == [3, 2, 2]


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_an_axis_uses_every_tap_once(kernel: int, stride: int, padding: str) -> None:
    axis = transposed_axis(5, kernel, stride, padding)
    assert sorted(tap.index for tap in axis.taps) == list(range(kernel))
    assert axis.cells * stride >= axis.length > (axis.cells - 1) * stride
    assert min(axis.padding) >= 0
    assert np.ptp([tap.offset for tap in axis.taps]) + 1 == axis.size

"""Normalizations folded into what computes their input, or made one op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.applications.convnext import LayerScale

from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras import affine_behind
from portrait_tflite.convert.rewrites.keras.affine import ChannelAffine
from portrait_tflite.convert.rewrites.keras.affine_behind import (
    AffineAsDepthwise,
    FoldAffineBehind,
    SplitAffine,
)

Build = Callable[..., Any]
BEHIND, SPLIT, DEPTHWISE = FoldAffineBehind(), SplitAffine(), AffineAsDepthwise()

CONVOLUTIONS = {
    "conv": lambda **o: layers.Conv2D(4, 3, strides=2, name="conv", **o),
    "dilated": lambda **o: layers.Conv2D(4, 3, dilation_rate=2, name="conv", **o),
    "depthwise": lambda **o: layers.DepthwiseConv2D(3, padding="same", name="conv", **o),
    "multiplier": lambda **o: layers.DepthwiseConv2D(3, depth_multiplier=2, name="conv", **o),
    "transposed": lambda **o: layers.Conv2DTranspose(5, 3, strides=2, name="conv", **o),
    "separable": lambda **o: layers.SeparableConv2D(4, 3, strides=2, name="conv", **o),
}
NORMALIZATIONS = {
    "batch": lambda: layers.BatchNormalization(name="norm"),
    "rescaling": lambda: layers.Rescaling(0.5, -3.0, name="norm"),
    "normalization": lambda: layers.Normalization(mean=2.0, variance=3.0, name="norm"),
    "inverted": lambda: layers.Normalization(mean=2.0, variance=3.0, invert=True, name="norm"),
}


def _behind(convolution: Any, norm: Any) -> keras.Model:
    x = keras.Input((7, 6, 3))
    return keras.Model(x, norm(convolution(x)))


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("use_bias", [True, False])
def test_behind_every_convolution(
    randomized: Build, rewrite_with: Build, kind: str, use_bias: bool
) -> None:
    norm = layers.BatchNormalization(name="bn")
    model = randomized(_behind(CONVOLUTIONS[kind](use_bias=use_bias), norm))
    outcome = rewrite_with(model, [BEHIND])
    assert outcome.forms == ["folded"]
    assert outcome.result.records[0].layer == "bn"
    opened = ["DepthwiseConv2D", "Conv2D"]
    kept = [type(model.get_layer("conv")).__name__]
    assert outcome.ops == (opened if kind == "separable" else kept)
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_every_layer_that_scales_and_shifts(
    randomized: Build, rewrite_with: Build, kind: str
) -> None:
    convolution = layers.Conv2D(4, 3, name="conv")
    x = keras.Input((7, 6, 3))
    # Their own numbers are no weights to draw at random.
    y = randomized(keras.Model(x, convolution(x)))(x)
    outcome = rewrite_with(keras.Model(x, NORMALIZATIONS[kind]()(y)), [BEHIND])
    assert (outcome.forms, outcome.ops) == (["folded"], ["Conv2D"])
    assert outcome.error <= 1e-5


def test_a_layer_scale_of_convnext(randomized: Build, rewrite_with: Build) -> None:
    model = randomized(_behind(layers.Conv2D(4, 3), LayerScale(0.3, 4, name="norm")))
    outcome = rewrite_with(model, [BEHIND])
    assert (outcome.forms, outcome.ops) == (["folded"], ["Conv2D"])
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_with_and_without_scale_and_center(
    randomized: Build, rewrite_with: Build, scale: bool, center: bool
) -> None:
    norm = layers.BatchNormalization(scale=scale, center=center, name="bn")
    model = randomized(_behind(layers.Conv2D(4, 3), norm))
    outcome = rewrite_with(model, [BEHIND])
    assert (outcome.forms, outcome.ops) == (["folded"], ["Conv2D"])
    assert outcome.error <= 1e-5


def test_a_tensor_that_others_need_stays(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((5, 5, 3))
    shared = layers.Conv2D(3, 1, name="conv")(x)
    y = layers.BatchNormalization(name="bn")(shared)
    outcome = rewrite_with(randomized(keras.Model(x, layers.Add()([shared, y]))), [BEHIND])
    assert outcome.forms == []
    assert outcome.reasons == ["the output of conv is also used elsewhere"]


@pytest.mark.parametrize(
    "norm",
    [layers.BatchNormalization(name="bn"), layers.Rescaling(0.5, name="bn")],
    ids=lambda norm: type(norm).__name__,
)
def test_one_factor_stays_a_product(refusal_of: Build, norm: Any) -> None:
    """As `TFLiteConverter` has it: in int8 a MUL costs less than a depthwise convolution."""
    assert "MUL by one number" in refusal_of(_behind(layers.MaxPooling2D(), norm), DEPTHWISE)


def test_a_convolution_with_an_activation_is_none_of_its_business() -> None:
    graph = trace(_behind(layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()))
    assert BEHIND.match(graph.output, graph.uses()) is None


@pytest.mark.parametrize("filters", [3, 6])
def test_a_convolution_keeps_its_groups(
    randomized: Build, rewrite_with: Build, filters: int
) -> None:
    model = randomized(
        _behind(layers.Conv2D(filters, 3, groups=3), layers.BatchNormalization(name="bn"))
    )
    outcome = rewrite_with(model, [BEHIND])
    assert (outcome.forms, outcome.ops) == (["folded"], ["Conv2D"])
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("rewrite", [BEHIND, SPLIT, DEPTHWISE])
def test_a_normalization_along_another_axis_is_none_of_its_business(rewrite: Any) -> None:
    x = keras.Input((5, 5, 3))
    y = layers.BatchNormalization(axis=1)(layers.Conv2D(3, 1)(x))
    graph = trace(keras.Model(x, y))
    assert rewrite.match(graph.output, graph.uses()) is None


def test_a_normalization_that_runs_in_training_mode_is_caught(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((5, 5, 3))
    y = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 1)(x), training=True)
    outcome = rewrite_with(randomized(keras.Model(x, y)), [BEHIND])
    assert outcome.forms == []
    assert outcome.reasons[0].startswith("verification failed")


def _joint(joint: Any, *branches: Any) -> keras.Model:
    x = keras.Input((6, 5, 3))
    y = layers.BatchNormalization(name="bn")(joint([branch(x) for branch in branches]))
    return keras.Model(x, layers.ReLU()(y))


@pytest.mark.parametrize("second", ["conv", "separable", "transposed"])
def test_a_concatenation_gives_each_branch_its_channels(
    randomized: Build, rewrite_with: Build, second: str
) -> None:
    branches = {
        "conv": layers.Conv2D(5, 1),
        "separable": layers.SeparableConv2D(2, 3, padding="same"),
        "transposed": layers.Conv2DTranspose(1, 3, padding="same"),
    }
    model = _joint(layers.Concatenate(), layers.Conv2D(4, 3, padding="same"), branches[second])
    outcome = rewrite_with(randomized(model), [SPLIT])
    assert outcome.forms == ["split"]
    assert "BatchNormalization" not in outcome.ops
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("count", [2, 3])
def test_a_sum_gives_every_branch_the_scale(
    randomized: Build, rewrite_with: Build, count: int
) -> None:
    branches = [layers.Conv2D(4, 3, padding="same") for _ in range(count)]
    outcome = rewrite_with(randomized(_joint(layers.Add(), *branches)), [SPLIT])
    assert outcome.forms == ["split"]
    assert outcome.ops == ["Conv2D"] * count + ["Add", "ReLU"]
    assert outcome.error <= 1e-5


def test_a_branch_with_an_activation_cannot_take_its_part(
    randomized: Build, rewrite_with: Build
) -> None:
    bent = layers.Conv2D(4, 1, activation="relu", name="bent")
    model = randomized(_joint(layers.Add(name="sum"), layers.Conv2D(4, 1), bent))
    outcome = rewrite_with(model, [SPLIT, DEPTHWISE])
    assert outcome.reasons == ["bent before sum cannot take its part"]
    assert outcome.forms == ["depthwise"]
    assert outcome.error <= 1e-5


def test_a_branch_that_others_need_cannot_take_its_part(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((6, 5, 3))
    skip = layers.Conv2D(4, 1, name="skip")(x)
    y = layers.Concatenate(name="joint")([layers.Conv2D(4, 1)(x), skip])
    y = layers.Conv2D(4, 1)(layers.BatchNormalization(name="bn")(y))
    outcome = rewrite_with(randomized(keras.Model(x, layers.Add()([y, skip]))), [SPLIT])
    assert (outcome.forms, outcome.reasons) == ([], ["skip before joint cannot take its part"])


def test_a_sum_that_others_need_stays(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((6, 5, 3))
    total = layers.Add(name="sum")([layers.Conv2D(4, 1)(x), layers.Conv2D(4, 1)(x)])
    y = layers.Multiply()([total, layers.BatchNormalization(name="bn")(total)])
    outcome = rewrite_with(randomized(keras.Model(x, y)), [SPLIT])
    assert outcome.reasons == ["the output of sum is also used elsewhere"]


def test_the_same_branch_twice_stays(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((6, 5, 3))
    y = layers.Conv2D(4, 1, name="twice")(x)
    model = randomized(keras.Model(x, layers.BatchNormalization()(layers.Add()([y, y]))))
    assert rewrite_with(model, [SPLIT]).forms == []


def test_a_sum_that_broadcasts_is_none_of_its_business() -> None:
    x = keras.Input((6, 5, 3))
    y = layers.Add()([layers.Conv2D(4, 1)(x), layers.Conv2D(1, 1)(x)])
    graph = trace(keras.Model(x, layers.BatchNormalization()(y)))
    assert SPLIT.match(graph.output, graph.uses()) is None


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_one_that_folds_nowhere_becomes_a_depthwise_convolution(
    randomized: Build, rewrite_with: Build, kind: str
) -> None:
    x = keras.Input((6, 5, 3))
    norm = NORMALIZATIONS[kind]()
    y = norm(layers.ReLU()(x))
    if kind == "batch":
        randomized(keras.Model(x, y))
    outcome = rewrite_with(keras.Model(x, layers.ReLU()(y)), [BEHIND, SPLIT, DEPTHWISE])
    assert outcome.forms == ["depthwise"]
    assert outcome.ops == ["ReLU", "DepthwiseConv2D", "ReLU"]
    assert outcome.error <= 1e-5


def test_one_behind_a_dense_layer_stays(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((4, 4, 3))
    y = layers.BatchNormalization(name="bn")(layers.Flatten()(x))
    model = randomized(keras.Model(x, layers.Reshape((4, 4, 3))(y)))
    outcome = rewrite_with(model, [DEPTHWISE])
    assert outcome.forms == []
    assert "rank 2, not 4" in outcome.reasons[0]


def test_a_rescaling_per_pixel_is_none_of_its_business() -> None:
    x = keras.Input((6, 5, 3))
    offsets = [[[0.0], [1.0], [2.0], [3.0], [4.0]]]
    graph = trace(keras.Model(x, layers.Rescaling(1.0, offsets)(layers.Conv2D(3, 1)(x))))
    assert BEHIND.match(graph.output, graph.uses()) is None
    assert DEPTHWISE.match(graph.output, graph.uses()) is None


def _broken_affine(right: Build, fault: str) -> Build:
    def read(node: Any) -> ChannelAffine | None:
        found = right(node)
        if found is None:
            return None
        wrong = {
            "no_shift": ChannelAffine(found.scale, 0 * found.shift),
            "no_scale": ChannelAffine(1 + 0 * found.scale, found.shift),
            "order": ChannelAffine(found.scale[::-1], found.shift[::-1]),
        }
        return wrong.get(fault, found)

    return read


def _broken_weights(right: Build, fault: str) -> Build:
    def read(layer: Any) -> Any:
        kernel, bias = right(layer)
        if fault == "transposed":
            return np.swapaxes(kernel, 2, 3), bias
        return kernel, None if fault == "no_bias" else bias

    return read


def _model_for(rewrite: Any) -> tuple[keras.Model, str]:
    if rewrite is BEHIND:
        return _behind(layers.Conv2D(3, 3), layers.BatchNormalization(name="bn")), "folded"
    if rewrite is DEPTHWISE:
        x = keras.Input((6, 5, 3))
        return keras.Model(x, layers.BatchNormalization(name="bn")(layers.ReLU()(x))), "depthwise"
    return _joint(layers.Concatenate(), layers.Conv2D(3, 1), layers.Conv2D(3, 1)), "split"


@pytest.mark.parametrize(
    ("rewrite", "fault"),
    [
        *((rewrite, fault) for rewrite in (BEHIND, SPLIT) for fault in ("transposed", "no_bias")),
        *(
            (rewrite, fault)
            for rewrite in (BEHIND, SPLIT, DEPTHWISE)
            for fault in ("no_shift", "no_scale", "order")
        ),
    ],
)
def test_a_broken_one_is_undone(
    randomized: Build,
    verdict_on: Build,
    monkeypatch: pytest.MonkeyPatch,
    rewrite: Any,
    fault: str,
) -> None:
    model, form = _model_for(rewrite)
    assert verdict_on(randomized(model), rewrite, form, "bn") == ""
    for name, broken in (("affine_of", _broken_affine), ("weights_of", _broken_weights)):
        right = getattr(affine_behind, name)
        monkeypatch.setattr(affine_behind, name, broken(right, fault))
    assert "verification failed" in verdict_on(model, rewrite, form, "bn")


def test_branches_that_take_each_others_part_are_undone(
    randomized: Build, verdict_on: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, form = _model_for(SPLIT)
    parts = affine_behind._parts
    monkeypatch.setattr(affine_behind, "_parts", lambda *of: (found := parts(*of)) and found[::-1])
    assert "verification failed" in verdict_on(randomized(model), SPLIT, form, "bn")

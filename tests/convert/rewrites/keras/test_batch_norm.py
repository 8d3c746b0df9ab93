"""Batch normalization folded into its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras.batch_norm import (
    BatchNormAsDepthwise,
    FoldBatchNormBefore,
    FoldBatchNormBehind,
)
from portrait_tflite.convert.rewrites.keras.site import Refusal

Build = Callable[..., Any]
BEHIND, BEFORE = FoldBatchNormBehind(), FoldBatchNormBefore()

CONVOLUTIONS = {
    "conv": lambda **o: layers.Conv2D(4, 3, strides=2, name="conv", **o),
    "dilated": lambda **o: layers.Conv2D(4, 3, dilation_rate=2, name="conv", **o),
    "depthwise": lambda **o: layers.DepthwiseConv2D(3, padding="same", name="conv", **o),
    "multiplier": lambda **o: layers.DepthwiseConv2D(3, depth_multiplier=2, name="conv", **o),
    "transposed": lambda **o: layers.Conv2DTranspose(5, 3, strides=2, name="conv", **o),
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
    assert outcome.ops == [type(model.get_layer("conv")).__name__]
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("rewrite", [BEHIND, BEFORE], ids=["behind", "before"])
def test_with_and_without_scale_and_center(
    randomized: Build, rewrite_with: Build, rewrite: Any, scale: bool, center: bool
) -> None:
    norm = layers.BatchNormalization(scale=scale, center=center, name="bn")
    convolution = layers.Conv2D(4, 3, name="conv", activation=None if rewrite is BEHIND else "relu")
    x = keras.Input((5, 5, 3))
    y = norm(convolution(x)) if rewrite is BEHIND else convolution(norm(x))
    outcome = rewrite_with(randomized(keras.Model(x, y)), [rewrite])
    assert (outcome.forms, outcome.ops) == (["folded"], ["Conv2D"])
    assert outcome.error <= 1e-5


@pytest.mark.parametrize(
    "options", [{"kernel_size": 1, "padding": "same"}, {"kernel_size": 3, "use_bias": False}]
)
def test_before_a_convolution_without_padding(
    randomized: Build, rewrite_with: Build, options: dict[str, Any]
) -> None:
    x = keras.Input((5, 5, 3))
    y = layers.Conv2D(2, name="conv", **options)(layers.BatchNormalization(name="bn")(x))
    outcome = rewrite_with(randomized(keras.Model(x, y)), [BEFORE])
    assert (outcome.forms, outcome.ops) == (["folded"], ["Conv2D"])
    assert outcome.error <= 1e-5


def test_before_a_padded_convolution_the_border_would_lack_the_shift(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((5, 5, 3))
    y = layers.BatchNormalization(name="bn")(x)
    model = randomized(keras.Model(x, layers.Conv2D(2, 3, padding="same", name="conv")(y)))
    outcome = rewrite_with(model, [BEFORE])
    assert (outcome.forms, outcome.reasons) == ([], ["conv pads its input with zeros"])


def test_before_a_padded_convolution_a_pure_scale_is_folded(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((5, 5, 3))
    norm = layers.BatchNormalization(center=False, name="bn")
    model = keras.Model(x, layers.Conv2D(2, 3, padding="same")(norm(x)))
    randomized(model)
    norm.moving_mean.assign([0.0, 0.0, 0.0])
    outcome = rewrite_with(model, [BEFORE])
    assert (outcome.forms, outcome.ops) == (["folded"], ["Conv2D"])
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("rewrite", [BEHIND, BEFORE], ids=["behind", "before"])
def test_a_tensor_that_others_need_stays(
    randomized: Build, rewrite_with: Build, rewrite: Any
) -> None:
    x = keras.Input((5, 5, 3))
    if rewrite is BEHIND:
        shared = layers.Conv2D(3, 1, name="conv")(x)
        y = layers.BatchNormalization(name="bn")(shared)
    else:
        shared = layers.BatchNormalization(name="bn")(x)
        y = layers.Conv2D(3, 1, name="conv")(shared)
    model = randomized(keras.Model(x, layers.Add()([shared, y])))
    outcome = rewrite_with(model, [rewrite])
    assert outcome.forms == []
    assert len(outcome.reasons) == 1
    assert "also used elsewhere" in outcome.reasons[0]


def test_both_folds_of_a_pre_activation_block(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((6, 6, 3))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    y = layers.Conv2D(4, 1)(layers.BatchNormalization()(layers.ReLU()(y)))
    outcome = rewrite_with(randomized(keras.Model(x, y)), [BEHIND, BEFORE])
    assert outcome.ops == ["Conv2D", "ReLU", "Conv2D"]
    assert outcome.error <= 1e-5


@pytest.mark.parametrize(
    "layer",
    [layers.Conv2D(4, 3, activation="relu"), layers.Conv2D(3, 3, groups=3)],
    ids=["activated", "grouped"],
)
def test_other_producers_are_none_of_its_business(layer: Any) -> None:
    graph = trace(_behind(layer, layers.BatchNormalization()))
    assert BEHIND.match(graph.output, graph.uses()) is None


@pytest.mark.parametrize("rewrite", [BEHIND, BEFORE], ids=["behind", "before"])
def test_a_normalization_along_another_axis_is_none_of_its_business(rewrite: Any) -> None:
    x = keras.Input((5, 5, 3))
    norm = layers.BatchNormalization(axis=1)
    y = norm(layers.Conv2D(3, 1)(x)) if rewrite is BEHIND else layers.Conv2D(3, 1)(norm(x))
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


def test_refusals_name_the_normalization() -> None:
    x = keras.Input((5, 5, 3))
    y = layers.BatchNormalization(name="bn")(x)
    graph = trace(keras.Model(x, layers.Add()([y, layers.Conv2D(3, 1)(y)])))
    convolution = graph.output.node.inputs[1]
    found = BEFORE.match(convolution, graph.uses())
    assert isinstance(found, Refusal)
    assert found.layer == "bn"


@pytest.mark.parametrize("scale", [True, False])
def test_one_that_folds_nowhere_becomes_a_depthwise_convolution(
    randomized: Build, rewrite_with: Build, scale: bool
) -> None:
    x = keras.Input((6, 5, 3))
    norm = layers.BatchNormalization(scale=scale, name="bn")
    padded = layers.SeparableConv2D(4, 3, padding="same", name="conv")
    model = randomized(keras.Model(x, padded(norm(layers.ReLU()(x)))))
    outcome = rewrite_with(model, [BEHIND, BEFORE, BatchNormAsDepthwise()])
    assert outcome.forms == ["depthwise"]
    assert "BatchNormalization" not in outcome.ops
    assert outcome.error <= 1e-5


def test_one_behind_a_dense_layer_stays(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((4, 4, 3))
    y = layers.BatchNormalization(name="bn")(layers.Flatten()(x))
    model = randomized(keras.Model(x, layers.Reshape((4, 4, 3))(y)))
    outcome = rewrite_with(model, [BatchNormAsDepthwise()])
    assert outcome.forms == []
    assert "rank 2, not 4" in outcome.result.skipped[0].reason


@pytest.mark.parametrize("use_bias", [True, False])
def test_behind_a_separable_convolution_which_is_laid_open(
    randomized: Build, rewrite_with: Build, use_bias: bool
) -> None:
    separable = layers.SeparableConv2D(4, 3, strides=2, use_bias=use_bias, name="conv")
    model = randomized(_behind(separable, layers.BatchNormalization(name="bn")))
    outcome = rewrite_with(model, [BEHIND])
    assert outcome.forms == ["folded"]
    assert outcome.ops == ["DepthwiseConv2D", "Conv2D"]
    assert outcome.error <= 1e-5

"""Two classes become one sigmoid, many channels the one that is the mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from portrait_tflite.convert.graph import Graph, apply_op, trace
from portrait_tflite.convert.rewrites.keras.fused_activation import FuseActivation
from portrait_tflite.convert.rewrites.keras.mask_head import SelectChannel, TwoClassHead
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, TakeChannel

Build = Callable[..., Any]
HEAD, SELECT, FUSE = TwoClassHead(), SelectChannel(), FuseActivation()

HEADS = {
    "activation": lambda y: layers.Activation("softmax")(layers.Conv2D(2, 3, name="logits")(y)),
    "layer": lambda y: layers.Softmax()(layers.Conv2D(2, 3, strides=2, name="logits")(y)),
    "fused": lambda y: layers.Conv2D(2, 3, padding="same", activation="softmax", name="logits")(y),
    "no_bias": lambda y: layers.Softmax()(layers.Conv2D(2, 1, use_bias=False)(y)),
    "transposed": lambda y: layers.Conv2DTranspose(2, 3, strides=2, activation="softmax")(y),
}
SOFTMAX = layers.Softmax
# What a head is after its rewrite, besides the fused sigmoid: the difference came so far up.
BEHIND = {
    "bilinear": (
        lambda y: SOFTMAX()(_up("bilinear")(layers.Conv2D(2, 1)(y))),
        ["Conv2D", "UpSampling2D"],
    ),
    "upsampled_softmax": (
        lambda y: _up("nearest")(SOFTMAX()(layers.Conv2D(2, 1)(y))),
        ["Conv2D", "UpSampling2D"],
    ),
    "normalized": (
        lambda y: SOFTMAX()(layers.BatchNormalization()(layers.Conv2D(2, 3)(y))),
        ["Conv2D"],
    ),
    "normalized_without_bias": (
        lambda y: SOFTMAX()(layers.BatchNormalization()(layers.Conv2D(2, 3, use_bias=False)(y))),
        ["Conv2D"],
    ),
    "normalized_behind_a_resize": (
        lambda y: SOFTMAX()(layers.BatchNormalization()(_up("bilinear")(layers.Conv2D(2, 1)(y)))),
        ["Conv2D", "UpSampling2D"],
    ),
    "padded": (
        lambda y: SOFTMAX()(layers.ZeroPadding2D(1)(layers.Conv2D(2, 1)(y))),
        ["Conv2D", "ZeroPadding2D"],
    ),
    "cropped": (
        lambda y: SOFTMAX()(layers.Cropping2D(1)(layers.Conv2D(2, 1)(y))),
        ["Conv2D", "Cropping2D"],
    ),
    "flattened": (
        lambda y: layers.Reshape((6, 5, 2))(
            SOFTMAX()(layers.Reshape((30, 2))(layers.Conv2D(2, 1)(y)))
        ),
        ["Conv2D", "Reshape", "Reshape"],
    ),
    "summed": (
        lambda y: SOFTMAX()(layers.Add()([layers.Conv2D(2, 1)(y), layers.Conv2D(2, 1)(y)])),
        ["Conv2D", "Conv2D", "Add"],
    ),
    "activated_logits": (
        lambda y: SOFTMAX()(layers.Conv2D(2, 1, activation="relu")(y)),
        ["Conv2D", "Conv2D"],
    ),
    "normalized_and_padded": (
        lambda y: SOFTMAX()(
            layers.BatchNormalization()(layers.ZeroPadding2D(1)(layers.Conv2D(2, 1)(y)))
        ),
        ["Conv2D", "ZeroPadding2D", "Conv2D"],
    ),
    "pooled": (
        lambda y: SOFTMAX()(layers.MaxPooling2D(2)(layers.Conv2D(2, 1)(y))),
        ["Conv2D", "MaxPooling2D", "Conv2D"],
    ),
    "flat_dense": (
        lambda y: layers.Reshape((6, 5, 2))(SOFTMAX()(layers.Dense(2)(layers.Reshape((30, 3))(y)))),
        ["Reshape", "Dense", "Dense", "Reshape"],
    ),
}


def _up(interpolation: str) -> Any:
    return layers.UpSampling2D(2, interpolation=interpolation)


def _net(head: Callable[[Any], Any]) -> keras.Model:
    x = keras.Input((6, 5, 3))
    return keras.Model(x, head(x))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("channel", [0, 1])
def test_a_softmax_of_two_is_a_sigmoid(
    randomized: Build, rewrite_with: Build, head: str, channel: int
) -> None:
    outcome = rewrite_with(randomized(_net(HEADS[head])), [HEAD, FUSE], channel=channel)
    assert outcome.forms[0] == "sigmoid"
    assert outcome.ops in (["Conv2D"], ["Conv2DTranspose"])
    assert outcome.result.graph.output.node.op.activation is keras.activations.sigmoid
    assert outcome.result.graph.output.node.op.filters == 1
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("head", BEHIND)
@pytest.mark.parametrize("channel", [0, 1])
def test_the_difference_moves_to_the_logits(
    randomized: Build, rewrite_with: Build, head: str, channel: int
) -> None:
    net, ops = BEHIND[head]
    outcome = rewrite_with(randomized(_net(net)), [HEAD], channel=channel)
    assert outcome.forms == ["sigmoid"]
    assert sorted(outcome.ops) == sorted([*ops, "Activation"])
    assert outcome.error <= 1e-5


def test_a_softmax_of_three_is_refused(randomized: Build, rewrite_with: Build) -> None:
    net = _net(lambda y: layers.Softmax()(layers.Conv2D(3, 1)(y)))
    outcome = rewrite_with(randomized(net), [HEAD, SELECT], channel=1)
    assert (outcome.forms, outcome.reasons) == ([], ["softmax of 3 classes needs them all"])


def test_a_softmax_whose_channels_are_both_used_is_refused() -> None:
    graph = trace(_net(HEADS["activation"]))
    mask = apply_op("mask", TakeChannel(1), graph.output)
    uses = Graph(graph.input, mask).uses()
    uses[graph.output] += 1
    found = HEAD.match(mask, uses)
    assert isinstance(found, Refusal)
    assert found.reason == "both channels of the softmax are used"


def test_logits_that_are_used_elsewhere_stay() -> None:
    graph = trace(_net(HEADS["activation"]))
    mask = apply_op("mask", TakeChannel(1), graph.output)
    uses = Graph(graph.input, mask).uses()
    logits = graph.output.node.inputs[0]
    uses[logits] += 1
    found = HEAD.match(mask, uses)
    assert isinstance(found, Site)
    assert found.boundary == (logits,)


def test_a_softmax_over_rows_is_none_of_its_business(
    randomized: Build, rewrite_with: Build
) -> None:
    net = _net(lambda y: layers.Softmax(axis=1)(layers.Conv2D(2, 1)(y)))
    outcome = rewrite_with(randomized(net), [HEAD], channel=0)
    assert (outcome.forms, outcome.reasons) == ([], [])


@pytest.mark.parametrize("channel", [0, 2])
@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_only_the_mask_channel_is_computed(
    randomized: Build, rewrite_with: Build, channel: int, activation: str | None
) -> None:
    net = _net(lambda y: layers.Conv2D(3, 3, activation=activation, name="head")(y))
    outcome = rewrite_with(randomized(net), [HEAD, SELECT], channel=channel)
    assert (outcome.forms, outcome.ops) == (["one_channel"], ["Conv2D"])
    assert outcome.result.graph.output.node.op.filters == 1
    assert outcome.error <= 1e-6


@pytest.mark.parametrize(
    ("head", "ops"),
    [
        (
            lambda y: _up("bilinear")(layers.ReLU()(layers.Conv2DTranspose(3, 2)(y))),
            ["Conv2DTranspose", "Activation", "UpSampling2D"],
        ),
        (lambda y: layers.ReLU()(layers.MaxPooling2D(1)(y)), ["MaxPooling2D", "TakeChannel"]),
    ],
)
def test_the_choice_moves_to_the_convolution(
    randomized: Build, rewrite_with: Build, head: Any, ops: list[str]
) -> None:
    outcome = rewrite_with(randomized(_net(head)), [SELECT], channel=2)
    assert outcome.forms == ["one_channel"]
    assert outcome.ops[: len(ops)] == ops
    assert outcome.error <= 1e-5


@pytest.mark.parametrize(
    "head",
    [
        lambda y: layers.Conv2D(3, 1, activation="softmax")(y),
        lambda y: layers.Conv2D(3, 1, groups=3)(y),
        lambda y: layers.MaxPooling2D(1)(y),
    ],
    ids=["softmax", "grouped", "no_convolution"],
)
def test_a_channel_that_needs_the_others_stays(
    randomized: Build, rewrite_with: Build, head: Any
) -> None:
    outcome = rewrite_with(randomized(_net(head)), [SELECT], channel=1)
    assert (outcome.forms, outcome.ops[-1]) == ([], "TakeChannel")


def test_an_unselected_output_is_none_of_its_business(
    randomized: Build, rewrite_with: Build
) -> None:
    outcome = rewrite_with(randomized(_net(HEADS["fused"])), [HEAD, SELECT])
    assert (outcome.forms, outcome.reasons) == ([], [])

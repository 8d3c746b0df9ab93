"""Two classes become one sigmoid, many channels the one that is the mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from portrait_tflite.convert.graph import Graph, apply_op, trace
from portrait_tflite.convert.rewrites.keras.mask_head import SelectChannel, TwoClassHead
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, TakeChannel

Build = Callable[..., Any]
HEAD, SELECT = TwoClassHead(), SelectChannel()

HEADS = {
    "activation": lambda y: layers.Activation("softmax")(layers.Conv2D(2, 3, name="logits")(y)),
    "layer": lambda y: layers.Softmax()(layers.Conv2D(2, 3, strides=2, name="logits")(y)),
    "fused": lambda y: layers.Conv2D(2, 3, padding="same", activation="softmax", name="logits")(y),
    "no_bias": lambda y: layers.Softmax()(layers.Conv2D(2, 1, use_bias=False)(y)),
}


def _net(head: Callable[[Any], Any]) -> keras.Model:
    x = keras.Input((6, 5, 3))
    return keras.Model(x, head(x))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("channel", [0, 1])
def test_a_softmax_of_two_is_a_sigmoid(
    randomized: Build, rewrite_with: Build, head: str, channel: int
) -> None:
    outcome = rewrite_with(randomized(_net(HEADS[head])), [HEAD], channel=channel)
    assert (outcome.forms, outcome.ops) == (["sigmoid"], ["Conv2D"])
    assert outcome.result.graph.output.node.op.activation is keras.activations.sigmoid
    assert outcome.error <= 1e-5


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (
            lambda y: layers.Softmax()(layers.Conv2D(3, 1)(y)),
            "softmax of 3 classes needs them all",
        ),
        (
            lambda y: layers.Softmax()(layers.UpSampling2D(name="up")(layers.Conv2D(2, 1)(y))),
            "up is no plain convolution",
        ),
        (
            lambda y: layers.Softmax()(layers.Conv2D(2, 1, activation="relu", name="logits")(y)),
            "the logits of logits have an activation",
        ),
        (
            lambda y: layers.Conv2DTranspose(2, 1, activation="softmax", name="logits")(y),
            "logits is no plain convolution",
        ),
    ],
)
def test_other_softmaxes_are_refused(
    randomized: Build, rewrite_with: Build, head: Any, reason: str
) -> None:
    outcome = rewrite_with(randomized(_net(head)), [HEAD], channel=1)
    assert (outcome.forms, outcome.reasons) == ([], [reason])


def test_logits_that_are_used_elsewhere_stay() -> None:
    graph = trace(_net(HEADS["activation"]))
    mask = apply_op("mask", TakeChannel(1), graph.output)
    uses = Graph(graph.input, mask).uses()
    assert isinstance(HEAD.match(mask, uses), Site)
    uses[graph.output.node.inputs[0]] += 1
    found = HEAD.match(mask, uses)
    assert isinstance(found, Refusal)
    assert "used elsewhere" in found.reason


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
    "head",
    [
        lambda y: layers.Conv2D(3, 1, activation="softmax")(y),
        lambda y: layers.Conv2D(3, 1, groups=3)(y),
        lambda y: layers.ReLU()(y),
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

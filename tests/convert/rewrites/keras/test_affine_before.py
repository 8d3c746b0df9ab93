"""Normalizations folded into the convolution behind them, with the border handled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.choice import CheapestForm, EveryExactForm
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.rewrites.keras.affine_before import FoldAffineBefore
from portrait_tflite.convert.rewrites.keras.affine_behind import AffineAsDepthwise
from portrait_tflite.convert.rewrites.keras.border import constant_border
from portrait_tflite.convert.rewrites.keras.site import Refusal
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Delegate, Precision

Build = Callable[..., Any]
BEFORE = FoldAffineBefore()
AUTO = CheapestForm(Delegate.XNNPACK)

CONVOLUTIONS = {
    "conv": lambda **o: layers.Conv2D(4, 3, name="conv", **o),
    "rectangular": lambda **o: layers.Conv2D(4, (5, 2), name="conv", **o),
    "depthwise": lambda **o: layers.DepthwiseConv2D(3, name="conv", **o),
    "multiplier": lambda **o: layers.DepthwiseConv2D(3, depth_multiplier=2, name="conv", **o),
    "separable": lambda **o: layers.SeparableConv2D(5, 3, name="conv", **o),
    "activated": lambda **o: layers.SeparableConv2D(5, 3, name="conv", activation="relu", **o),
    "strided": lambda **o: layers.Conv2D(4, 3, strides=2, name="conv", **o),
    "dilated": lambda **o: layers.Conv2D(4, 3, dilation_rate=2, name="conv", **o),
}


def _before(norm: Any, convolution: Any, size: tuple[int, int] = (8, 7)) -> keras.Model:
    x = keras.Input((*size, 3))
    return keras.Model(x, convolution(norm(x)))


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("use_bias", [True, False])
def test_with_zero_padding_the_border_becomes_constants(
    randomized: Build, rewrite_with: Build, kind: str, use_bias: bool
) -> None:
    convolution = CONVOLUTIONS[kind](padding="same", use_bias=use_bias)
    model = randomized(_before(layers.BatchNormalization(name="bn"), convolution))
    outcome = rewrite_with(model, [BEFORE])
    assert outcome.forms == ["constant_border"]
    assert outcome.result.records[0].layer == "bn"
    assert outcome.ops[:2] == ["_Framed", "_Framed"]
    assert "BatchNormalization" not in outcome.ops
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.FLOAT16])
def test_in_the_file_the_border_is_in_full_size(
    randomized: Build, rewrite_with: Build, precision: Precision
) -> None:
    """No BROADCAST_TO: the converter folds small ones only, and no delegate has it."""
    convolution = layers.DepthwiseConv2D(3, padding="same")
    model = randomized(_before(layers.BatchNormalization(), convolution, (8, 700)))
    outcome = rewrite_with(model, [BEFORE])
    ops = op_names(read_model(Export(outcome.result.graph).float_model(precision)))
    assert set(ops) - {"DEQUANTIZE"} == {"CONCATENATION", "DEPTHWISE_CONV_2D"}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_without_padding_nothing_is_added(
    randomized: Build, rewrite_with: Build, kind: str
) -> None:
    convolution = CONVOLUTIONS[kind](padding="valid")
    outcome = rewrite_with(
        randomized(_before(layers.BatchNormalization(name="bn"), convolution)), [BEFORE]
    )
    assert outcome.forms == ["folded"]
    assert set(outcome.ops) <= {"Conv2D", "DepthwiseConv2D"}
    assert outcome.error <= 1e-5


def test_a_pure_scale_keeps_the_padding(randomized: Build, rewrite_with: Build) -> None:
    norm = layers.BatchNormalization(center=False, name="bn")
    model = randomized(_before(norm, layers.Conv2D(2, 3, padding="same")))
    norm.moving_mean.assign([0.0, 0.0, 0.0])
    outcome = rewrite_with(model, [BEFORE])
    assert (outcome.forms, outcome.ops) == (["folded"], ["Conv2D"])
    assert outcome.error <= 1e-5


def test_only_the_sides_that_are_padded_get_a_border(
    randomized: Build, rewrite_with: Build
) -> None:
    # Of an even size, stride 2 pads behind only; the width needs none at all.
    convolution = layers.Conv2D(2, (3, 1), strides=2, padding="same")
    model = randomized(_before(layers.BatchNormalization(), convolution, (8, 8)))
    outcome = rewrite_with(model, [BEFORE])
    assert outcome.ops == ["_Framed", "Conv2D"]
    assert outcome.result.graph.nodes()[1].shapes == ((1, 9, 8, 3),)
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("convolution", ["conv", "depthwise", "strided"])
def test_a_zero_padding_layer_in_between(
    randomized: Build, rewrite_with: Build, convolution: str
) -> None:
    x = keras.Input((8, 7, 3))
    y = layers.ZeroPadding2D(((0, 1), (2, 1)))(layers.BatchNormalization(name="bn")(x))
    model = randomized(keras.Model(x, CONVOLUTIONS[convolution](padding="valid")(y)))
    outcome = rewrite_with(model, [BEFORE])
    assert outcome.forms == ["constant_border"]
    assert "ZeroPadding2D" not in outcome.ops
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("convolution", ["conv", "separable"])
def test_a_zero_padding_layer_behind_a_pure_scale(
    randomized: Build, rewrite_with: Build, convolution: str
) -> None:
    x = keras.Input((8, 7, 3))
    y = layers.ZeroPadding2D(((0, 1), (2, 1)))(layers.Rescaling(1 / 255)(x))
    model = randomized(keras.Model(x, CONVOLUTIONS[convolution](padding="valid")(y)))
    outcome = rewrite_with(model, [BEFORE])
    assert outcome.forms == ["folded"]
    assert outcome.ops[0] == "ZeroPadding2D"
    assert outcome.error <= 1e-5


def test_rescaling_and_normalization_in_a_row(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((8, 7, 3))
    y = layers.Rescaling(0.5, [0.1, 0.2, -0.1])(x)
    y = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 0.5, 2.0])(y)
    y = layers.BatchNormalization(name="bn")(y)
    convolution = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")
    outcome = rewrite_with(randomized_convolution(randomized, x, y, convolution), [BEFORE])
    assert outcome.ops == ["_Framed", "_Framed", "Conv2D"]
    assert outcome.error <= 1e-5


def randomized_convolution(randomized: Build, x: Any, y: Any, convolution: Any) -> keras.Model:
    """Draw the convolution's weights, and leave the normalization's numbers as they are."""
    end = keras.Input(y.shape[1:])
    randomized(keras.Model(end, convolution(end)))
    return keras.Model(x, convolution(y))


@pytest.mark.parametrize(("shift", "expected"), [(0.0, "constant_border"), (0.5, "depthwise")])
def test_a_channel_that_is_not_looked_at(
    randomized: Build, rewrite_with: Build, shift: float, expected: str
) -> None:
    norm = layers.BatchNormalization(name="bn")
    model = randomized(_before(norm, layers.DepthwiseConv2D(3, padding="same", name="conv")))
    norm.gamma.assign([1.0, 0.0, 2.0])
    norm.beta.assign([0.3, shift, 0.1])
    outcome = rewrite_with(model, [BEFORE])
    assert outcome.forms == [expected]
    assert outcome.error <= 1e-5


def test_a_plan_that_asks_for_such_a_border_is_a_usage_error(
    randomized: Build, verdict_on: Build
) -> None:
    norm = layers.BatchNormalization(name="bn")
    model = randomized(_before(norm, layers.Conv2D(2, 3, padding="same", name="conv")))
    norm.beta.assign([0.3, 50.0, 0.1])
    with pytest.raises(
        UsageError, match=r"'constant_border' for fold_affine_before at layer 'bn': its border .*"
    ) as caught:
        verdict_on(model, BEFORE, "constant_border", "bn")
    assert "--rewrite-plan" in str(caught.value)
    assert verdict_on(model, BEFORE, "depthwise", "bn").startswith("constant_border: its border")


@pytest.mark.parametrize(("beta", "expected"), [(1.0, "constant_border"), (50.0, "depthwise")])
def test_a_border_far_from_what_the_tensor_holds_is_refused(
    randomized: Build, rewrite_with: Build, beta: float, expected: str
) -> None:
    norm = layers.BatchNormalization(name="bn")
    model = randomized(_before(norm, layers.Conv2D(2, 3, padding="same", name="conv")))
    norm.gamma.assign([1.0, 1.0, -1.0])
    norm.beta.assign([0.3, beta, 0.1])
    outcome = rewrite_with(model, [BEFORE])
    assert outcome.forms == [expected]
    if expected == "depthwise":
        (reason,) = outcome.reasons
        assert reason.startswith("constant_border: its border would be -")
        assert "int8 steps would grow" in reason
        assert outcome.ops == ["DepthwiseConv2D", "Conv2D"]
    assert outcome.error <= 1e-5


def test_the_table_decides_between_border_and_depthwise(
    randomized: Build, rewrite_with: Build
) -> None:
    def forms(size: tuple[int, int], chooser: Any) -> list[str]:
        convolution = layers.DepthwiseConv2D(3, padding="same")
        norm = layers.BatchNormalization(center=False, name="bn")
        model = randomized(_before(norm, convolution, size))
        outcome = rewrite_with(model, [BEFORE], chooser=chooser)
        (record,) = outcome.result.records
        assert {c.form for c in record.candidates} == {"constant_border", "depthwise"}
        assert all(c.outside == 0 for c in record.candidates)
        cheapest = min(record.candidates, key=lambda candidate: candidate.cost)
        assert chooser is not AUTO or record.chosen == cheapest.form
        return outcome.forms

    assert forms((32, 32), AUTO) == ["constant_border"]
    # Of a picture of few pixels the border is most.
    assert forms((4, 4), AUTO) == ["depthwise"]
    assert forms((4, 4), EveryExactForm(AUTO)) == ["constant_border"]


def test_a_tensor_that_others_need_stays(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((5, 5, 3))
    shared = layers.BatchNormalization(name="bn")(x)
    y = layers.Conv2D(3, 1, name="conv")(shared)
    model = randomized(keras.Model(x, layers.Add()([shared, y])))
    outcome = rewrite_with(model, [BEFORE])
    assert (outcome.forms, outcome.reasons) == ([], ["its output is also used elsewhere"])
    assert outcome.result.skipped[0].layer == "bn"


def test_a_chain_ends_where_others_need_the_tensor(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((5, 5, 3))
    scaled = layers.Rescaling(0.5, 1.0, name="kept")(x)
    y = layers.Conv2D(3, 1)(layers.BatchNormalization()(scaled))
    outcome = rewrite_with(randomized(keras.Model(x, layers.Add()([scaled, y]))), [BEFORE])
    assert outcome.ops == ["Rescaling", "Conv2D", "Add"]
    assert outcome.error <= 1e-5


@pytest.mark.parametrize(
    "consumer",
    [layers.Conv2D(3, 3, groups=3), layers.Conv2DTranspose(3, 3), layers.ReLU()],
    ids=["grouped", "transposed", "none"],
)
def test_other_consumers_are_none_of_its_business(consumer: Any) -> None:
    graph = trace(_before(layers.BatchNormalization(), consumer))
    assert BEFORE.match(graph.output, graph.uses()) is None


def test_a_normalization_along_another_axis_is_none_of_its_business() -> None:
    graph = trace(_before(layers.BatchNormalization(axis=1), layers.Conv2D(3, 1)))
    assert BEFORE.match(graph.output, graph.uses()) is None


def test_refusals_name_the_normalization() -> None:
    x = keras.Input((5, 5, 3))
    y = layers.BatchNormalization(name="bn")(x)
    graph = trace(keras.Model(x, layers.Add()([y, layers.Conv2D(3, 1)(y)])))
    found = BEFORE.match(graph.output.node.inputs[1], graph.uses())
    assert isinstance(found, Refusal)
    assert found.layer == "bn"


BROKEN = {
    "zero_border": lambda numbers, pads: (numbers * 0, pads),
    "negated_border": lambda numbers, pads: (-numbers, pads),
    "one_for_all": lambda numbers, pads: (np.full_like(numbers, numbers.mean()), pads),
    "swapped_sides": lambda numbers, pads: (numbers, tuple((b, a) for a, b in pads)),
    "swapped_axes": lambda numbers, pads: (numbers, pads[::-1]),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_border_is_caught(
    randomized: Build, rewrite_with: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def broken(name: str, source: Any, pads: Any, numbers: Any) -> Any:
        numbers, pads = BROKEN[fault](numbers, pads)
        return constant_border(name, source, pads, numbers)

    module = "portrait_tflite.convert.rewrites.keras.affine_before.constant_border"
    monkeypatch.setattr(module, broken)
    # Another padding on every side.
    convolution = layers.Conv2D(4, (4, 3), strides=(2, 2), padding="same", name="conv")
    model = randomized(_before(layers.BatchNormalization(name="bn"), convolution, (9, 8)))
    outcome = rewrite_with(model, [BEFORE, AffineAsDepthwise()])
    assert outcome.forms == ["depthwise"]
    assert outcome.reasons[0].startswith("verification failed: constant_border differs by ")
    assert outcome.error <= 1e-5

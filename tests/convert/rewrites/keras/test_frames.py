"""Paddings and croppings in a row, and paddings that the layer behind them adds by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.graph import Graph, Node, Value, apply_op, as_arrays
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras import merged_frames, padding_into_same
from portrait_tflite.convert.rewrites.keras.frame import Frame, frame_of
from portrait_tflite.convert.rewrites.keras.merged_frames import MergeFrames
from portrait_tflite.convert.rewrites.keras.nearest_convolution import (
    NearestUpsamplingConvolution,
)
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.convert.rewrites.keras.padding_into_same import PaddingIntoSame
from portrait_tflite.convert.rewrites.keras.site import Site

Build = Callable[..., Any]
MERGE, INTO_SAME = MergeFrames(), PaddingIntoSame()
SETTINGS = settings(max_examples=200, deadline=None, derandomize=True)
Pad, Cut = layers.ZeroPadding2D, layers.Cropping2D


def _net(*stack: Any, size: tuple[int, int, int] = (6, 7, 3)) -> keras.Model:
    x = keras.Input(size)
    y = layers.Conv2D(3, 1, name="stem")(x)
    for layer in stack:
        y = layer(y)
    return keras.Model(x, y)


@pytest.mark.parametrize(
    ("stack", "ops"),
    [
        ([Pad(1), Pad(((0, 1), (2, 0)))], ["ZeroPadding2D"]),
        ([Cut(1), Cut(((0, 1), (1, 0)))], ["Cropping2D"]),
        ([Pad(2), Cut(1)], ["ZeroPadding2D"]),
        ([Pad(1), Cut(2)], ["Cropping2D"]),
        ([Pad(1), Cut(1)], []),
        ([Pad(0)], []),
        ([Pad(1), Pad(1), Cut(2)], []),
        ([Pad(((2, 0), (0, 0))), Cut(((0, 2), (0, 0)))], ["Cropping2D", "ZeroPadding2D"]),
        # Rows that were cut off become zeros, columns do not.
        ([Cut(((1, 0), (0, 0))), Pad(((1, 0), (0, 0))), Pad(1)], ["Cropping2D", "ZeroPadding2D"]),
    ],
)
def test_what_stands_in_a_row_is_one(
    randomized: Build, rewrite_with: Build, stack: list[Any], ops: list[str]
) -> None:
    outcome = rewrite_with(randomized(_net(*stack)), [MERGE])
    assert outcome.ops == ["Conv2D", *ops]
    assert outcome.forms[-1] == "merged"
    assert outcome.error == 0


@pytest.mark.parametrize(
    "stack",
    [
        [Pad(1)],
        [Cut(1)],
        [Cut(1), Pad(1)],
        [Pad(1), layers.ReLU(), Pad(1)],
        # What is cut off is more than the picture.
        [Pad(((0, 9), (0, 0))), Cut(((7, 0), (0, 0)))],
        [Pad(1, data_format="channels_first"), Pad(1, data_format="channels_first")],
    ],
)
def test_others_stay(randomized: Build, rewrite_with: Build, stack: list[Any]) -> None:
    outcome = rewrite_with(randomized(_net(*stack)), [MERGE])
    assert (outcome.forms, outcome.reasons) == ([], [])


def test_a_padded_tensor_that_others_need_is_kept(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((6, 6, 3))
    padded = Pad(1)(layers.Conv2D(3, 1)(x))
    net = keras.Model(x, layers.Concatenate()([Cut(1)(Pad(1)(padded)), layers.ReLU()(padded)]))
    outcome = rewrite_with(randomized(net), [MERGE])
    assert outcome.ops.count("ZeroPadding2D") == 1
    assert outcome.error == 0


def test_the_picture_itself_is_no_output(rewrite_with: Build) -> None:
    x = keras.Input((6, 6, 3))
    outcome = rewrite_with(keras.Model(x, Cut(1)(Pad(1)(x))), [MERGE])
    assert outcome.forms == []


def test_padding_by_an_operation_counts_too(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((6, 6, 3))
    y = keras.ops.pad(layers.Conv2D(3, 1)(x), [[0, 0], [2, 1], [2, 1], [0, 0]])[:, 1:, 1:, :]
    outcome = rewrite_with(randomized(keras.Model(x, y)), [OneSpelling(), MERGE])
    assert outcome.ops == ["Conv2D", "ZeroPadding2D"]
    assert outcome.error == 0


def _picture(draw: Any, least: int) -> Value:
    size = tuple(draw(st.integers(least, 9)) for _ in range(2))
    return Node("image", None, (), (), {}, ((1, *size, 2),)).output


def _sides(draw: Any, most: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return draw(st.tuples(*[st.tuples(st.integers(0, most), st.integers(0, most))] * 2))


def _assert_same(graph: Graph, site: Any, tolerance: float) -> None:
    assert isinstance(site, Site)
    image = np.random.default_rng(3).normal(size=graph.input.shape).astype(np.float32)
    (form,) = site.forms
    assert form.build
    changed = Graph(graph.input, form.build(site.boundary))
    assert changed.output.shape == graph.output.shape
    assert difference(*as_arrays([graph(image), changed(image)]))[1] <= tolerance


def _frames_above(value: Value) -> Iterator[Frame]:
    """Yield the frames that lead to a tensor, the last first."""
    while frame := frame_of(value.node):
        yield frame
        value = value.node.inputs[0]


@SETTINGS
@given(st.data())
def test_any_row_of_them_is_the_same_picture(data: Any) -> None:
    source = value = _picture(data.draw, 5)
    for number in range(data.draw(st.integers(2, 4))):
        cuts = data.draw(st.booleans()) and min(value.shape[1:3]) > 2
        sides = _sides(data.draw, 1 if cuts else 2)
        value = apply_op(f"frame{number}", (Cut if cuts else Pad)(sides), value)
    graph = Graph(source, value)
    site = MERGE.match(graph.output, graph.uses())
    if isinstance(site, Site):
        _assert_same(graph, site, 0)
        return
    # Left alone are zeros in the place of what was cut, and what comes to nothing at all.
    comes_to = list(accumulate(_frames_above(value), lambda later, one: later and one.then(later)))
    assert comes_to[1] is None or comes_to[-1] == Frame() or min(value.shape[1:3]) < 5


@pytest.mark.parametrize("fault", ["rows_for_columns", "other_side", "too_few"])
def test_a_broken_frame_is_undone(
    randomized: Build, verdict_on: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    net = randomized(_net(Pad(((2, 0), (1, 0))), Pad(((0, 0), (0, 1))), size=(6, 6, 3)))
    assert verdict_on(net, MERGE, "merged", net.layers[-1].name) == ""
    right = merged_frames.framed

    def broken(name: str, source: Value, frame: Frame) -> Value:
        wrong = {
            "rows_for_columns": Frame(frame.columns, frame.rows),
            "other_side": Frame(frame.rows[::-1], frame.columns),
            "too_few": Frame((frame.rows[0] - 1, 1), frame.columns),
        }
        return right(name, source, wrong[fault])

    monkeypatch.setattr(merged_frames, "framed", broken)
    assert "verification failed" in verdict_on(net, MERGE, "merged", net.layers[-1].name)


@pytest.mark.parametrize(
    ("padding", "layer"),
    [
        (Pad(1), layers.Conv2D(4, 3, activation="relu")),
        (Pad(2), layers.SeparableConv2D(4, 3, dilation_rate=2)),
        (Pad(((1, 1), (0, 0))), layers.Conv2D(4, (3, 1))),
        # With strides of 2 that is the 7 columns on both sides, the 6 rows behind only.
        (Pad(((0, 1), (1, 1))), layers.DepthwiseConv2D(3, strides=2)),
        (Pad(((0, 1), (1, 1))), layers.Conv2D(6, 3, strides=2, groups=3)),
    ],
)
def test_the_convolution_pads_by_itself(
    randomized: Build, rewrite_with: Build, padding: Any, layer: Any
) -> None:
    outcome = rewrite_with(randomized(_net(padding, layer)), [INTO_SAME])
    assert outcome.forms == ["same"]
    assert outcome.ops == ["Conv2D", type(layer).__name__]
    assert outcome.error <= 1e-6


def test_an_upsampling_then_meets_its_convolution(randomized: Build, rewrite_with: Build) -> None:
    net = randomized(_net(layers.UpSampling2D(2), Pad(1), layers.Conv2D(4, 3)))
    outcome = rewrite_with(net, [INTO_SAME, NearestUpsamplingConvolution()])
    assert outcome.forms == ["same", "merged"]
    assert outcome.error <= 1e-5


@pytest.mark.parametrize(
    "stack",
    [
        [Pad(2), layers.Conv2D(4, 3)],
        [Pad(1), layers.Conv2D(4, 3, strides=2)],
        [Pad(1), layers.Conv2D(4, 3, padding="same")],
        [Pad(1), layers.AveragePooling2D(3, 1)],
        [Pad(1), layers.ReLU()],
        [Cut(1), layers.Conv2D(4, 3)],
    ],
)
def test_other_lines_or_layers_stay(
    randomized: Build, rewrite_with: Build, stack: list[Any]
) -> None:
    outcome = rewrite_with(randomized(_net(*stack, size=(6, 6, 3))), [INTO_SAME])
    assert (outcome.forms, outcome.reasons) == ([], [])


def test_a_padded_tensor_that_others_need_is_refused(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((6, 6, 3))
    padded = Pad(1, name="pad")(x)
    other = Cut(1)(layers.ReLU()(padded))
    net = keras.Model(x, layers.Concatenate()([layers.Conv2D(3, 3)(padded), other]))
    outcome = rewrite_with(randomized(net), [INTO_SAME])
    assert (outcome.forms, outcome.reasons) == ([], ["its output is also used elsewhere"])


@pytest.mark.parametrize(
    ("before", "form"),
    [
        (layers.ReLU(), ["same"]),
        (layers.Activation("sigmoid"), ["same"]),
        (layers.Conv2D(3, 1, activation="relu6"), ["same"]),
        (layers.Activation("tanh"), []),
        (layers.ReLU(negative_slope=0.1), []),
        (layers.BatchNormalization(), []),
    ],
)
def test_a_pool_pads_with_less_than_everything(
    randomized: Build, rewrite_with: Build, before: Any, form: list[str]
) -> None:
    net = randomized(_net(before, Pad(1, name="pad"), layers.MaxPooling2D(3, 1, name="pool")))
    outcome = rewrite_with(net, [INTO_SAME])
    assert outcome.forms == form
    assert outcome.error == 0
    if not form:
        assert outcome.reasons == ["pool pads with less than what lies below 0"]


@SETTINGS
@given(st.data())
def test_wherever_the_lines_are_those_of_same(data: Any) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    source = _picture(draw, 4)
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    options: dict[str, Any] = {"use_bias": draw(st.booleans())}
    if draw(st.booleans()):
        options["strides"] = draw(st.integers(1, 3))
    else:
        options["dilation_rate"] = draw(st.integers(1, 3))
    kinds = {
        "conv": lambda: layers.Conv2D(3, kernel, **options),
        "depthwise": lambda: layers.DepthwiseConv2D(kernel, **options),
        "separable": lambda: layers.SeparableConv2D(3, kernel, **options),
    }
    layer = kinds[draw(st.sampled_from(sorted(kinds)))]()
    frame = padding_into_same.same_frame(layer, *source.shape[1:3])
    padded = apply_op("pad", Pad((frame.rows, frame.columns)), source)
    layer.build(padded.shape)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape).astype(np.float32))
    graph = Graph(source, apply_op("conv", layer, padded))
    _assert_same(graph, INTO_SAME.match(graph.output, graph.uses()), TOLERANCE)


@pytest.mark.parametrize("fault", ["valid_lines", "transposed", "no_bias"])
def test_a_broken_convolution_is_undone(
    randomized: Build, verdict_on: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    net = randomized(_net(Pad(((0, 1), (1, 1)), name="pad"), layers.Conv2D(3, (2, 3), name="conv")))
    assert verdict_on(net, INTO_SAME, "same", "pad") == ""
    right = padding_into_same.with_padding

    def broken(node: Node, source: Value, padding: str) -> Value:
        if fault == "valid_lines":
            shifted = apply_op("shift", Pad(((1, 0), (1, 1))), source)
            return right(node, shifted, "valid")
        value = right(node, source, padding)
        kernel, bias = (np.asarray(weight) for weight in node.op.get_weights())
        wrong = kernel.swapaxes(2, 3) if fault == "transposed" else kernel
        value.node.op.set_weights([wrong, bias * (fault != "no_bias")])
        return value

    monkeypatch.setattr(padding_into_same, "with_padding", broken)
    assert "verification failed" in verdict_on(net, INTO_SAME, "same", "pad")

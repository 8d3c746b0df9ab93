"""What is cut off again is not computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.choice import CheapestForm
from portrait_tflite.convert.graph import Graph, Node, Value, apply_op, as_arrays
from portrait_tflite.convert.rewriter import TOLERANCE, difference
from portrait_tflite.convert.rewrites.keras import earlier_cropping
from portrait_tflite.convert.rewrites.keras.earlier_cropping import EarlierCropping
from portrait_tflite.convert.rewrites.keras.frame import Frame
from portrait_tflite.convert.rewrites.keras.site import Site
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
REWRITE = EarlierCropping()
Cut = layers.Cropping2D


def _net(*stack: Any, size: tuple[int, int, int] = (8, 9, 3)) -> keras.Model:
    x = y = keras.Input(size)
    for layer in stack:
        y = layer(y)
    return keras.Model(x, y)


@pytest.mark.parametrize(
    ("stack", "ops"),
    [
        ([layers.Conv2D(4, 3, padding="same", activation="relu"), Cut(1)], ["Conv2D"]),
        ([layers.DepthwiseConv2D(5, padding="same"), Cut(2)], ["DepthwiseConv2D"]),
        ([layers.SeparableConv2D(4, 3, padding="same"), Cut(1)], ["SeparableConv2D"]),
        ([layers.Conv2D(4, 5, padding="same"), Cut(1)], ["ZeroPadding2D", "Conv2D"]),
        ([layers.Conv2D(4, 3, padding="same"), Cut(2)], ["Cropping2D", "Conv2D"]),
        ([layers.Conv2D(4, 3), Cut(((0, 1), (0, 0)))], ["Cropping2D", "Conv2D"]),
        (
            [layers.Conv2D(4, 3, padding="same"), Cut(((1, 2), (0, 1)))],
            ["Cropping2D", "ZeroPadding2D", "Conv2D"],
        ),
        # Less than a stride is left by the convolution itself.
        ([layers.Conv2D(4, 2, strides=2, padding="same"), Cut(((0, 0), (0, 1)))], ["Conv2D"]),
        ([layers.Conv2DTranspose(4, 4, strides=2), Cut(1)], ["Conv2DTranspose"]),
        ([layers.Conv2DTranspose(4, 3, strides=2), Cut(1)], ["Conv2DTranspose"]),
        ([layers.Conv2DTranspose(4, 3, strides=2), Cut(((0, 1), (0, 1)))], ["Conv2DTranspose"]),
        ([layers.UpSampling2D(2), Cut(2)], ["Cropping2D", "UpSampling2D"]),
        (
            [layers.UpSampling2D((3, 1)), Cut(((0, 3), (1, 0)))],
            ["Cropping2D", "UpSampling2D"],
        ),
    ],
)
def test_it_is_not_computed(
    randomized: Build, rewrite_with: Build, stack: list[Any], ops: list[str]
) -> None:
    outcome = rewrite_with(randomized(_net(*stack)), [REWRITE])
    assert outcome.ops == ops
    assert outcome.error <= 1e-6


@pytest.mark.parametrize(
    "stack",
    [
        [layers.UpSampling2D(2), Cut(1)],
        [layers.UpSampling2D(2, interpolation="bilinear"), Cut(2)],
        [layers.Conv2DTranspose(4, 4, strides=2), Cut(((2, 0), (1, 1)))],
        [layers.Conv2DTranspose(4, 2, strides=3), Cut(((0, 2), (0, 2)))],
        [layers.Conv2DTranspose(4, 4, strides=2, padding="same"), Cut(1)],
        [layers.MaxPooling2D(3, 1, padding="same"), Cut(1)],
        [layers.Conv2D(4, 3, padding="same"), layers.ZeroPadding2D(1)],
        [layers.Conv2D(4, 3, padding="same"), Cut(0)],
        [layers.ReLU(), Cut(1)],
    ],
)
def test_others_stay(randomized: Build, rewrite_with: Build, stack: list[Any]) -> None:
    outcome = rewrite_with(randomized(_net(*stack)), [REWRITE])
    assert (outcome.forms, outcome.reasons) == ([], [])


def test_a_tensor_that_others_need_is_refused(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((8, 8, 3))
    whole = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    valid = layers.Conv2D(4, 3)(whole)
    outcome = rewrite_with(
        randomized(keras.Model(x, layers.Add()([Cut(1)(whole), valid]))), [REWRITE]
    )
    assert (outcome.forms, outcome.reasons) == ([], ["the output of conv is also used elsewhere"])


@pytest.mark.parametrize(
    ("filters", "form"),
    # A slice of many channels costs more than the convolution of a few at the border.
    [(64, "cropped_first"), (1, "crop")],
)
def test_the_table_decides_which_is_cut(
    randomized: Build, rewrite_with: Build, filters: int, form: str
) -> None:
    convolution = layers.Conv2D(filters, 1)
    net = randomized(_net(convolution, Cut(((0, 1), (0, 0))), size=(64, 64, 16)))
    outcome = rewrite_with(net, [REWRITE], chooser=CheapestForm(Delegate.XNNPACK))
    assert (outcome.forms or [outcome.reasons[0].split(":")[0]]) == [form]
    assert outcome.error <= 1e-6


def _drawn(draw: Any, rng: np.random.Generator, kind: str) -> Any:
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    options: dict[str, Any] = {"padding": draw(st.sampled_from(("same", "valid")))}
    options["activation"] = draw(st.sampled_from((None, "relu", "softmax")))
    if draw(st.booleans()):
        options["strides"] = draw(st.integers(1, 3))
    elif kind != "transposed":
        options["dilation_rate"] = draw(st.integers(1, 2))
    if kind == "depthwise":
        return layers.DepthwiseConv2D(kernel, depth_multiplier=2, **options)
    if kind == "transposed":
        return layers.Conv2DTranspose(2, kernel, **{**options, "padding": "valid"})
    return {"conv": layers.Conv2D, "separable": layers.SeparableConv2D}[kind](2, kernel, **options)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_whatever_is_cut(data: Any) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    kind = draw(st.sampled_from(("conv", "depthwise", "separable", "transposed", "nearest")))
    size = tuple(draw(st.integers(10, 12)) for _ in range(2))  # no kernel is larger
    source = Node("image", None, (), (), {}, ((1, *size, 2),)).output
    factor = draw(st.integers(1, 3))
    layer = layers.UpSampling2D(factor) if kind == "nearest" else _drawn(draw, rng, kind)
    layer.build(source.shape)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape).astype(np.float32))
    value = apply_op("layer", layer, source)
    rows, columns = (draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in range(2))
    if kind == "nearest":
        rows, columns = ((a * factor, b * factor) for a, b in (rows, columns))
    if kind == "transposed":  # only what SAME cuts off is a form
        rows, columns = (_like_same(layer, axis) for axis in (0, 1))
    assume(value.shape[1] > sum(rows) and value.shape[2] > sum(columns) and any((*rows, *columns)))
    graph = Graph(source, apply_op("cut", Cut((rows, columns)), value))
    site = REWRITE.match(graph.output, graph.uses())
    assert isinstance(site, Site)
    image = rng.normal(size=source.shape).astype(np.float32)
    (form,) = (form for form in site.forms if form.build)
    assert form.build
    changed = Graph(source, form.build(site.boundary))
    assert changed.output.shape == graph.output.shape
    assert difference(*as_arrays([graph(image), changed(image)]))[1] <= TOLERANCE


def _like_same(layer: Any, axis: int) -> tuple[int, int]:
    extra = max(0, layer.kernel_size[axis] - layer.strides[axis])
    assume(layer.kernel_size[axis] >= layer.strides[axis])
    return extra // 2, extra - extra // 2


@pytest.mark.parametrize("fault", ["other_side", "rows_for_columns", "transposed", "no_bias"])
def test_a_broken_one_is_undone(
    randomized: Build, verdict_on: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    net = randomized(
        _net(
            layers.Conv2D(3, 3, padding="same", name="conv"),
            Cut(((1, 0), (0, 0)), name="cut"),
            size=(8, 8, 3),
        )
    )
    assert verdict_on(net, REWRITE, "cropped_first", "cut") == ""
    frames, padding = earlier_cropping.framed, earlier_cropping.with_padding

    def wrong_frame(name: str, source: Value, frame: Frame) -> Value:
        wrong = {
            "other_side": Frame(frame.rows[::-1], frame.columns),
            "rows_for_columns": Frame(frame.columns, frame.rows),
        }
        return frames(name, source, wrong.get(fault, frame))

    def wrong_weights(node: Node, source: Value, kind: str) -> Value:
        value = padding(node, source, kind)
        kernel, bias = (np.asarray(weight) for weight in node.op.get_weights())
        if fault == "transposed":
            value.node.op.set_weights([kernel.swapaxes(2, 3), bias])
        elif fault == "no_bias":
            value.node.op.set_weights([kernel, np.zeros_like(bias)])
        return value

    monkeypatch.setattr(earlier_cropping, "framed", wrong_frame)
    monkeypatch.setattr(earlier_cropping, "with_padding", wrong_weights)
    assert "verification failed" in verdict_on(net, REWRITE, "cropped_first", "cut")

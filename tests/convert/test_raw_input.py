"""Networks that take the bytes of a picture: range, mean and std inside of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.choice import CheapestForm, PlannedForm
from portrait_tflite.convert.graph import Graph, Node, apply_op, as_arrays, trace
from portrait_tflite.convert.raw_input import (
    RawInput,
    full_range,
    of_bytes,
    of_one_range,
    stores_bytes,
    take_units,
)
from portrait_tflite.convert.rewriter import TOLERANCE, difference, rewrite_graph
from portrait_tflite.convert.rewrites.keras.packed_columns import PackedColumns
from portrait_tflite.images import denormalize, normalize
from portrait_tflite.vocabulary import Channels, Delegate, ModelSpec, SkippedRewrite, StateSpec

Build = Callable[..., Any]
SETTINGS = settings(max_examples=200, deadline=None, derandomize=True)
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SPEC = ModelSpec(8, 7, input_range=(-1.0, 1.0))


def _pixels(spec: ModelSpec, seed: int = 0, count: int = 2) -> Any:
    shape = (count, spec.height, spec.width, spec.channels.depth)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)


def _numbers(draw: Any, low: float, high: float, depth: int) -> tuple[float, ...]:
    count = draw(st.sampled_from((0, 1, depth)))
    return tuple(draw(st.floats(low, high)) for _ in range(count))


def _spec(draw: Any) -> ModelSpec:
    channels = draw(st.sampled_from((Channels.RGB, Channels.GRAY)))
    low = draw(st.sampled_from((0.0, -1.0, -0.5)))
    high = draw(st.sampled_from((1.0, 255.0, 2.0)))
    mean = _numbers(draw, 0.0, 0.8, channels.depth)  # zero is a byte's value
    return ModelSpec(
        draw(st.integers(6, 9)),
        draw(st.integers(6, 9)),
        channels,
        (low, high),
        tuple(number * high for number in mean),
        _numbers(draw, 0.1, 3.0, channels.depth),
    )


@SETTINGS
@given(st.data())
def test_the_first_convolution_takes_range_mean_and_std(data: Any) -> None:
    spec = _spec(data.draw)
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 20)))
    shape = (1, spec.height, spec.width, spec.channels.depth)
    source = Node("image", None, (), (), {}, (shape,)).output
    layer = layers.Conv2D(
        data.draw(st.integers(1, 3)),
        data.draw(st.integers(1, 4)),
        strides=data.draw(st.integers(1, 2)),
        padding=data.draw(st.sampled_from(("same", "valid"))),
        use_bias=data.draw(st.booleans()),
        kernel_initializer="zeros",
    )
    layer.build(shape)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    graph = Graph(source, apply_op("conv", layer, source))
    pixels = _pixels(spec, count=1)
    as_bytes = data.draw(st.booleans())
    taken = of_bytes(spec) if as_bytes else of_one_range(spec)
    given_range = (0.0, 255.0) if as_bytes else spec.input_range
    assert taken == replace(spec, input_range=given_range, mean=(), std=())
    fed = normalize(pixels, taken)
    raw = take_units(graph, spec, taken, fed)
    assert isinstance(raw, RawInput)
    assert raw.spec == taken
    expected, found = as_arrays([graph(normalize(pixels, spec)), raw.graph(fed)])
    assert difference(expected, found)[1] <= TOLERANCE
    np.testing.assert_array_equal(denormalize(normalize(pixels, spec), spec), pixels)
    low, high = full_range(spec)
    black, white = (normalize(np.full(shape, byte, np.float32), spec) for byte in (0, 255))
    assert low == pytest.approx(black.min(), rel=1e-5, abs=1e-5)
    assert high == pytest.approx(white.max(), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"input_range": (0.0, 1.0)}, True),
        ({"input_range": (0.0, 255.0)}, True),
        ({"input_range": (0.0, 255.0), "mean": (128.0,), "std": (64.0,)}, True),
        ({"input_range": (0.0, 255.0), "mean": (127.5,), "std": (127.5,)}, False),
        ({"input_range": (-1.0, 1.0)}, False),
        ({"input_range": (0.0, 1.0), **IMAGENET}, False),
        ({"input_range": (0.0, 1.0), "mean": (0.4, 0.5, 0.6)}, False),
    ],
)
def test_whether_a_step_of_the_input_is_a_byte(changes: dict[str, Any], expected: bool) -> None:
    assert stores_bytes(replace(SPEC, **changes)) is expected


def _taken(randomized: Build, build: Callable[[Any], Any], spec: ModelSpec = SPEC) -> Any:
    x = keras.Input((spec.height, spec.width, 3))
    model = randomized(keras.Model(x, build(x)))
    return take_units(trace(model), spec, of_bytes(spec), _pixels(spec))


def test_a_border_of_zeros_becomes_one_of_the_byte_that_is_zero(randomized: Build) -> None:
    taken = _taken(randomized, layers.Conv2D(2, 3, padding="same"))
    assert [r.chosen for r in taken.records] == ["constant_border"]
    framed = taken.graph.nodes()[1]
    assert framed.op.numbers == pytest.approx([127.5] * 3)
    assert not any("normalization" in node.name for node in taken.graph.nodes())


def test_a_rescaling_of_its_own_is_taken_along(randomized: Build) -> None:
    taken = _taken(randomized, lambda x: layers.Conv2D(2, 3)(layers.Rescaling(2.0, -1.0)(x)))
    assert [type(node.op).__name__ for node in taken.graph.nodes()] == ["NoneType", "Conv2D"]


def test_packed_columns_are_scaled_as_packs(randomized: Build) -> None:
    spec = ModelSpec(8, 8, input_range=(-1.0, 1.0))
    x = keras.Input((8, 8, 3))
    model = randomized(keras.Model(x, layers.Conv2D(2, 3, padding="same", name="conv")(x)))
    graph, pixels = trace(model), _pixels(spec)
    plan = PlannedForm(CheapestForm(Delegate.XNNPACK), {("packed_columns", "conv"): "packed_2"})
    packed = rewrite_graph(graph, normalize(pixels, spec), plan, [PackedColumns(fewest=1)]).graph
    taken = take_units(packed, spec, of_bytes(spec), pixels)
    assert isinstance(taken, RawInput)
    assert "constant_border" in [record.chosen for record in taken.records]
    expected, found = as_arrays([graph(normalize(pixels, spec)), taken.graph(pixels)])
    assert difference(expected, found)[1] <= TOLERANCE


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (layers.ReLU(), "no convolution"),
        (layers.Conv2D(3, 3, groups=3), "no convolution"),
        (
            lambda x: layers.Add()([layers.Conv2D(2, 1)(x), layers.Conv2D(2, 1)(x)]),
            "its output is also used elsewhere",
        ),
    ],
    ids=["relu", "grouped", "two"],
)
def test_where_it_folds_nowhere_the_input_stays(randomized: Build, build: Any, reason: str) -> None:
    taken = _taken(randomized, build)
    assert isinstance(taken, SkippedRewrite)
    assert taken.reason == f"the first layer cannot take it ({reason})"


def test_a_border_beyond_black_and_white_is_refused(randomized: Build) -> None:
    spec = replace(SPEC, input_range=(0.0, 1.0), mean=(-0.5,))
    taken = _taken(randomized, layers.Conv2D(2, 3, padding="same"), spec)
    assert isinstance(taken, SkippedRewrite)
    assert "its border would be -128 to -128" in taken.reason


def test_a_network_that_remembers_keeps_its_input(randomized: Build) -> None:
    taken = _taken(randomized, layers.Conv2D(2, 3), replace(SPEC, state=StateSpec(1)))
    assert isinstance(taken, SkippedRewrite)
    assert "remembers" in taken.reason

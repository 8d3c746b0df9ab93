"""Convolutions of few channels, several columns at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.choice import CheapestForm, PlannedForm
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.graph import Graph, Node, apply_op, as_arrays, trace
from portrait_tflite.convert.rewriter import TOLERANCE, difference, rewrite_graph
from portrait_tflite.convert.rewrites.keras import packed_columns
from portrait_tflite.convert.rewrites.keras.packed_columns import PackedColumns
from portrait_tflite.quantize.int8.post_training import quantize_model
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, IoType, Precision

Build = Callable[..., Any]
PACKED = PackedColumns(fewest=1)
AUTO = CheapestForm(Delegate.XNNPACK)


def _model(randomized: Build, *made: Any, size: tuple[int, int, int] = (8, 16, 3)) -> keras.Model:
    x = y = keras.Input(size)
    for layer in made:
        y = layer(y)
    return randomized(keras.Model(x, y))


def _planned(form: str, layer: str = "conv") -> PlannedForm:
    return PlannedForm(AUTO, {("packed_columns", layer): form})


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_every_form_computes_the_same(data: Any) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 20)))
    channels, filters = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    shape = (1, data.draw(st.integers(1, 5)), data.draw(st.sampled_from((2, 4, 6, 8))), channels)
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 7)))
    options = {
        "padding": "same",
        "use_bias": data.draw(st.booleans()),
        "activation": data.draw(st.sampled_from((None, "relu", "tanh"))),
    }
    if data.draw(st.booleans()):
        options |= dict.fromkeys(("depthwise_initializer", "pointwise_initializer"), "zeros")
        multiplier = data.draw(st.integers(1, 2))
        layer = layers.SeparableConv2D(filters, kernel, depth_multiplier=multiplier, **options)
    else:
        layer = layers.Conv2D(filters, kernel, kernel_initializer="zeros", **options)
    layer.build(shape)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    source = Node("image", None, (), (), {}, (shape,)).output
    graph = Graph(source, apply_op("conv", layer, source))
    site = PACKED.match(graph.output, graph.uses())
    assert site is not None
    image = rng.normal(size=shape).astype(np.float32)
    expected = as_arrays([graph(image)])[0]
    forms = [form for form in site.forms if form.build]
    assert len(forms) >= 1
    # One of each kind; all of them would be the same code.
    for form in {form.name.partition("_")[0]: form for form in forms}.values():
        assert form.build is not None
        changed = Graph(source, form.build(site.boundary))
        assert changed.output.shape == graph.output.shape
        assert difference(expected, as_arrays([changed(image)])[0])[1] <= TOLERANCE


@pytest.mark.parametrize("form", ["packed_2", "packed_4", "packed_8"])
def test_columns_become_channels_and_columns_again(
    randomized: Build, rewrite_with: Build, form: str
) -> None:
    model = _model(randomized, layers.Conv2D(2, 3, padding="same", name="conv"))
    outcome = rewrite_with(model, [PACKED], chooser=_planned(form))
    assert outcome.forms == [form]
    assert outcome.ops == ["ColumnsAsChannels", "Conv2D", "ColumnsAsChannels"]
    assert outcome.error <= 1e-5


def test_a_depthwise_and_a_pointwise_convolution_become_one(
    randomized: Build, rewrite_with: Build
) -> None:
    spatial = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)
    model = _model(randomized, spatial, layers.Conv2D(4, 1, activation="relu", name="conv"))
    outcome = rewrite_with(model, [PACKED], chooser=_planned("merged_1"))
    assert (outcome.forms, outcome.ops) == (["merged_1"], ["Conv2D"])
    assert outcome.error <= 1e-5
    outcome = rewrite_with(model, [PACKED], chooser=_planned("packed_2"))
    assert outcome.ops == ["DepthwiseConv2D", "ColumnsAsChannels", "Conv2D", "ColumnsAsChannels"]
    assert outcome.error <= 1e-5


@pytest.mark.parametrize("shared", [True, False])
def test_a_depthwise_convolution_that_bends_or_is_shared_stays(
    randomized: Build, rewrite_with: Build, shared: bool
) -> None:
    x = keras.Input((8, 16, 3))
    y = layers.DepthwiseConv2D(3, padding="same", activation=None if shared else "relu")(x)
    z = layers.Conv2D(3, 1, name="conv")(y)
    model = randomized(keras.Model(x, layers.Add()([y, z]) if shared else z))
    graph = trace(model)
    conv = next(node for node in graph.nodes() if node.name == "conv")
    site = PACKED.match(conv.output, graph.uses())
    assert site is not None
    assert not [form for form in site.forms if form.name.startswith("merged")]
    assert rewrite_with(model, [PACKED], chooser=_planned("packed_2")).error <= 1e-5


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(16, 3, padding="same"),
        layers.Conv2D(2, 3),
        layers.Conv2D(2, 3, strides=2, padding="same"),
        layers.Conv2D(2, 3, dilation_rate=2, padding="same"),
        layers.Conv2D(3, 3, groups=3, padding="same"),
        layers.Conv2D(2, 1, activation="softmax"),
        layers.DepthwiseConv2D(3, padding="same"),
    ],
    ids=["wide", "valid", "strided", "dilated", "grouped", "softmax", "depthwise"],
)
def test_other_convolutions_are_none_of_its_business(layer: Any) -> None:
    x = keras.Input((8, 16, 3))
    graph = trace(keras.Model(x, layer(x)))
    assert PACKED.match(graph.output, graph.uses()) is None


def test_a_small_picture_is_not_worth_two_more_ops(randomized: Build) -> None:
    def match(size: int) -> Any:
        x = keras.Input((size, size, 3))
        graph = trace(keras.Model(x, layers.Conv2D(3, 1)(x)))
        return PackedColumns().match(graph.output, graph.uses())

    assert match(32) is None
    assert match(64) is not None


def test_the_table_decides_and_only_for_the_cpu(randomized: Build, rewrite_with: Build) -> None:
    few = _model(randomized, layers.Conv2D(3, 1, name="conv"), size=(64, 64, 3))
    outcome = rewrite_with(few, [PACKED], chooser=AUTO)
    (record,) = outcome.result.records
    costs = {candidate.form: candidate.cost for candidate in record.candidates}
    assert record.chosen == min(costs, key=costs.__getitem__)
    assert costs[record.chosen] < costs["pixels"] / 2
    # Twelve channels fill most of a tile.
    many = _model(randomized, layers.Conv2D(12, 3, padding="same"), size=(64, 64, 16))
    assert rewrite_with(many, [PACKED], chooser=AUTO).forms == []
    assert rewrite_with(few, [PACKED], chooser=CheapestForm(Delegate.GPU)).forms == []


@pytest.mark.parametrize("form", ["packed_4", "packed_16"])
def test_int8_gives_the_same_bytes(randomized: Build, form: str) -> None:
    model = _model(
        randomized, layers.Conv2D(3, (3, 5), padding="same", activation="relu", name="conv"),
        size=(8, 16, 4),
    )  # fmt: skip
    images = np.random.default_rng(3).normal(size=(8, 8, 16, 4)).astype(np.float32)
    graph = trace(model)
    changed = rewrite_graph(graph, images[:1], _planned(form), [PACKED]).graph
    assert changed.output.node is not graph.output.node

    def pictures() -> Iterator[list[Any]]:
        return iter([[image[None]] for image in images])

    outputs = []
    for each in (graph, changed):
        data = quantize_model(Export(each), Precision.INT8, pictures, IoType.INT8)
        for delegate in (Delegate.CPU, Delegate.XNNPACK):
            runner = open_model(data, delegate)
            noise = np.random.default_rng(4).integers(-128, 128, (1, 8, 16, 4)).astype(np.int8)
            outputs.append(runner.run(noise)[0])
    assert outputs[0].tobytes() == outputs[2].tobytes()
    assert outputs[1].tobytes() == outputs[3].tobytes()


BROKEN = {
    "transposed_kernel": lambda d: _with(d, kernel=d.kernel[:, ::-1]),
    "swapped_channels": lambda d: _with(d, kernel=d.kernel[:, :, ::-1]),
    "dropped_bias": lambda d: _with(d, bias=None),
    "shifted": lambda d: _with(d, kernel=np.roll(d.kernel, 1, axis=3)),
    "no_neighbours": lambda d: _with(d, kernel=d.kernel * ([[[0]], [[1]], [[0]]],)),
}


def _with(dense: Any, **changes: Any) -> Any:
    fields = {"kernel": dense.kernel, "bias": dense.bias, "activation": dense.activation}
    return type(dense)(**fields | changes)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_pack_is_caught(
    randomized: Build, rewrite_with: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    packed = packed_columns._Dense.packed
    monkeypatch.setattr(
        packed_columns._Dense, "packed", lambda dense, count: BROKEN[fault](packed(dense, count))
    )
    model = _model(randomized, layers.Conv2D(2, 3, padding="same", name="conv"))
    outcome = rewrite_with(model, [PACKED], chooser=_planned("packed_2"))
    assert outcome.forms == []
    assert outcome.reasons[0].startswith("verification failed: packed_2 differs by ")
    assert outcome.error == 0

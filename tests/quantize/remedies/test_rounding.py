"""Weights rounded together."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import measure_ranges, observe_tensors
from portrait_tflite.quantize.remedies.compensated_rounding import (
    round_compensated,
    round_nearest,
    row_errors,
)
from portrait_tflite.quantize.remedies.linear_ops import (
    linear_ops,
    read_bias,
    read_weights,
    write_weights,
)
from portrait_tflite.quantize.remedies.patches import sample_patches
from portrait_tflite.quantize.remedies.rounding import Rounding
from portrait_tflite.vocabulary import Precision

SHAPE = (12, 12, 6)


def _frames(count: int = 12) -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(1)
    mixed = rng.random((6, 6), np.float32)  # channels that go together, as those of nets do
    return [(rng.random((1, *SHAPE), np.float32) @ mixed,) for _ in range(count)]


@pytest.fixture(scope="module")
def network() -> RangedNetwork:
    keras.utils.set_random_seed(3)
    x = keras.Input(SHAPE)
    uniform = {"bias_initializer": "uniform"}
    y = layers.Conv2D(8, 3, 2, "same", activation="relu", **uniform)(x)
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, **uniform)(y)
    y = layers.Conv2D(8, 3, dilation_rate=2, padding="same", **uniform)(y)
    y = layers.Conv2D(12, 3, groups=4, padding="same", **uniform)(y)
    y = layers.Conv2DTranspose(4, 3, 2, "same", **uniform)(y)
    y = layers.Conv2D(4, 3, padding="valid", **uniform)(y)
    data = Export(trace(keras.Model(x, y))).float_model(Precision.FLOAT32)
    return RangedNetwork(data, measure_ranges(data, _frames()))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    outputs=st.integers(1, 5),
    inputs=st.integers(1, 12),
    patches=st.integers(1, 40),
    depthwise=st.booleans(),
)
def test_no_layer_gets_worse(
    seed: int, outputs: int, inputs: int, patches: int, depthwise: bool
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(outputs, inputs)) * rng.integers(0, 2, (outputs, 1))
    seen = rng.normal(size=(outputs if depthwise else 1, patches, inputs)).clip(0)
    squares = seen.transpose(0, 2, 1) @ seen / patches
    squares = squares if depthwise else squares[0]
    rounded = round_compensated(rows, squares)
    nearest = row_errors(rows - round_nearest(rows), squares)
    assert (row_errors(rows - rounded, squares) <= nearest + 1e-15).all()
    largest = np.abs(rows).max(axis=1, keepdims=True)
    assert np.array_equal(np.abs(rounded).max(axis=1, keepdims=True), largest)
    steps = np.divide(127 * rounded, largest, out=np.zeros_like(rows), where=largest > 0)
    assert np.abs(steps - np.round(steps)).max() < 1e-9


def test_inputs_that_go_together_are_made_up_for() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(16, 64))
    seen = rng.normal(size=(2000, 4)) @ rng.normal(size=(4, 64))
    squares = seen.T @ seen / len(seen)
    better = row_errors(rows - round_compensated(rows, squares), squares).sum()
    assert better < 0.1 * row_errors(rows - round_nearest(rows), squares).sum()


def test_patches_are_what_the_weights_are_multiplied_by(network: RangedNetwork) -> None:
    model = read_model(network.data)
    held = next(observe_tensors(network.data, _frames(1)))
    ops = linear_ops(model)
    assert {op.node.op for op in ops} == {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"}
    for op in ops:
        patches = sample_patches(op, held[op.source], 50, np.random.default_rng(7))
        given_there = held[op.output]
        places = np.random.default_rng(7)
        rows, columns = (places.integers(0, size, 50) for size in given_there.shape[1:3])
        weights = op.by_output(read_weights(model, op))
        parts = patches.reshape(*patches.shape[:2], op.groups, -1)
        filters = weights.reshape(op.groups, -1, weights.shape[1])
        each = parts.transpose(2, 0, 1, 3).reshape(op.groups, 50, -1) @ filters.transpose(0, 2, 1)
        found = each.transpose(1, 0, 2).reshape(50, -1) + read_bias(model, op)
        expected = given_there[0, rows, columns]
        if op.activation:
            found = np.maximum(found, 0)
        assert np.allclose(found, expected, atol=1e-5), op.node.op


def test_the_quantizer_takes_the_weights_as_they_are(network: RangedNetwork) -> None:
    shares: list[float] = []
    treated = Rounding().apply(network, _frames(), shares.append)
    assert treated is not None
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    chosen, model = read_model(treated.network.data), read_model(network.data)
    quantized = {n.tensor: n for n in list_nodes(read_model(quantize_network(treated.network)))}
    plain = {n.tensor: n for n in list_nodes(read_model(quantize_network(network)))}
    changed = 0
    for op in linear_ops(chosen):
        place = [o.index if o else -1 for o in op.node.inputs].index(op.weights)
        stored, before = (nodes[op.node.tensor].inputs[place] for nodes in (quantized, plain))
        assert stored is not None
        assert before is not None
        assert stored.scale == pytest.approx(before.scale)
        assert stored.data is not None
        assert before.data is not None
        rows = op.by_output(read_weights(chosen, op))
        scales = np.abs(rows).max(axis=1, keepdims=True) / 127
        steps = op.by_output(stored.data.view(np.int8).reshape(stored.shape).astype(np.float32))
        assert np.array_equal(steps, np.round(rows / scales))
        assert np.allclose(
            scales, np.abs(op.by_output(read_weights(model, op))).max(1)[:, None] / 127
        )
        changed += not np.array_equal(stored.data, before.data)
    assert changed == 6


def test_the_network_gives_what_it_gave_more_nearly(network: RangedNetwork) -> None:
    treated = Rounding().apply(network, _frames(), lambda _: None)
    assert treated is not None

    def given_on_average(data: bytes) -> list[Any]:
        number = list_nodes(read_model(data))[-1].outputs[0].index
        return [held[number] for held in observe_tensors(data, _frames())]

    exact = given_on_average(network.data)
    nearest = _with_weights_rounded(network)
    errors = [
        np.mean([np.square(a - b).mean() for a, b in zip(given_on_average(d), exact, strict=True)])
        for d in (nearest, treated.network.data)
    ]
    assert errors[1] < 0.7 * errors[0]
    assert "falls by" in treated.detail


def _with_weights_rounded(network: RangedNetwork) -> bytes:
    model = read_model(network.data)
    for op in linear_ops(model):
        weights = read_weights(model, op)
        rows = round_nearest(op.by_output(weights).astype(np.float64))
        values = rows.T if op.depthwise else rows
        write_weights(model, op, values.reshape(weights.shape).astype(np.float32))
    return serialize(model)


def test_what_stays_in_float_is_left_alone(network: RangedNetwork) -> None:
    names = frozenset(node.tensor for node in list_nodes(read_model(network.data)))
    kept = RangedNetwork(network.data, network.ranges, names)
    assert Rounding().apply(kept, _frames(2), lambda _: None) is None

"""Which layers int8 harms, and which of them stay in float."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.mending.mend_burden import weigh
from portrait_tflite.quantize.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.remedies.linear_ops import linear_ops, read_weights
from portrait_tflite.quantize.remedies.rounding import Rounding
from portrait_tflite.quantize.remedies.selective_float import SelectiveFloat
from portrait_tflite.quantize.sensitivity import harm_of, masks_of_file, sensitivity
from portrait_tflite.quantize.sensitivity_probes import Probes
from portrait_tflite.quantize.tensor_ranges import Frames, measure_ranges
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import OutputSpec, Precision

SHAPE = (16, 16, 3)


@pytest.fixture(scope="module")
def frames() -> list[Frames]:
    coarse = np.random.default_rng(3).random((20, 4, 4, 3), np.float32)
    return [(image.repeat(4, 0).repeat(4, 1)[None],) for image in coarse]


@pytest.fixture(scope="module")
def network(frames: list[Frames]) -> RangedNetwork:
    """Of the tensor `uneven`, two channels are a thousand times as large as the others."""
    keras.utils.set_random_seed(4)
    x = keras.Input(SHAPE)
    uniform = {"bias_initializer": "uniform"}
    y = layers.Conv2D(8, 3, 2, "same", activation="relu", name="first", **uniform)(x)
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="second", **uniform)(y)
    y = layers.DepthwiseConv2D(3, padding="same", name="uneven", **uniform)(y)
    y = layers.MaxPooling2D(1, name="moved")(y)
    y = layers.Conv2D(8, 1, activation="relu", name="mixed", **uniform)(y)
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="third", **uniform)(y)
    y = layers.Conv2DTranspose(1, 2, 2, "same", name="logits", **uniform)(y)
    model = keras.Model(x, layers.Activation("sigmoid", name="mask")(y))
    _spoil(model)
    _decide(model, np.concatenate([frame[0] for frame in frames]))
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    return RangedNetwork(data, measure_ranges(data, frames))


def _spoil(model: Any) -> None:
    factors = np.array([1, 1, 1, 1, 1, 1, 1000, 1000], np.float32)
    uneven, mixed = model.get_layer("uneven"), model.get_layer("mixed")
    kernel, bias = uneven.get_weights()
    uneven.set_weights([kernel * factors[:, None], bias * factors])
    kernel, bias = mixed.get_weights()
    mixed.set_weights([kernel / factors[:, None], bias])


def _decide(model: Any, inputs: Any) -> None:
    head = model.get_layer("logits")
    found = np.asarray(keras.Model(model.inputs, head.output)(inputs))
    kernel, bias = head.get_weights()
    scale = 3 / found.std()
    head.set_weights([scale * kernel, scale * (bias - np.median(found))])


def _harm(network: RangedNetwork, frames: list[Frames]) -> float:
    expected = masks_of_file(network.data, frames, OutputSpec())
    return harm_of(masks_of_file(quantize_network(network), frames, OutputSpec()), expected).points


def test_the_culprit_is_named_first(network: RangedNetwork, frames: list[Frames]) -> None:
    shares: list[float] = []
    errors = sensitivity(network, frames, layers=["uneven", "first"], on_share=shares.append)
    assert shares[-1] == 1.0
    assert [error.rank for error in errors] == list(range(1, 1 + len(errors)))
    assert (errors[0].layer, errors[0].op) == ("uneven", "DEPTHWISE_CONV_2D")
    assert errors[0].output.points > 5 * max(errors[0].constants.points, 0.1)
    by_tensor = {error.layer: error for error in errors}
    # Its weights are per channel, and the tensor is a few steps off at most; ...
    assert errors[0].steps < 3
    # ... what reads it is many off.
    mixed = next(e for name, e in by_tensor.items() if "mixed" in name)
    assert mixed.steps > 5 * by_tensor["first"].steps
    assert 0 < by_tensor["first"].share < 0.02


def test_a_probe_changes_one_thing(network: RangedNetwork, frames: list[Frames]) -> None:
    probes = Probes(network.data, quantize_network(network))
    nodes = {node.op: node for node in list_nodes(read_model(network.data))}
    first = next(iter(probes.pairs))
    rounded, whole = probes.constants(first), probes.output(first)
    assert rounded is not None
    assert whole is not None
    assert len(list_nodes(read_model(rounded))) == len(probes.pairs)
    assert len(list_nodes(read_model(whole))) == len(probes.pairs) + 2
    assert probes.constants(nodes["LOGISTIC"].index) is None
    assert probes.output(nodes["MAX_POOL_2D"].index) is None
    # With everything rounded at once it is nearly the int8 file: here the output alone.
    last = probes.output(nodes["LOGISTIC"].index)
    assert last is not None
    found = open_model(last).run(*frames[0])[0]
    assert np.allclose(found * 256, np.round(found * 256), atol=1e-3)


def test_constants_are_those_of_the_file(network: RangedNetwork) -> None:
    quantized = quantize_network(network)
    probes = Probes(network.data, quantized)
    for index, (node, _) in probes.pairs.items():
        if node.op not in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
            continue
        data = probes.constants(index)
        assert data is not None
        probed, before = (list_nodes(read_model(d))[index].inputs[1] for d in (data, network.data))
        assert probed is not None
        assert before is not None
        assert probed.data is not None
        assert before.data is not None
        new, old = (o.data.view(np.float32).reshape(o.shape) for o in (probed, before))  # type: ignore[union-attr]
        axes = (0, 1, 2) if node.op == "DEPTHWISE_CONV_2D" else (1, 2, 3)
        step = np.abs(old).max(axis=axes, keepdims=True) / 127
        assert 0 < np.abs((new - old) / step).max() < 0.501


def test_what_is_in_float_harms_nothing(network: RangedNetwork, frames: list[Frames]) -> None:
    names = frozenset(node.tensor for node in list_nodes(read_model(network.data)))
    errors = sensitivity(replace(network, in_float=names), frames)
    assert max((error.points for error in errors), default=0.0) == 0.0


def test_the_worst_layer_stays_in_float(network: RangedNetwork, frames: list[Frames]) -> None:
    plain = _harm(network, frames)
    assert plain > 5
    remedy = SelectiveFloat(layers=("uneven", "mixed", "moved"), max_cost=3.0)
    treated = remedy.apply(network, frames, lambda _: None)
    assert treated is not None
    assert _harm(treated.network, frames) < plain / 4
    assert treated.float_layers is not None
    reasons = {layer.layer: layer.reason for layer in treated.float_layers}
    assert "the very worst" in reasons["uneven"]
    assert reasons["mixed"] == "reads what uneven gives in float"
    data = quantize_network(treated.network)
    assert weigh(data).partitions <= weigh(quantize_network(network)).partitions + 1
    assert "float32" in {node.outputs[0].dtype for node in list_nodes(read_model(data))}


def test_what_costs_too_much_is_not_done(network: RangedNetwork, frames: list[Frames]) -> None:
    assert SelectiveFloat(max_cost=0.5).apply(network, frames, lambda _: None) is None


def test_an_op_in_float_has_its_own_weights_again(
    network: RangedNetwork, frames: list[Frames]
) -> None:
    rounded = Rounding().apply(network, frames, lambda _: None)
    assert rounded is not None
    assert rounded.network.reference == network.data
    treated = SelectiveFloat(max_cost=3.0).apply(rounded.network, frames, lambda _: None)
    assert treated is not None
    original, fitted, found = (
        {op.node.tensor: read_weights(model, op) for op in linear_ops(model)}
        for model in map(read_model, (network.data, rounded.network.data, treated.network.data))
    )
    in_float = treated.network.in_float & found.keys()
    assert in_float
    for tensor, weights in found.items():
        expected = original if tensor in in_float else fitted
        assert np.array_equal(weights, expected[tensor])
        assert not np.array_equal(original[tensor], fitted[tensor])

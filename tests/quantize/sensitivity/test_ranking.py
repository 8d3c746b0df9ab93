"""Which layers int8 harms, and which of them stay in float."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import indices, read_model, serialize
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.mending.mend_burden import weigh
from portrait_tflite.convert.rewrites.flatbuffer.place import cut_out
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Frames, measure_ranges, observe_tensors
from portrait_tflite.quantize.remedies.float_trials import Budget
from portrait_tflite.quantize.remedies.linear_ops import (
    linear_ops,
    read_bias,
    read_weights,
    write_bias,
)
from portrait_tflite.quantize.remedies.remedy import Treated
from portrait_tflite.quantize.remedies.rounding import Rounding
from portrait_tflite.quantize.remedies.selective_float import SelectiveFloat
from portrait_tflite.quantize.sensitivity.mask_harm import harm_of, masks_of_file
from portrait_tflite.quantize.sensitivity.probes import Probes
from portrait_tflite.quantize.sensitivity.ranking import sensitivity
from portrait_tflite.quantize.sensitivity.tails import Tails
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


def _floating(max_cost: float, **options: Any) -> SelectiveFloat:
    return SelectiveFloat(budget=lambda: Budget(max_cost), **options)


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


def _index(network: RangedNetwork, op: str) -> int:
    return next(n.index for n in list_nodes(read_model(network.data)) if n.op == op)


def test_a_probe_changes_one_thing(network: RangedNetwork, frames: list[Frames]) -> None:
    probes = Probes(network.data, quantize_network(network))
    (held,) = observe_tensors(network.data, frames[:1])
    exact = open_model(network.data).run(*frames[0])[0]
    # With everything rounded at once it is nearly the int8 file: here the output alone.
    last = probes.open(_index(network, "LOGISTIC"))
    assert last.by_constants(held) is None
    (rounded,) = last.by_output(held) or [None]
    assert rounded is not None
    assert np.allclose(rounded * 256, np.round(rounded * 256), atol=1e-3)
    assert 0 < np.abs(rounded - exact).max() <= 1 / 256  # 1 itself is none of its steps
    assert probes.open(_index(network, "MAX_POOL_2D")).by_output(held) is None


def test_only_what_is_behind_an_op_is_run(network: RangedNetwork, frames: list[Frames]) -> None:
    """With an op's own output in its place, the outputs are the whole network's."""
    model = read_model(network.data)
    (held,) = observe_tensors(network.data, frames[:1])
    exact = open_model(network.data).run(*frames[0])[0]
    tails = Tails(model)
    for node in list_nodes(model):
        if (tensor := node.outputs[0].index) in held:
            (same,) = tails.open(node.index, tensor).outputs(held, held[tensor])
            assert np.allclose(same, exact, atol=1e-6)
            (other,) = tails.open(node.index, tensor).outputs(held, 2 * held[tensor] + 1)
            assert np.abs(other - exact).max() > 1e-3


@pytest.mark.parametrize("section", [1, 2, 3, 50])
def test_tails_join_branches_wherever_they_are_cut(
    section: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait_tflite.quantize.sensitivity.tails._SECTION", section)
    keras.utils.set_random_seed(5)
    x = keras.Input(SHAPE)
    y = z = layers.Conv2D(4, 3, padding="same", bias_initializer="uniform")(x)
    for _ in range(3):
        gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
        y = layers.Multiply()([y, layers.Conv2D(4, 1, activation="sigmoid")(gate)])
        y = layers.Add()([layers.Conv2D(4, 3, padding="same")(y), z])
    model = keras.Model(x, [layers.Conv2D(1, 1, activation="sigmoid")(y), z])
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    frame = (np.random.default_rng(6).random((1, *SHAPE), np.float32),)
    (held,) = observe_tensors(data, [frame])
    whole = read_model(data)
    tails = Tails(whole)
    ends = indices(whole.subgraphs[0].outputs)
    for node in list_nodes(whole):
        number = node.outputs[0].index
        if number not in held:
            continue
        moved = held[number] + np.float32(0.25)
        found = dict(zip(ends, tails.open(node.index, number).outputs(held, moved), strict=True))
        for end, values in _computed_behind(data, number, moved, frame).items():
            assert np.allclose(found[end], values, atol=1e-5)


def _computed_behind(data: bytes, number: int, values: Floats, frame: Frames) -> dict[int, Floats]:
    """Run a whole file from its input and a tensor that is given; its outputs behind that."""
    model = read_model(data)
    graph = model.subgraphs[0]
    ends = [end for end in indices(graph.outputs) if end != number]
    runner = open_model(cut_out(model, [*indices(graph.inputs), number], ends))
    return dict(zip(ends, runner.run(*frame, values), strict=True))


def test_constants_are_those_of_the_file(network: RangedNetwork) -> None:
    probes = Probes(network.data, quantize_network(network))
    before = read_model(network.data)
    for op in linear_ops(before):
        data = probes.constants(op.node.index)
        assert data is not None
        alone = read_model(data)
        (probed,) = linear_ops(alone)
        old = op.by_output(read_weights(before, op))
        new = probed.by_output(read_weights(alone, probed))
        step = np.abs(old).max(axis=1, keepdims=True) / 127
        assert 0 < np.abs((new - old) / step).max() < 0.501


def test_what_is_in_float_harms_nothing(network: RangedNetwork, frames: list[Frames]) -> None:
    names = frozenset(node.tensor for node in list_nodes(read_model(network.data)))
    errors = sensitivity(replace(network, in_float=names), frames)
    assert max((error.points for error in errors), default=0.0) == 0.0


def test_the_worst_layer_stays_in_float(network: RangedNetwork, frames: list[Frames]) -> None:
    plain = _harm(network, frames)
    assert plain > 5
    remedy = _floating(3.0, layers=("uneven", "mixed", "moved"))
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


def test_what_costs_too_much_is_not_done_and_said(
    network: RangedNetwork, frames: list[Frames]
) -> None:
    said = _floating(0.5).apply(network, frames, lambda _: None)
    assert isinstance(said, str)
    assert said.startswith("layers in float that help: ARM cost -")
    assert said.endswith(" % of at most -50 %")


def test_where_no_layer_harms_there_is_nothing_to_do(
    network: RangedNetwork, frames: list[Frames]
) -> None:
    names = frozenset(node.tensor for node in list_nodes(read_model(network.data)))
    done = replace(network, in_float=names)
    assert SelectiveFloat().apply(done, frames, lambda _: None) is None


def test_the_budget_is_for_the_finished_file(network: RangedNetwork, frames: list[Frames]) -> None:
    """Here finishing makes all of it float, which alone the budget has room for."""

    def finish(tried: RangedNetwork) -> bytes:
        return tried.data if tried.in_float else quantize_network(tried)

    whole = weigh(network.data).cycles / weigh(quantize_network(network)).cycles
    assert whole < 1  # so small a network is the cheaper in float
    less, more = (
        _floating(whole * share, finish=finish).apply(network, frames, lambda _: None)
        for share in (0.95, 1.05)
    )
    cost = f"ARM cost {100 * (whole - 1):+.0f} % of at most"
    assert less == f"layers in float that help: {cost} {100 * (0.95 * whole - 1):+.0f} %"
    assert isinstance(more, Treated)
    expected = f"{cost} {100 * (1.05 * whole - 1):+.0f} %, 1 of at most 2 partitions"
    assert expected in more.detail


def test_an_op_in_float_has_its_own_weights_again(
    network: RangedNetwork, frames: list[Frames]
) -> None:
    rounded = Rounding().apply(network, frames, lambda _: None)
    assert rounded is not None
    assert rounded.network.reference == network.data
    treated = _floating(3.0).apply(rounded.network, frames, lambda _: None)
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


def test_it_starts_from_biases_that_were_not_corrected(
    network: RangedNetwork, frames: list[Frames]
) -> None:
    """Corrected biases make up for what ops lose that are in float now."""
    moved = _with_moved_biases(network.data)
    corrected = replace(network, data=moved, exact=network.data, uncorrected=network.data)
    treated = _floating(3.0).apply(corrected, frames, lambda _: None)
    assert treated is not None
    assert treated.network.in_float
    started_from = treated.network.uncorrected or treated.network.data
    original, found = (_biases(data) for data in (network.data, started_from))
    assert found.keys() - treated.network.in_float  # some are int8 still
    for tensor, bias in found.items():
        assert np.array_equal(bias, original[tensor])
    corrected_anew = treated.network.uncorrected is not None
    assert corrected_anew == ("corrected anew" in treated.detail)
    assert _harm(treated.network, frames) < _harm(network, frames) / 4


def _with_moved_biases(data: bytes) -> bytes:
    model = read_model(data)
    for op in linear_ops(model):
        write_bias(model, op, read_bias(model, op) + np.float32(0.5))
    return serialize(model)


def _biases(data: bytes) -> dict[str, Floats]:
    model = read_model(data)
    return {op.node.tensor: read_bias(model, op) for op in linear_ops(model)}

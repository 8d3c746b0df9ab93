"""Equalization: the same function in float, less lost in int8."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.graph import trace
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range, measure_ranges
from portrait_tflite.quantize.remedies import equalization
from portrait_tflite.quantize.remedies.chains import find_chains
from portrait_tflite.quantize.remedies.channel_statistics import channel_statistics
from portrait_tflite.quantize.remedies.equalization import (
    MOST_APART,
    Equalization,
    choose_factors,
)
from portrait_tflite.quantize.remedies.linear_ops import (
    LinearOp,
    linear_ops,
    read_bias,
    read_weights,
    write_bias,
    write_weights,
)
from portrait_tflite.quantize.remedies.output_error import output_error
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Precision

RELU = schema.ActivationFunctionType.RELU
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID

RANDOM = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass(frozen=True)
class Config:
    """Two linear ops and what lies between."""

    seed: int
    first: str
    second: str
    channels: int
    outputs: int
    kernel: int
    activation: int
    between: tuple[str, ...]
    spread: float
    padding: int = SAME


configs = st.builds(
    Config,
    seed=st.integers(0, 10_000),
    first=st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D"]),
    second=st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D"]),
    channels=st.integers(1, 6),
    outputs=st.integers(1, 4),
    kernel=st.integers(1, 3),
    activation=st.sampled_from([0, RELU]),
    between=st.sampled_from([(), ("RELU",), ("MAX_POOL_2D",), ("RELU", "AVERAGE_POOL_2D")]),
    spread=st.floats(0, 3),
)


def build(tiny: Any, config: Config) -> bytes:
    rng = np.random.default_rng(config.seed)
    value = source = tiny.tensor("x", (1, 5, 5, config.channels), "float32")

    def linear(op: str, outputs: int, activation: int, scales: Any) -> None:
        nonlocal value
        depthwise = op == "DEPTHWISE_CONV_2D"
        outputs = config.channels if depthwise else outputs
        k = config.kernel
        shape = (1, k, k, outputs) if depthwise else (outputs, k, k, config.channels)
        drawn = rng.normal(0, 1, shape) * (scales if depthwise else scales[:, None, None, None])
        inputs = [value, tiny.tensor(f"w{len(tiny.graph.tensors)}", shape, "float32", data=drawn)]
        bias = rng.normal(0, 1, outputs) * scales
        inputs.append(tiny.tensor(f"b{len(tiny.graph.tensors)}", (outputs,), "float32", data=bias))
        kind = schema.DepthwiseConv2DOptionsT if depthwise else schema.Conv2DOptionsT
        more = {"depthMultiplier": 1} if depthwise else {}
        options = kind(
            padding=config.padding,
            strideW=1,
            strideH=1,
            dilationWFactor=1,
            dilationHFactor=1,
            fusedActivationFunction=activation,
            **more,
        )
        lost = 0 if config.padding == SAME else k - 1
        size = tiny.graph.tensors[value].shape[1] - lost
        target = tiny.tensor(f"t{len(tiny.graph.tensors)}", (1, size, size, outputs), "float32")
        tiny.op(op, inputs, target, 1, options)
        value = target

    linear(
        config.first,
        config.channels,
        config.activation,
        10 ** rng.uniform(-config.spread, 0, config.channels),
    )
    for op in config.between:
        options = None
        if op.endswith("POOL_2D"):
            options = schema.Pool2DOptionsT(
                padding=SAME, strideW=1, strideH=1, filterWidth=2, filterHeight=2
            )
        size = tiny.graph.tensors[value].shape[1]
        name = f"t{len(tiny.graph.tensors)}"
        target = tiny.tensor(name, (1, size, size, config.channels), "float32")
        tiny.op(op, [value], target, 1, options)
        value = target
    last = config.channels if config.second == "DEPTHWISE_CONV_2D" else config.outputs
    linear(config.second, config.outputs, 0, np.ones(last))
    return bytes(tiny.build([source], [value]))


def pictures(config: Config, count: int = 6) -> list[Frames]:
    rng = np.random.default_rng(config.seed + 1)
    shape = (1, 5, 5, config.channels)
    return [(rng.normal(0, 1, shape).astype(np.float32),) for _ in range(count)]


def outputs(data: bytes, frames: list[Frames]) -> Floats:
    runner = open_model(data)
    return np.stack([runner.run(*frame)[0] for frame in frames])


def difference(one: bytes, other: bytes, frames: list[Frames]) -> float:
    expected = outputs(other, frames)
    return float(np.abs(outputs(one, frames) - expected).max() / np.abs(expected).max())


UNEVEN = Config(3, "CONV_2D", "DEPTHWISE_CONV_2D", 6, 1, 3, RELU, (), 1.5)


@RANDOM
@given(config=configs)
def test_it_is_exact_in_float(tiny_graph: Callable[[], Any], config: Config) -> None:
    data, frames = build(tiny_graph(), config), pictures(config)
    network = RangedNetwork(data, measure_ranges(data, frames))
    treated = Equalization().apply(network, frames, lambda _: None)
    if treated is None:
        return
    unseen = pictures(Config(**{**config.__dict__, "seed": config.seed + 7}))
    assert difference(treated.network.data, data, unseen) <= 1e-5
    # The ranges are those that measuring finds.
    for number, found in measure_ranges(treated.network.data, frames).items():
        assert found.low == pytest.approx(treated.network.ranges[number].low, rel=1e-4, abs=1e-6)
        assert found.high == pytest.approx(treated.network.ranges[number].high, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("second", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_uneven_channels_lose_less(tiny_graph: Callable[[], Any], second: str) -> None:
    config = Config(3, "DEPTHWISE_CONV_2D", second, 6, 4, 3, 0, (), 3.0)
    frames = pictures(config, 16)
    data = _made_up_for(build(tiny_graph(), config), frames)
    network = RangedNetwork(data, measure_ranges(data, frames))
    treated = Equalization().apply(network, frames, lambda _: None)
    assert treated is not None
    assert "1 of 1 chains" in treated.detail
    error_of = output_error(data, frames)
    assert error_of(treated.network) < 0.3 * error_of(network)


def _made_up_for(data: bytes, frames: list[Frames]) -> bytes:
    """Let the second op bring small channels to the size of the others: all of them count."""
    model = read_model(data)
    (chain,) = find_chains(model)
    seen = channel_statistics(data, frames, chain.tensors, lambda _: None)[chain.tensors[-1]]
    larger = np.float32(1) / np.maximum(np.abs(seen.low), np.abs(seen.high)).astype(np.float32)
    (second,) = chain.seconds
    write_weights(model, second, second.scale_inputs(read_weights(model, second), larger))
    return serialize(model)


def test_channels_of_a_depthwise_reader_become_alike(tiny_graph: Callable[[], Any]) -> None:
    data, frames = build(tiny_graph(), UNEVEN), pictures(UNEVEN)
    network = RangedNetwork(data, measure_ranges(data, frames))
    treated = Equalization().apply(network, frames, lambda _: None)
    assert treated is not None
    (chain,) = find_chains(read_model(data))
    seen = channel_statistics(treated.network.data, frames, chain.tensors, lambda _: None)
    high = seen[chain.tensors[0]].high
    assert high[high > 0].max() / high[high > 0].min() == pytest.approx(1, rel=1e-3)


def test_even_channels_are_left_alone(tiny_graph: Callable[[], Any]) -> None:
    data, frames = build(tiny_graph(), UNEVEN), pictures(UNEVEN)
    network = RangedNetwork(data, measure_ranges(data, frames))
    once = Equalization().apply(network, frames, lambda _: None)
    assert once is not None
    assert Equalization().apply(once.network, frames, lambda _: None) is None


def test_a_channel_that_is_never_seen_gets_no_huge_weights(
    tiny_graph: Callable[[], Any],
) -> None:
    data, frames = build(tiny_graph(), UNEVEN), pictures(UNEVEN)
    model = read_model(data)
    (chain,) = find_chains(model)
    seen = channel_statistics(data, frames, chain.tensors, lambda _: None)
    seen[chain.tensors[0]].high[0] = seen[chain.tensors[0]].low[0] = 0
    factors = choose_factors(chain, [read_weights(model, chain.seconds[0])], seen)
    assert factors is not None
    assert factors.max() / factors.min() <= 1.01 * MOST_APART


def test_channels_are_scaled_apart_no_further_than_the_bound(
    tiny_graph: Callable[[], Any],
) -> None:
    """A channel that is hardly seen may hold more on other pictures; the function is the same."""
    config = Config(**{**UNEVEN.__dict__, "spread": 5.0})
    data, frames = build(tiny_graph(), config), pictures(config)
    model = read_model(data)
    (chain,) = find_chains(model)
    seen = channel_statistics(data, frames, chain.tensors, lambda _: None)
    high = seen[chain.tensors[0]].high
    high = high[high > 0]
    assert high.max() / high.min() > 10 * MOST_APART
    factors = choose_factors(chain, [read_weights(model, chain.seconds[0])], seen)
    assert factors is not None
    assert factors.max() / factors.min() == pytest.approx(MOST_APART, rel=1e-4)
    network = RangedNetwork(data, measure_ranges(data, frames))
    treated = Equalization().apply(network, frames, lambda _: None)
    assert treated is not None
    assert treated.detail.endswith(f"channels up to 1 : {MOST_APART:.3g} apart")
    unseen = pictures(Config(**{**config.__dict__, "seed": config.seed + 7}))
    assert difference(treated.network.data, data, unseen) <= 1e-5
    number = chain.tensors[0]
    assert treated.network.ranges[number].high == pytest.approx(network.ranges[number].high, 1e-4)


def _outputs_for_inputs(op: LinearOp, weights: Floats, factors: Floats) -> Floats:
    return op.scale_outputs(weights, factors)


@pytest.mark.parametrize("broken", ["inverse", "bias", "axis"])
def test_what_is_broken_is_undone(
    tiny_graph: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    config = Config(3, "CONV_2D", "CONV_2D", 4, 4, 3, RELU, (), 3.0)
    data, frames = build(tiny_graph(), config), pictures(config)
    network = RangedNetwork(data, measure_ranges(data, frames))
    assert Equalization().apply(network, frames, lambda _: None) is not None
    if broken == "inverse":
        monkeypatch.setattr(LinearOp, "scale_inputs", lambda _, weights, factors: weights / factors)
    elif broken == "bias":
        monkeypatch.setattr(equalization, "write_bias", lambda *_: None)
    else:
        monkeypatch.setattr(LinearOp, "scale_inputs", _outputs_for_inputs)
    assert Equalization().apply(network, frames, lambda _: None) is None


def test_weights_that_two_ops_share_are_not_scaled_for_both(
    tiny_graph: Callable[[], Any],
) -> None:
    config = Config(3, "CONV_2D", "CONV_2D", 4, 4, 3, RELU, (), 3.0)
    tiny = tiny_graph()
    build(tiny, config)
    first, second = tiny.graph.operators
    second.inputs = np.array([second.inputs[0], *first.inputs[1:]], np.int32)
    data = tiny.build([int(n) for n in tiny.graph.inputs], [int(n) for n in tiny.graph.outputs])
    assert len(linear_ops(read_model(data))) == 2
    frames = pictures(config)
    network = RangedNetwork(data, measure_ranges(data, frames))
    treated = Equalization().apply(network, frames, lambda _: None)
    assert treated is not None
    assert difference(treated.network.data, data, frames) <= 1e-5


def test_the_unrounded_weights_are_scaled_along(tiny_graph: Callable[[], Any]) -> None:
    config = Config(3, "CONV_2D", "CONV_2D", 6, 4, 1, RELU, (), 2.0)
    frames = pictures(config)
    data = build(tiny_graph(), config)
    exact = _with_other_biases(data)
    ranges = measure_ranges(data, frames)
    treated = Equalization().apply(RangedNetwork(data, ranges, exact=exact), frames, lambda _: None)
    assert treated is not None
    assert treated.network.exact not in (None, exact)
    assert difference(treated.network.unrounded, exact, frames) < 1e-5
    plain = Equalization().apply(RangedNetwork(data, ranges), frames, lambda _: None)
    assert plain is not None
    assert plain.network.exact is None


def _with_other_biases(data: bytes) -> bytes:
    model = read_model(data)
    for op in linear_ops(model):
        write_bias(model, op, 1.5 * read_bias(model, op))
    return serialize(model)


def _residual() -> bytes:
    """A trunk of channels 1:1000 apart, added to twice and read by three layers."""
    keras.utils.set_random_seed(4)
    apart = np.geomspace(1, 1000, 6).astype(np.float32)

    def conv(x: Any, outputs: int, *, from_trunk: bool = False, to_trunk: bool = False) -> Any:
        layer = layers.Conv2D(outputs, 1, bias_initializer="uniform")
        y = layer(x)
        kernel, bias = layer.get_weights()
        kernel = kernel / apart[:, None] if from_trunk else kernel
        layer.set_weights([kernel * apart, bias * apart] if to_trunk else [kernel, bias])
        return y

    image = keras.Input((5, 5, 3))
    x = conv(image, 6, to_trunk=True)
    for _ in range(2):
        y = layers.ReLU()(conv(x, 8, from_trunk=True))
        x = layers.Add()([x, conv(y, 6, to_trunk=True)])
    model = keras.Model(image, conv(layers.ReLU()(x), 2, from_trunk=True))
    return Export(trace(model)).float_model(Precision.FLOAT32)


def test_the_trunk_of_a_residual_network_is_scaled_as_one() -> None:
    data = _residual()
    drawn = np.random.default_rng(2).normal(0, 1, (24, 1, 5, 5, 3)).astype(np.float32)
    frames, unseen = [(one,) for one in drawn[:16]], [(one,) for one in drawn[16:]]
    network = RangedNetwork(data, measure_ranges(data, frames))
    treated = Equalization().apply(network, frames, lambda _: None)
    assert treated is not None
    assert difference(treated.network.data, data, unseen) <= 1e-5
    for number, found in measure_ranges(treated.network.data, frames).items():
        assert found.low == pytest.approx(treated.network.ranges[number].low, rel=1e-4, abs=1e-5)
        assert found.high == pytest.approx(treated.network.ranges[number].high, rel=1e-4, abs=1e-5)
    error_of = output_error(data, frames)
    assert error_of(treated.network) < 0.2 * error_of(network)


def test_it_starts_from_the_measured_ranges(tiny_graph: Callable[[], Any]) -> None:
    """What was cut off of uneven channels was so for their sake."""
    data, frames = build(tiny_graph(), UNEVEN), pictures(UNEVEN)
    ranges = measure_ranges(data, frames)
    plain = Equalization().apply(RangedNetwork(data, ranges), frames, lambda _: None)
    halved = {number: Range(one.low / 2, one.high / 2) for number, one in ranges.items()}
    chosen = RangedNetwork(data, halved, measured=ranges)
    treated = Equalization().apply(chosen, frames, lambda _: None)
    assert plain is not None
    assert treated is not None
    assert (plain.afresh, treated.afresh) == (False, True)
    assert treated.network.ranges == plain.network.ranges
    assert treated.network.measured is None

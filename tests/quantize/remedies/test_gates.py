"""Gates: the factors of squeeze-and-excite, scaled with what reads their product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, measure_ranges
from portrait_tflite.quantize.remedies.chains import find_chains
from portrait_tflite.quantize.remedies.equalization import Equalization
from portrait_tflite.quantize.remedies.gates import read_gate, scalable_gates
from portrait_tflite.quantize.remedies.output_error import output_error
from portrait_tflite.runtime import open_model

NONE, RELU, RELU6 = (
    schema.ActivationFunctionType.NONE,
    schema.ActivationFunctionType.RELU,
    schema.ActivationFunctionType.RELU6,
)
SIDE = 5
RANDOM = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass(frozen=True)
class Config:
    """A picture, what gates it, and what reads the product.

    Attributes:
        per_channel: Whether the factors' constant is one for each channel.
        gate_first: Whether the gate is the product's first input.
        after: The activation of the constant's multiplication.
        product: That of the gate's.
        spread: By how many powers of ten the gates differ.
        squeezed: Kernel side of what gives the factors; the picture's for one per channel.
    """

    seed: int = 3
    channels: int = 6
    per_channel: bool = False
    gate_first: bool = False
    after: int = NONE
    product: int = NONE
    spread: float = 2.0
    squeezed: int = SIDE


configs = st.builds(
    Config,
    seed=st.integers(0, 10_000),
    channels=st.integers(2, 6),
    per_channel=st.booleans(),
    gate_first=st.booleans(),
    after=st.sampled_from([NONE, RELU]),
    product=st.sampled_from([NONE, RELU]),
    spread=st.floats(0, 3),
)


def build(tiny: Any, config: Config) -> bytes:
    rng = np.random.default_rng(config.seed)
    channels = config.channels
    gates = rng.permutation(np.geomspace(10**-config.spread, 1, channels))
    source = tiny.tensor("x", (1, SIDE, SIDE, channels), "float32")

    def conv(value: int, kernel: int, name: str, factors: Any, activation: int = NONE) -> int:
        shape = (channels, kernel, kernel, channels)
        drawn = rng.normal(0, 1 / kernel, shape) * factors
        weights = tiny.tensor(f"{name}/w", shape, "float32", data=drawn)
        bias = tiny.tensor(f"{name}/b", (channels,), "float32", data=rng.normal(0, 1, channels))
        side = SIDE - kernel + 1
        target = tiny.tensor(name, (1, side, side, channels), "float32")
        options = schema.Conv2DOptionsT(
            padding=schema.Padding.VALID,
            strideW=1,
            strideH=1,
            dilationWFactor=1,
            dilationHFactor=1,
            fusedActivationFunction=activation,
        )
        tiny.op("CONV_2D", [value, weights, bias], target, 1, options)
        return int(target)

    def times(one: int, other: int, name: str, shape: tuple[int, ...], activation: int) -> int:
        target = tiny.tensor(name, shape, "float32")
        options = schema.MulOptionsT(fusedActivationFunction=activation)
        tiny.op("MUL", [one, other], target, 1, options)
        return int(target)

    picture = conv(source, 1, "picture", 1.0)
    excited = conv(source, config.squeezed, "excited", gates[:, None, None, None], RELU6)
    side = SIDE - config.squeezed + 1
    sixths = np.full(channels if config.per_channel else 1, 1 / 6)
    constant = tiny.tensor("sixth", sixths.shape, "float32", data=sixths)
    factors = times(excited, constant, "factors", (1, side, side, channels), config.after)
    pair = (factors, picture) if config.gate_first else (picture, factors)
    product = times(*pair, "product", (1, SIDE, SIDE, channels), config.product)
    last = conv(product, 1, "last", 1 / gates)
    return bytes(tiny.build([source], [last]))


def pictures(config: Config, count: int = 6) -> list[Frames]:
    rng = np.random.default_rng(config.seed + 1)
    shape = (1, SIDE, SIDE, config.channels)
    return [(rng.normal(0, 1, shape).astype(np.float32),) for _ in range(count)]


def outputs(data: bytes, frames: list[Frames]) -> Floats:
    runner = open_model(data)
    return np.stack([runner.run(*frame)[0] for frame in frames])


def ops(data: bytes) -> list[str]:
    return [node.op for node in list_nodes(read_model(data))]


@RANDOM
@given(config=configs)
def test_it_is_exact_in_float(tiny_graph: Callable[[], Any], config: Config) -> None:
    data, frames = build(tiny_graph(), config), pictures(config)
    treated = Equalization().apply(
        RangedNetwork(data, measure_ranges(data, frames)), frames, lambda _: None
    )
    if treated is None:
        return
    unseen = pictures(replace(config, seed=config.seed + 7))
    expected = outputs(data, unseen)
    found = outputs(treated.network.data, unseen)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    # The ranges are those that measuring finds.
    for number, held in measure_ranges(treated.network.data, frames).items():
        assert held.low == pytest.approx(treated.network.ranges[number].low, rel=1e-4, abs=1e-6)
        assert held.high == pytest.approx(treated.network.ranges[number].high, rel=1e-4, abs=1e-6)


def test_what_nearly_closed_gates_let_through_is_not_lost(tiny_graph: Callable[[], Any]) -> None:
    config = Config()
    data, frames = build(tiny_graph(), config), pictures(config, 16)
    network = RangedNetwork(data, measure_ranges(data, frames))
    treated = Equalization().apply(network, frames, lambda _: None)
    assert treated is not None
    assert ops(treated.network.data) == [
        *("CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "MUL", "CONV_2D")
    ]
    error_of = output_error(data, frames)
    assert error_of(treated.network) < 0.5 * error_of(network)


def test_factors_and_product_are_one_chain_without_the_picture(
    tiny_graph: Callable[[], Any],
) -> None:
    model = read_model(scalable_gates(build(tiny_graph(), Config())))
    (chain,) = find_chains(model)
    (gate,) = chain.gates
    assert chain.tensors == (gate.factors.index, gate.product.index)
    assert chain.rounded == (gate.product.index,)
    assert [op.node.op for op in chain.firsts] == ["DEPTHWISE_CONV_2D"]
    assert [op.node.tensor for op in chain.seconds] == ["last"]
    assert gate.picture.shape == (1, SIDE, SIDE, 6)


@pytest.mark.parametrize(
    "config",
    [
        Config(product=RELU6),
        Config(after=RELU6),
        Config(squeezed=1),  # one number for each position
    ],
)
def test_what_is_no_gate_stays(tiny_graph: Callable[[], Any], config: Config) -> None:
    data = build(tiny_graph(), config)
    assert scalable_gates(data) == data
    assert find_chains(read_model(data)) == []


def test_a_gate_whose_factors_end_in_no_product_is_left_alone(
    tiny_graph: Callable[[], Any],
) -> None:
    model = read_model(build(tiny_graph(), Config()))
    gates = [gate for gate in map(read_gate, list_nodes(model)) if gate]
    assert len(gates) == 1
    # As a sigmoid's: without the constant there is nothing to write a scale into.
    assert find_chains(model) == []

"""Bias absorption and bias correction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames, Range, measure_ranges
from portrait_tflite.quantize.remedies import bias_absorption, bias_correction
from portrait_tflite.quantize.remedies.bias_absorption import BiasAbsorption
from portrait_tflite.quantize.remedies.bias_correction import BiasCorrection
from portrait_tflite.quantize.remedies.linear_ops import linear_ops, read_bias, write_bias
from portrait_tflite.quantize.remedies.output_error import output_error
from portrait_tflite.runtime import open_model

RELU = schema.ActivationFunctionType.RELU
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
SHAPE = (1, 5, 5, 4)
RANDOM = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def build(
    tiny: Any,
    seed: int,
    activation: int = RELU,
    second: str = "CONV_2D",
    padding: int = VALID,
    kernel: int = 2,
    lifted: float = 9.0,
) -> bytes:
    """1×1 convolution whose channels stay away from zero → another."""
    rng = np.random.default_rng(seed)
    source = tiny.tensor("x", SHAPE, "float32")
    between = tiny.tensor("between", SHAPE, "float32")
    size = 5 if padding == SAME else 6 - kernel
    target = tiny.tensor("y", (1, size, size, 4), "float32")

    def linear(op: str, given: int, made: int, k: int, fused: int, bias: Floats) -> None:
        shape = (1, k, k, 4) if op == "DEPTHWISE_CONV_2D" else (4, k, k, 4)
        weights = tiny.tensor(f"w{made}", shape, "float32", data=rng.normal(0, 1, shape))
        biases = tiny.tensor(f"b{made}", (4,), "float32", data=bias)
        deep = op == "DEPTHWISE_CONV_2D"
        kind = schema.DepthwiseConv2DOptionsT if deep else schema.Conv2DOptionsT
        more = {"depthMultiplier": 1} if deep else {}
        options = kind(
            padding=padding,
            strideW=1,
            strideH=1,
            dilationWFactor=1,
            dilationHFactor=1,
            fusedActivationFunction=fused,
            **more,
        )
        tiny.op(op, [given, weights, biases], made, 1, options)

    linear("CONV_2D", source, between, 1, activation, lifted * rng.uniform(0.8, 2, 4))
    linear(second, between, target, kernel, 0, rng.normal(0, 1, 4))
    return bytes(tiny.build([source], [target]))


def pictures(seed: int, count: int = 8) -> list[Frames]:
    rng = np.random.default_rng(seed)
    return [(rng.uniform(-1, 1, SHAPE).astype(np.float32),) for _ in range(count)]


def outputs(data: bytes, frames: list[Frames]) -> Floats:
    runner = open_model(data)
    return np.stack([runner.run(*frame)[0] for frame in frames])


def ranged(data: bytes, frames: list[Frames]) -> RangedNetwork:
    return RangedNetwork(data, measure_ranges(data, frames))


@RANDOM
@given(
    seed=st.integers(0, 10_000),
    activation=st.sampled_from([0, RELU]),
    second=st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D"]),
    kernel=st.integers(1, 3),
    lifted=st.floats(-12, 12),
)
def test_absorption_is_exact_in_float(
    tiny_graph: Callable[[], Any],
    seed: int,
    activation: int,
    second: str,
    kernel: int,
    lifted: float,
) -> None:
    data = build(tiny_graph(), seed, activation, second, VALID, kernel, lifted)
    frames = pictures(seed)
    network = ranged(data, frames)
    treated = BiasAbsorption().apply(network, frames, lambda _: None)
    if treated is None:
        return
    expected = outputs(data, frames)
    found = outputs(treated.network.data, frames)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    for number, held in measure_ranges(treated.network.data, frames).items():
        chosen = treated.network.ranges[number]
        assert held.low == pytest.approx(chosen.low, rel=1e-3, abs=1e-3)
        assert held.high == pytest.approx(chosen.high, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("second", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_lifted_channels_lose_less(tiny_graph: Callable[[], Any], second: str) -> None:
    frames = pictures(1)
    network = ranged(build(tiny_graph(), 1, second=second), frames)
    treated = BiasAbsorption().apply(network, frames, lambda _: None)
    assert treated is not None
    before, after = (n.ranges[1] for n in (network, treated.network))
    assert after.high < 0.8 * before.high
    error_of = output_error(network.data, frames)
    assert error_of(treated.network) < error_of(network)


def test_a_border_of_zeros_is_refused(tiny_graph: Callable[[], Any]) -> None:
    frames = pictures(1)
    padded = ranged(build(tiny_graph(), 1, padding=SAME), frames)
    assert BiasAbsorption().apply(padded, frames, lambda _: None) is None
    # 1×1 pads nothing, whatever is asked for.
    pointwise = ranged(build(tiny_graph(), 1, padding=SAME, kernel=1), frames)
    assert BiasAbsorption().apply(pointwise, frames, lambda _: None) is not None


def test_channels_that_reach_zero_are_left_alone(tiny_graph: Callable[[], Any]) -> None:
    frames = pictures(1)
    network = ranged(build(tiny_graph(), 1, lifted=0.0), frames)
    assert BiasAbsorption().apply(network, frames, lambda _: None) is None


@pytest.mark.parametrize("broken", ["dropped", "doubled", "border"])
def test_broken_absorption_is_undone(
    tiny_graph: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    frames = pictures(1)
    padding = SAME if broken == "border" else VALID
    network = ranged(build(tiny_graph(), 1, padding=padding), frames)
    if broken == "border":
        monkeypatch.setattr(bias_absorption, "_pads", lambda _: False)
    else:
        share = 0 if broken == "dropped" else 2
        monkeypatch.setattr(
            bias_absorption,
            "write_bias",
            lambda model, op, values: write_bias(model, op, share * values),
        )
    assert BiasAbsorption().apply(network, frames, lambda _: None) is None


def _shifted(data: bytes, by: float) -> bytes:
    model = read_model(data)
    for op in linear_ops(model):
        write_bias(model, op, read_bias(model, op) + np.float32(by))
    return serialize(model)


def test_correction_takes_a_shift_away(
    network: RangedNetwork, frames: list[Frames], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quantizer that shifts every channel: what is corrected has the float masks again."""
    from portrait_tflite.quantize.int8.ranged_network import quantize_network
    from portrait_tflite.quantize.remedies import bias_correction
    from portrait_tflite.quantize.remedies import output_error as errors

    def shifting(treated: RangedNetwork, *io: Any) -> bytes:
        return quantize_network(replace(treated, data=_shifted(treated.data, 0.05)), *io)

    monkeypatch.setattr(bias_correction, "quantize_network", shifting)
    monkeypatch.setattr(errors, "quantize_network", shifting)
    wide = {n: Range(r.low - 0.1, r.high + 0.1) for n, r in network.ranges.items()}
    shifted = replace(network, ranges=wide).with_picture(Range(0.0, 1.0))
    treated = BiasCorrection().apply(shifted, frames, lambda _: None)
    assert treated is not None
    assert treated.network.ranges == shifted.ranges
    error_of = output_error(network.data, frames)
    assert error_of(treated.network) < 0.5 * error_of(shifted)


def test_correction_never_makes_it_worse(network: RangedNetwork, frames: list[Frames]) -> None:
    treated = BiasCorrection().apply(network, frames, lambda _: None)
    if treated is not None:
        error_of = output_error(network.data, frames)
        assert error_of(treated.network) < error_of(network)
        again = BiasCorrection().apply(network, frames, lambda _: None)
        assert again is not None
        assert again.network.data == treated.network.data


def test_what_did_not_help_is_not_tried_on_the_same_network_again(
    network: RangedNetwork, frames: list[Frames], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    monkeypatch.setattr(bias_correction, "output_error", lambda *_: lambda _: 1.0)
    measure = bias_correction._means
    monkeypatch.setattr(
        bias_correction, "_means", lambda *given: tried.append(1) or measure(*given)
    )
    assert BiasCorrection().apply(network, frames, lambda _: None) is None
    groups = min(bias_correction._GROUPS, len(linear_ops(read_model(network.data))) + 1)
    assert len(tried) == groups


def test_the_unrounded_biases_are_absorbed_along(tiny_graph: Callable[[], Any]) -> None:
    frames = pictures(1)
    data = build(tiny_graph(), 1)
    exact = _shifted(data, 0.01)
    treated = BiasAbsorption().apply(
        replace(ranged(data, frames), exact=exact), frames, lambda _: None
    )
    assert treated is not None
    assert treated.network.exact not in (None, exact)
    found, expected = (outputs(each, frames) for each in (treated.network.unrounded, exact))
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()

"""A 1×1 depthwise convolution of few channels in a finished file, on several positions at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.mending.mend_burden import weigh
from portrait_tflite.convert.rewrites.flatbuffer import packed_line
from portrait_tflite.convert.rewrites.flatbuffer.packed_line import PackedLine
from portrait_tflite.convert.rewrites.flatbuffer.repeated import repeated_bias, repeated_scales
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate

from .drawing import many

Build = Callable[..., Any]
PACKED = ["RESHAPE", "DEPTHWISE_CONV_2D", "RESHAPE"]


def _file(
    graph: Any,
    shape: tuple[int, ...] = (1, 16, 16, 3),
    dtype: str = "int8",
    *,
    side: int = 1,
    stride: int = 1,
    multiplier: int = 1,
    per_channel: bool = True,
    activation: int = 0,
) -> bytes:
    """Build one DEPTHWISE_CONV_2D with constant weights and bias."""
    rng = np.random.default_rng(5)
    integer = dtype == "int8"
    rows, columns, channels = -(-shape[1] // stride), -(-shape[2] // stride), shape[3] * multiplier
    x = graph.tensor("x", shape, dtype, *((0.05, 3) if integer else (None, 0)))
    target = (shape[0], rows, columns, channels)
    y = graph.tensor("net/line/op", target, dtype, *((0.2, -7) if integer else (None, 0)))
    kernel = (1, side, side, channels)
    if integer:
        scales = rng.uniform(0.004, 0.01, channels if per_channel else 1)
        drawn = rng.integers(-127, 128, kernel)
        weights = graph.tensor("w", kernel, "int8", scales, axis=3, data=drawn)
        drawn = rng.integers(-900, 900, channels)
        bias = graph.tensor("b", (channels,), "int32", scales * 0.05, data=drawn)
    else:
        weights = graph.tensor("w", kernel, "float32", data=rng.normal(size=kernel))
        bias = graph.tensor("b", (channels,), "float32", data=rng.normal(size=channels))
    options = schema.DepthwiseConv2DOptionsT(
        strideH=stride,
        strideW=stride,
        depthMultiplier=multiplier,
        dilationHFactor=1,
        dilationWFactor=1,
        fusedActivationFunction=activation,
    )
    graph.op("DEPTHWISE_CONV_2D", [x, weights, bias], y, 3, options)
    return bytes(graph.build([x], [y]))


@many
@given(
    shape=st.tuples(
        st.integers(1, 2), st.integers(1, 6), st.sampled_from([2, 3, 5, 8]), st.integers(1, 15)
    ),
    dtype=st.sampled_from(["int8", "float32"]),
    per_channel=st.booleans(),
    activation=st.sampled_from([0, 1, 3]),
)
def test_every_line_is_the_same_on_packs(
    tiny_graph: Build, mend_with: Build, shape: Any, dtype: str, per_channel: bool, activation: int
) -> None:
    data = _file(tiny_graph(), shape, dtype, per_channel=per_channel, activation=activation)
    result = mend_with(data, PackedLine(), accept)
    assert result.ops == PACKED
    assert result.steps <= (1 if dtype == "int8" else 0)


@pytest.mark.parametrize("channels", [1, 3, 4, 8, 12])
def test_xnnpack_gives_the_same_bytes(tiny_graph: Build, mend_with: Build, channels: int) -> None:
    data = _file(tiny_graph(), (1, 12, 20, channels))
    before, after = open_model(data), open_model(mend_with(data, PackedLine(), accept).data)
    rng = np.random.default_rng(1)
    for _ in range(20):
        picture = random_input(before.inputs[0], rng)
        (one,), (other,) = before.run(picture), after.run(picture)
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("shape", [(1, 64, 64, 1), (1, 33, 33, 3), (1, 48, 48, 4)])
def test_it_costs_less(tiny_graph: Build, shape: Any, dtype: str) -> None:
    data = _file(tiny_graph(), shape, dtype)
    found = mend_model(data, rewrites=(PackedLine(),))
    assert [(r.rewrite, r.layer) for r in found.records] == [("packed_line", "line")]
    step = pytest.approx(0.2 if dtype == "int8" else 0)
    assert found.records[0].max_abs_error in (0, step)
    old, new = weigh(data), weigh(found.data)
    assert (new.outside, new.partitions) == (0, 1)
    assert new.cycles < 0.8 * old.cycles


@pytest.mark.parametrize(
    "form",
    [
        {"side": 3},  # looks at neighbours
        {"stride": 2},
        {"multiplier": 2},
        {"shape": (1, 16, 16, 32)},  # no tile is idle
        {"shape": (1, 16, 16, 200)},  # hardly any
    ],
)
def test_others_are_none_of_its_concern(tiny_graph: Build, mend_with: Build, form: Any) -> None:
    result = mend_with(_file(tiny_graph(), **form), PackedLine(), accept)
    assert (result.done, result.refusals) == (False, [])


def test_a_prime_number_of_positions_stays(tiny_graph: Build, mend_with: Build) -> None:
    result = mend_with(_file(tiny_graph(), (1, 1, 97, 3)), PackedLine(), accept)
    assert "97 positions make no whole packs" in result.refusals[0]


def test_weights_that_are_computed_stay(tiny_graph: Build, mend_with: Build) -> None:
    graph = tiny_graph()
    _file(graph)
    (operator,) = graph.graph.operators
    number = int(operator.inputs[1])
    graph.graph.tensors[number].buffer = 0
    data = graph.build([int(operator.inputs[0]), number], [int(operator.outputs[0])])
    assert "constants" in mend_with(data, PackedLine(), accept).refusals[0]


def test_a_file_for_the_gpu_stays(tiny_graph: Build) -> None:
    data = _file(tiny_graph(), dtype="float32")
    assert mend_model(data, rewrites=(PackedLine(),), delegate=Delegate.GPU).data == data


def _without_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgotten(*arguments: Any) -> tuple[Any, list[float]]:
        bias, scales = repeated_bias(*arguments)
        return np.zeros_like(bias), scales

    monkeypatch.setattr(packed_line, "repeated_bias", forgotten)


def _other_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    def turned(*arguments: Any) -> list[float]:
        return repeated_scales(*arguments)[::-1]

    monkeypatch.setattr(packed_line, "repeated_scales", turned)


def _channels_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each channel's weights next to each other, as if a pack held channel by channel."""

    class Numpy:
        tile = staticmethod(lambda kernel, count: np.repeat(kernel, count, axis=-1))
        prod = staticmethod(np.prod)

    monkeypatch.setattr(packed_line, "np", Numpy)


@pytest.mark.parametrize("fault", [_without_bias, _other_scales, _channels_in_a_row])
def test_a_fault_is_caught(
    tiny_graph: Build, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., None]
) -> None:
    data = _file(tiny_graph())
    fault(monkeypatch)
    found = mend_model(data, rewrites=(PackedLine(),))
    assert found.records == ()
    assert found.skipped[0].reason.startswith("undone:")

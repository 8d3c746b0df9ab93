"""Rewrites of finished files: each alone, and the byte check over them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.flatbuffer import read_model, serialize
from portrait_tflite.convert.flatbuffer_nodes import Node, list_nodes, op_names
from portrait_tflite.convert.mend import REWRITES, mend_model
from portrait_tflite.convert.rewrites.flatbuffer_rewrite import FlatbufferRewrite, Match
from portrait_tflite.convert.rewrites.relu_to_quantize import ReluToQuantize, make_quantize
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, Level

Build = Callable[..., Any]
RunOnce = Callable[[bytes], list[bytes]]


# RELU → QUANTIZE


def test_relus_become_quantize_and_one_partition(relu_net: Build, run_once: RunOnce) -> None:
    data = relu_net()
    result = mend_model(data)
    assert op_names(read_model(result.data)) == [
        "CONV_2D", "QUANTIZE", "CONV_2D", "QUANTIZE", "CONV_2D"
    ]  # fmt: skip
    assert open_model(data).partitions == 3
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert run_once(result.data) == run_once(data)
    assert [(r.rewrite, r.level, r.layer, r.exact) for r in result.records] == [
        ("relu_to_quantize", Level.FLATBUFFER, "relu_0", True),
        ("relu_to_quantize", Level.FLATBUFFER, "relu_1", True),
    ]
    assert result.skipped == ()


def test_the_quantize_is_one_that_runtimes_know(relu_net: Build) -> None:
    nodes = list_nodes(read_model(mend_model(relu_net()).data))
    assert [node.version for node in nodes if node.op == "QUANTIZE"] == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"zero_point": -127}, "zero point is -127"),
        ({"scale": 10.0}, "scale ratio"),
    ],
)
def test_a_relu_that_cuts_something_off_stays(
    relu_net: Build, arguments: dict[str, Any], reason: str
) -> None:
    data = relu_net(**arguments)
    result = mend_model(data)
    assert result.data is data
    assert result.records == ()
    assert len(result.skipped) == 2
    assert all(reason in skipped.reason for skipped in result.skipped)


def test_a_relu6_that_cuts_at_six_stays(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 4), "int8", 0.1, -20)  # reaches 14.7
    y = graph.tensor("net/act/Relu6", (1, 4), "int8", 0.05, -128)
    graph.op("RELU6", [x], y, 2)
    result = mend_model(graph.build([x], [y]))
    assert [skipped.reason for skipped in result.skipped] == [
        "87 of 256 values would come out differently"
    ]


def test_a_relu6_that_cuts_nothing_off_is_mended(relu_net: Build) -> None:
    result = mend_model(relu_net(relu="RELU6", scale=0.02))  # 255 steps reach 5.1
    assert open_model(result.data).partitions == 1


def test_a_float_relu_is_none_of_its_business(float_net: Build) -> None:
    data = float_net()
    assert mend_model(data) == (result := mend_model(data))
    assert (result.data, result.records, result.skipped) == (data, (), ())


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(source=st.floats(0.005, 0.5), ratio=st.floats(0.05, 20), zero_point=st.integers(-128, 127))
def test_what_matches_gives_the_same_byte_for_every_value(
    tiny_graph: Build, source: float, ratio: float, zero_point: int
) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 1, 16, 16), "int8", source, zero_point)
    y = graph.tensor("y", (1, 1, 16, 16), "int8", source / ratio, -128)
    graph.op("RELU", [x], y, 2)
    data = graph.build([x], [y])
    model = read_model(data)
    applied = ReluToQuantize().apply(model)
    values = np.arange(-128, 128).astype(np.int8).reshape(1, 1, 16, 16)
    before, after = (open_model(d, Delegate.CPU).run(values)[0] for d in (data, serialize(model)))
    np.testing.assert_array_equal(before, after)
    assert len(applied.mended) + len(applied.refused) == 1


def test_a_relu_without_scales_stays(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 4), "int8") for name in "xy")
    graph.op("RELU", [x], y, 2)
    applied = ReluToQuantize().apply(read_model(graph.build([x], [y])))
    assert [op.reason for op in applied.refused] == ["its int8 tensors have no scale"]


# the byte check


class _Rounder(FlatbufferRewrite):
    """A broken rewrite: drops a clamp that is needed."""

    name = "broken"

    def match(self, model: Any, node: Node) -> Match | None:
        return Match("so it seems") if node.op == "RELU" else None

    def change(self, model: Any, node: Node, match: Match) -> None:
        make_quantize(model, node.index)


class _Wrecker(_Rounder):
    """A broken rewrite: leaves a file that does not load."""

    name = "wrecker"

    def change(self, model: Any, node: Node, match: Match) -> None:
        model.subgraphs[0].operators[node.index].inputs = np.array([], np.int32)


@pytest.mark.parametrize(
    ("broken", "reason"), [(_Rounder(), "not byte-equal"), (_Wrecker(), "refuses the result")]
)
def test_a_broken_rewrite_is_undone_and_reported(
    relu_net: Build, broken: FlatbufferRewrite, reason: str
) -> None:
    data = relu_net(zero_point=0)
    result = mend_model(data, rewrites=(broken, *REWRITES))
    assert result.data is data
    assert result.records == ()
    undone = [skipped for skipped in result.skipped if skipped.rewrite == broken.name]
    assert [skipped.layer for skipped in undone] == ["relu_0", "relu_1"]
    assert all(reason in skipped.reason for skipped in undone)


def test_a_broken_rewrite_does_not_spoil_the_next(relu_net: Build) -> None:
    result = mend_model(relu_net(), rewrites=(_Wrecker(), *REWRITES))
    assert {record.rewrite for record in result.records} == {"relu_to_quantize"}
    assert open_model(result.data).partitions == 1


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_checks_on_given_images(relu_net: Build, dtype: type) -> None:
    images: list[Any] = [
        np.random.default_rng(n).integers(-2, 2, (1, 8, 8, 4)).astype(dtype) for n in (0, 1)
    ]
    assert len(mend_model(relu_net(), images).records) == 2


def test_garbage_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        mend_model(b"garbage")

"""Additions of a dead operand: dropped where no value notices, left where one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.flatbuffer import read_model
from portrait_tflite.convert.flatbuffer_nodes import op_names
from portrait_tflite.convert.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.identity_add import IdentityAdd
from portrait_tflite.runtime import open_model

Build = Callable[..., Any]
RunOnce = Callable[[bytes], list[bytes]]


def _dead_skip(
    graph: Any,
    skip_scale: float,
    sum_scale: float = 0.05,
    first: bool = True,
    at_end: bool = False,
) -> bytes:
    x = graph.tensor("x", (1, 4, 4, 4), "int8", 0.05, 2)
    skip = graph.tensor("skip", (1, 4, 4, 4), "int8", skip_scale, -5)
    total = graph.tensor("net/add/Add", (1, 4, 4, 4), "int8", sum_scale, 2)
    graph.op("ADD", [x, skip] if first else [skip, x], total, 2, schema.AddOptionsT())
    if at_end:
        return bytes(graph.build([x, skip], [total]))
    y = graph.tensor("net/act/Sigmoid", (1, 4, 4, 4), "int8", 1 / 256, -128)
    graph.op("LOGISTIC", [total], y, 2)
    return bytes(graph.build([x, skip], [y]))


@pytest.mark.parametrize("first", [True, False])
def test_a_dead_skip_is_dropped(tiny_graph: Build, run_once: RunOnce, first: bool) -> None:
    data = _dead_skip(tiny_graph(), 1e-5, first=first)
    result = mend_model(data)
    assert op_names(read_model(result.data)) == ["LOGISTIC"]
    assert run_once(result.data) == run_once(data)
    assert open_model(data).outside[0].op == "ADD"
    assert open_model(result.data).outside == ()
    assert [(r.rewrite, r.layer) for r in result.records] == [("identity_add", "add")]


def test_a_dead_skip_at_the_end_becomes_quantize(tiny_graph: Build, run_once: RunOnce) -> None:
    data = _dead_skip(tiny_graph(), 1e-5, at_end=True)
    result = mend_model(data)
    assert op_names(read_model(result.data)) == ["QUANTIZE"]
    assert run_once(result.data) == run_once(data)


def test_a_sum_of_another_scale_becomes_quantize(tiny_graph: Build, run_once: RunOnce) -> None:
    # 5/7 of a step: no value comes near a tie that the skip could turn
    data = _dead_skip(tiny_graph(), 1e-5, sum_scale=0.07)
    result = mend_model(data)
    assert op_names(read_model(result.data)) == ["QUANTIZE", "LOGISTIC"]
    assert run_once(result.data) == run_once(data)


@pytest.mark.parametrize(
    ("scales", "reason"),
    [
        ((4e-5, 0.0999), "65,536"),  # half a step, near enough for the skip to turn it
        ((100.0, 0.05), "65,536"),  # refused for being large: it is not the dead one
        ((1e-5, 100.0), "scales of both"),
        ((1e-8, 20.0), "no QUANTIZE"),
    ],
)
def test_a_skip_that_is_heard_stays(
    tiny_graph: Build, scales: tuple[float, float], reason: str
) -> None:
    model = read_model(_dead_skip(tiny_graph(), *scales))
    applied = IdentityAdd().apply(model)
    assert applied.mended == ()
    assert reason in applied.refused[0].reason


def test_an_operand_that_is_broadcast_stays(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 1, 1, 4), "int8", 0.05, 2)
    skip = graph.tensor("skip", (1, 4, 4, 4), "int8", 1e-5)
    total = graph.tensor("sum", (1, 4, 4, 4), "int8", 0.05, 2)
    graph.op("ADD", [x, skip], total, 2, schema.AddOptionsT())
    applied = IdentityAdd().apply(read_model(graph.build([x, skip], [total])))
    assert "broadcast" in applied.refused[0].reason


def test_an_add_that_xnnpack_takes_stays(tiny_graph: Build) -> None:
    data = _dead_skip(tiny_graph(), 0.02)
    assert IdentityAdd().apply(read_model(data)).refused == ()
    assert mend_model(data).data is data

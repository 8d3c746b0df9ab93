"""Additions of a dead operand: dropped where no value notices, left where one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.identity_add import IdentityAdd
from portrait_tflite.convert.rewrites.flatbuffer.quantize_chain import QUANTIZE
from portrait_tflite.convert.rewrites.flatbuffer.replacement import Replacement
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Match, accept
from portrait_tflite.runtime import open_model

Build = Callable[..., Any]
RunOnce = Callable[[bytes], list[bytes]]


def _dead_skip(
    graph: Any,
    skip_scale: float,
    sum_scale: float = 0.05,
    first: bool = True,
    at_end: bool = False,
    op: str = "ADD",
) -> bytes:
    x = graph.tensor("x", (1, 4, 4, 4), "int8", 0.05, 2)
    skip = graph.tensor("skip", (1, 4, 4, 4), "int8", skip_scale, -5)
    total = graph.tensor("net/add/Add", (1, 4, 4, 4), "int8", sum_scale, 2)
    options = schema.AddOptionsT() if op == "ADD" else schema.SubOptionsT()
    graph.op(op, [x, skip] if first else [skip, x], total, 2, options)
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


def test_a_dead_subtrahend_is_dropped(tiny_graph: Build, run_once: RunOnce) -> None:
    data = _dead_skip(tiny_graph(), 1e-5, op="SUB")
    result = mend_model(data)
    assert op_names(read_model(result.data)) == ["LOGISTIC"]
    assert run_once(result.data) == run_once(data)
    assert (open_model(data).outside[0].op, open_model(result.data).outside) == ("SUB", ())
    assert "skip" not in result.records[0].reason


def test_what_is_subtracted_from_a_dead_operand_stays(tiny_graph: Build) -> None:
    data = _dead_skip(tiny_graph(), 1e-5, first=False, op="SUB")
    (refused,) = IdentityAdd().apply(read_model(data)).refused
    assert "nothing is left to subtract from" in refused.reason


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


def test_a_dead_skip_that_xnnpack_takes_is_dropped(tiny_graph: Build, run_once: RunOnce) -> None:
    data = _dead_skip(tiny_graph(), 0.05 * 2**-9)
    assert open_model(data).outside == ()
    result = mend_model(data)
    assert op_names(read_model(result.data)) == ["LOGISTIC"]
    assert run_once(result.data) == run_once(data)
    assert "lost" in result.records[0].reason


def test_a_number_that_is_lost_is_no_skip(tiny_graph: Build) -> None:
    """What keeps a variance from 0 is as small as that by design."""
    graph = tiny_graph()
    x, total = (graph.tensor(f"net/{n}/op", (1, 4, 4, 4), "int8", 0.05, 2) for n in ("x", "add"))
    epsilon = graph.tensor("epsilon", (1,), "int8", 1e-5, 0, data=[100])
    graph.op("ADD", [x, epsilon], total, 2, schema.AddOptionsT())
    y = graph.tensor("net/act/Sigmoid", (1, 4, 4, 4), "int8", 1 / 256, -128)
    graph.op("LOGISTIC", [total], y, 2)
    (record,) = mend_model(graph.build([x], [y])).records
    assert (record.rewrite, "lost" in record.reason) == ("identity_add", False)


def test_a_skip_heard_by_one_value_stays(tiny_graph: Build) -> None:
    # 132 steps of it are just more than half a step of the sum.
    data = _dead_skip(tiny_graph(), 0.05 * 0.502 / 132)
    assert mend_model(data).data is data


@settings(
    deadline=None,
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    exponent=st.floats(-30, -8.5),
    ratio=st.sampled_from([1.0, 1.0, 1.00001, 0.7, 1.4]),
    form=st.sampled_from([("ADD", True), ("ADD", False), ("SUB", True)]),
    at_end=st.booleans(),
)
def test_every_dead_skip_leaves_the_sum_as_it_was(
    tiny_graph: Build,
    mend_with: Build,
    exponent: float,
    ratio: float,
    form: tuple[str, bool],
    at_end: bool,
) -> None:
    scale, (op, first) = 0.05 * ratio, form
    data = _dead_skip(tiny_graph(), scale * 2.0**exponent, scale, first, at_end, op)
    result = mend_with(data, IdentityAdd(), accept)
    assert result.steps == 0
    # Of one scale, what stays below half a step is never heard.
    silent = 132 * 2.0**exponent < 0.5  # the skip goes from -123 to 132 of its steps
    refused = exponent < -10
    assert result.done or result.refusals or not (silent and (refused or ratio == 1))
    # of another scale the same integers stand for other numbers
    dropped = result.done and "QUANTIZE" not in result.ops
    assert not dropped or (ratio == 1 and not at_end)


class _Deaf(IdentityAdd):
    """Takes every second operand for a dead one."""

    def match(self, model: Any, node: Any) -> Any:
        if node.op != "ADD":
            return None
        source = node.given()[0].index
        return Match("so it seems", source, sources=tuple(o.index for o in node.given()))

    def change(self, model: Any, node: Any, match: Match) -> None:
        built = Replacement(model, node)
        built.op(QUANTIZE, [match.details])
        built.finish()


@pytest.mark.parametrize("scale", [0.05, 4e-5])
def test_a_skip_that_is_heard_is_not_dropped(tiny_graph: Build, scale: float) -> None:
    data = _dead_skip(tiny_graph(), scale, 0.0999)
    result = mend_model(data, rewrites=(_Deaf(),))
    assert result.data is data
    assert "not byte-equal" in result.skipped[0].reason


def test_a_dead_skip_of_nearly_one_scale_is_dropped_as_a_requantization(
    tiny_graph: Build,
) -> None:
    data = _dead_skip(tiny_graph(), 1e-5, 0.05 * (1 + 1e-6))
    result = mend_model(data)
    assert op_names(read_model(result.data)) == ["LOGISTIC"]
    assert [record.rewrite for record in result.records] == ["identity_add", "drop_requantize"]
    assert [record.exact for record in result.records] == [True, False]

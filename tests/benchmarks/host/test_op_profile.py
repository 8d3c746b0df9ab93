"""Per-op times: events on a graph, and the runtime's own on small files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.host import litert_library
from portrait_tflite.benchmarks.host.op_profile import Event, profile_ops, sum_by_node
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.errors import UnavailableError
from portrait_tflite.vocabulary import Delegate

CONV, RELU = "Convolution (NHWC, QC8) IGEMM", "RELU"


@pytest.fixture
def nodes(relu_net: Callable[..., bytes]) -> list[Node]:
    """Give the ops of conv → RELU → conv → RELU → conv."""
    return list_nodes(read_model(relu_net()))


def test_partitions_end_where_an_op_stays_outside(nodes: list[Node]) -> None:
    events = [
        Event(CONV, True, 0, 1.0),
        Event(RELU, False, 1, 5.0),
        Event(CONV, True, 0, 2.0),
        Event(RELU, False, 3, 6.0),
        Event(CONV, True, 0, 3.0),
        Event("Clamp (NC)", True, 1, 0.5),
    ]
    assert sum_by_node(events, nodes) == {
        0: (Delegate.XNNPACK, 1.0),
        1: (Delegate.CPU, 5.0),
        2: (Delegate.XNNPACK, 2.0),
        3: (Delegate.CPU, 6.0),
        4: (Delegate.XNNPACK, 3.5),
    }


def test_side_branches_belong_to_the_partition_that_can_run_them(
    tiny_graph: Callable[[], Any],
) -> None:
    graph = tiny_graph()
    x, a, b, c, y = (graph.tensor(n, (1, 8, 8, 4), "float32") for n in "xabcy")
    graph.op("RELU", [x], a)
    graph.op("SOFTMAX", [a], b)  # stays outside
    graph.op("TANH", [a], c)  # could run before it, so it does
    graph.op("ADD", [b, c], y)
    nodes = list_nodes(read_model(graph.build([x], [y])))
    events = [
        Event("Clamp (NC)", True, 0, 1.0),
        Event("TanH (NC)", True, 1, 2.0),
        Event("SOFTMAX", False, 1, 4.0),
        Event("Add (ND)", True, 0, 8.0),
    ]
    times = sum_by_node(events, nodes)
    assert {index: ms for index, (_, ms) in times.items()} == {0: 1.0, 2: 2.0, 1: 4.0, 3: 8.0}


@pytest.mark.parametrize(
    "event", [Event("SOFTMAX", False, 1, 1.0), Event(RELU, False, 17, 1.0)], ids=["op", "index"]
)
def test_events_of_another_graph_are_refused(nodes: list[Node], event: Event) -> None:
    with pytest.raises(UnavailableError, match="a profile of this file is required"):
        sum_by_node([event], nodes)


def test_more_partitions_than_the_graph_has_are_refused(nodes: list[Node]) -> None:
    outside = [Event(nodes[i].op, False, i, 1.0) for i in range(5)]
    with pytest.raises(UnavailableError, match="one of more ops"):
        sum_by_node([*outside, Event(CONV, True, 0, 1.0)], nodes)


def test_the_runtime_says_where_each_op_ran(file: Path) -> None:
    def profile(delegate: Delegate) -> list[tuple[str, str, Delegate]]:
        ops = profile_ops(Cell("net", file, delegate))
        assert sum(op.share for op in ops) == pytest.approx(1) or not any(op.share for op in ops)
        assert all(op.median_ms >= 0 for op in ops)
        return [(op.op, op.layer, op.delegate) for op in ops]

    layers = ["conv_0", "relu_0", "conv_1", "relu_1", "head"]
    names = ["CONV_2D", "RELU"] * 2 + ["CONV_2D"]
    everywhere = [(name, layer, Delegate.CPU) for name, layer in zip(names, layers, strict=True)]
    assert profile(Delegate.CPU) == everywhere
    # The stand-alone int8 RELUs are what leaves the delegate.
    assert profile(Delegate.XNNPACK) == [
        (name, layer, Delegate.CPU if name == RELU else Delegate.XNNPACK)
        for name, layer, _ in everywhere
    ]


def test_a_file_that_crashes_the_profiler_is_unavailable(crashing: Path) -> None:
    with pytest.raises(UnavailableError, match="crashed with SIGSEGV"):
        profile_ops(Cell("bad", crashing, Delegate.XNNPACK))


def test_a_wheel_without_the_library_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert_library, "find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match="libLiteRt is required"):
        litert_library.ProfiledModel(Path("net.tflite"), "builtin", 1)

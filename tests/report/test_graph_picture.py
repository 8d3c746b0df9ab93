"""The picture of a graph: every op, its partition, its branches."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.errors import UsageError
from portrait_tflite.report.graph_picture import graph_svg

Build = Callable[..., Any]
SVG = "{http://www.w3.org/2000/svg}"


def _texts(picture: str) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(picture).iter(f"{SVG}text")]


def test_each_op_has_a_row_with_its_partition_or_its_reason(relu_net: Build) -> None:
    texts = _texts(graph_svg(relu_net()))
    assert [text.split()[:2] for text in texts] == [
        ["#1", "CONV_2D"],
        ["outside", "RELU"],
        ["#2", "CONV_2D"],
        ["outside", "RELU"],
        ["#3", "CONV_2D"],
    ]
    assert "float only" in texts[1]
    assert "8×8×4" in texts[0]


def test_partitions_have_colours_of_their_own(relu_net: Build) -> None:
    circles = ET.fromstring(graph_svg(relu_net())).iter(f"{SVG}circle")
    assert [c.get("class") for c in circles] == ["p0", "outside", "p1", "outside", "p2"]


def test_it_has_colours_for_the_dark(relu_net: Build) -> None:
    assert "prefers-color-scheme: dark" in graph_svg(relu_net())


def test_a_skip_runs_beside_the_ops_that_it_skips(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, a, b, y = (graph.tensor(name, (1, 8), "float32") for name in ("x", "a<b", "b", "y"))
    graph.op("ABS", [x], a)
    graph.op("EXP", [a], b)
    graph.op("ADD", [a, b], y)
    picture = ET.fromstring(graph_svg(graph.build([x], [y])))
    places = [(c.get("cx"), c.get("cy")) for c in picture.iter(f"{SVG}circle")]
    assert len(set(places)) == 3
    assert places[0][0] != places[1][0]  # EXP makes room for the skip
    assert places[0][0] == places[2][0]
    assert len(list(picture.iter(f"{SVG}path"))) == 3


def test_a_long_reason_ends_in_the_picture_and_stands_whole_in_its_title(
    tiny_graph: Build,
) -> None:
    graph = tiny_graph()
    long = "model/" + "block/" * 20 + "skip"
    x, skip, y = (
        graph.tensor(name, (1, 8, 8, 4), "int8", scale)
        for name, scale in (("x", 1.0), (long, 1e-5), ("sum", 1.0))
    )
    graph.op("ADD", [x, skip], y, 2, schema.AddOptionsT())
    picture = graph_svg(graph.build([x, skip], [y]))
    (text,) = _texts(picture)
    assert text.startswith("outside ADD 8×8×4 scale ratio 1e-05 of input 'model/block/")
    assert text.endswith("…")
    assert len(text) == 84
    (title,) = ET.fromstring(picture).iter(f"{SVG}title")
    assert str(title.text).startswith("sum: scale ratio")
    assert str(title.text).endswith("XNNPACK takes 0.00098 to 256")


def test_garbage_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        graph_svg(b"garbage")

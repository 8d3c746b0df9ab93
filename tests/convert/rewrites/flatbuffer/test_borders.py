"""Borders that are no PAD: of another number than 0, or mirrored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer import borders
from portrait_tflite.convert.rewrites.flatbuffer.borders import ConstantBorder, MirroredBorder
from portrait_tflite.convert.rewrites.flatbuffer.merge_pad import MergePad
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.runtime import open_model

from .drawing import many

Build = Callable[..., Any]
FORMS = {"int8": (0.05, 3), "uint8": (0.05, 120), "float32": (None, 0)}
dtypes = st.sampled_from(sorted(FORMS))
sizes = st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(1, 4))
widths = st.tuples(*[st.integers(0, 3)] * 4)


def _padded(
    graph: Any, op: str, size: Any, width: Any, dtype: str, number: Any = None, mode: int = 0
) -> bytes:
    above, below, left, right = width
    form = FORMS[dtype]
    x = graph.tensor("x", (1, *size), dtype, *form)
    amounts = [(0, 0), (above, below), (left, right), (0, 0)]
    inputs = [x, graph.tensor("p", (4, 2), "int32", data=amounts)]
    if number is not None:
        inputs.append(graph.tensor("c", (1,), dtype, *form, data=[number]))
    large = (1, size[0] + above + below, size[1] + left + right, size[2])
    y = graph.tensor("net/pad/op", large, dtype, *form)
    options = schema.MirrorPadOptionsT(mode=mode) if op == "MIRROR_PAD" else schema.PadV2OptionsT()
    graph.op(op, inputs, y, 1 if op == "PADV2" and dtype == "float32" else 2, options)
    return bytes(graph.build([x], [y]))


@many
@given(size=sizes, width=widths.filter(any), dtype=dtypes, number=st.integers(0, 127))
def test_every_constant_border(
    tiny_graph: Build, mend_with: Build, size: Any, width: Any, dtype: str, number: int
) -> None:
    data = _padded(tiny_graph(), "PADV2", size, width, dtype, number)
    result = mend_with(data, ConstantBorder(), accept)
    zero = number == FORMS[dtype][1]
    assert set(result.ops) == ({"PAD"} if zero else {"CONCATENATION"})
    assert result.steps == 0


@many
@given(size=sizes, width=st.tuples(*[st.integers(0, 1)] * 4), dtype=dtypes, mode=st.integers(0, 1))
def test_every_narrow_mirror(
    tiny_graph: Build, mend_with: Build, size: Any, width: Any, dtype: str, mode: int
) -> None:
    data = _padded(tiny_graph(), "MIRROR_PAD", size, width, dtype, mode=mode)
    result = mend_with(data, MirroredBorder(), accept)
    assert result.done is any(width)
    assert not any(width) or set(result.ops) == {"CONCATENATION", "SLICE"}
    assert result.steps == 0


@many
@given(width=st.tuples(*[st.integers(0, 4)] * 4).filter(any), dtype=dtypes, mode=st.integers(0, 1))
def test_every_wide_mirror(
    tiny_graph: Build, mend_with: Build, width: Any, dtype: str, mode: int
) -> None:
    data = _padded(tiny_graph(), "MIRROR_PAD", (5, 6, 2), width, dtype, mode=mode)
    result = mend_with(data, MirroredBorder(), accept)
    assert (result.done, result.steps) == (True, 0)


@pytest.mark.parametrize(("op", "number"), [("PADV2", 9), ("PADV2", 3), ("MIRROR_PAD", None)])
def test_a_border_comes_inside(tiny_graph: Build, op: str, number: Any) -> None:
    data = _padded(tiny_graph(), op, (8, 8, 4), (1, 1, 1, 1), "int8", number)
    assert [node.op for node in open_model(data).outside] == [op]
    result = mend_model(data)
    assert (open_model(result.data).partitions, open_model(result.data).outside) == (1, ())
    assert {record.exact for record in result.records} == {True}


def test_a_very_wide_mirror_stays(tiny_graph: Build, mend_with: Build) -> None:
    data = _padded(tiny_graph(), "MIRROR_PAD", (8, 8, 4), (5, 1, 1, 1), "int8")
    assert "more than 4 lines" in mend_with(data, MirroredBorder()).refusals[0]


def test_an_unmirrored_border_is_caught(tiny_graph: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _padded(tiny_graph(), "MIRROR_PAD", (8, 8, 4), (1, 1, 1, 1), "int8")
    monkeypatch.setattr(borders, "_REFLECT", 1)  # takes the line at the edge
    result = mend_model(data, rewrites=(MirroredBorder(),))
    assert result.data is data
    assert "not byte-equal" in result.skipped[0].reason


# a pool's own border


def _pooled(graph: Any, dtype: str, number: Any) -> bytes:
    form = FORMS[dtype]
    x = graph.tensor("x", (1, 8, 8, 4), dtype, *form)
    p = graph.tensor("p", (4, 2), "int32", data=[(0, 0), (0, 1), (0, 1), (0, 0)])
    c = graph.tensor("c", (1,), dtype, *form, data=[number])
    wide = graph.tensor("net/pad/op", (1, 9, 9, 4), dtype, *form)
    y = graph.tensor("net/pool/op", (1, 4, 4, 4), dtype, *form)
    version = 1 if dtype == "float32" else 2
    graph.op("PADV2", [x, p, c], wide, version, schema.PadV2OptionsT())
    options = schema.Pool2DOptionsT(padding=1, strideW=2, strideH=2, filterWidth=3, filterHeight=3)
    graph.op("MAX_POOL_2D", [wide], y, version, options)
    return bytes(graph.build([x], [y]))


@pytest.mark.parametrize(
    ("dtype", "number", "merged"),
    [
        ("int8", -128, True),
        ("int8", 3, False),
        ("uint8", 0, True),
        ("float32", float("-inf"), True),
        ("float32", -1e9, False),
    ],
)
def test_a_pools_own_border_needs_no_op(
    tiny_graph: Build, mend_with: Build, dtype: str, number: Any, merged: bool
) -> None:
    result = mend_with(_pooled(tiny_graph(), dtype, number), MergePad(), accept)
    assert result.steps == 0
    assert result.ops == (["MAX_POOL_2D"] if merged else ["PADV2", "MAX_POOL_2D"])
    assert merged or "another number" in result.refusals[0]

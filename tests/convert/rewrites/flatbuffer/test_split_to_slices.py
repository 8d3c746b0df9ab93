"""Splits that XNNPACK has not: uneven ones, many parts, and into tensors of one rank less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.split_to_slices import SplitToSlices
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

from .drawing import many

Build = Callable[..., Any]
FORMS = {"float32": (None, 0), "int8": (0.05, 3)}


def _split(
    graph: Any, op: str, shape: Any, axis: int, sizes: Any, dtype: str, *, other: Any = None,
    computed: bool = False,
) -> bytes:  # fmt: skip
    """Build a split of `shape` along an axis, all of whose parts are outputs."""
    form = FORMS[dtype]
    x = graph.tensor("x", shape, dtype, *form)
    place = axis % len(shape)
    parts = []
    for number, size in enumerate(sizes):
        rest = list(shape)
        rest[place : place + 1] = [] if op == "UNPACK" else [size]
        scale = other if other and number else form
        parts.append(graph.tensor(f"net/part{number}/op", tuple(rest), dtype, *scale))
    given_axis = [graph.tensor("axis", (1,), "int32", data=None if computed else [axis])]
    count = len(sizes)
    if op == "SPLIT":
        inputs, options = [*given_axis, x], schema.SplitOptionsT(numSplits=count)
    elif op == "SPLIT_V":
        lengths = graph.tensor("sizes", (count,), "int32", data=sizes)
        inputs, options = [x, lengths, *given_axis], schema.SplitVOptionsT(numSplits=count)
    else:
        inputs, options = [x], schema.UnpackOptionsT(num=count, axis=axis)
    graph.op(op, inputs, parts[0], 2 if dtype == "int8" else 1, options)
    graph.graph.operators[-1].outputs = np.array(parts, np.int32)
    return bytes(graph.build([x, *(given_axis if computed else [])], parts))


@many
@given(
    op=st.sampled_from(["SPLIT", "SPLIT_V", "UNPACK"]),
    rank=st.integers(2, 4),
    axis=st.integers(-4, 3),
    count=st.integers(1, 6),
    sizes=st.lists(st.integers(1, 5), min_size=6, max_size=6),
    dtype=st.sampled_from(sorted(FORMS)),
)
def test_every_part_is_a_slice(
    tiny_graph: Build, mend_with: Build, op: str, rank: int, axis: int, count: int, sizes: Any,
    dtype: str,
) -> None:  # fmt: skip
    axis = axis % rank - (rank if axis < 0 else 0)
    lengths = {"SPLIT": [sizes[0]] * count, "SPLIT_V": sizes[:count], "UNPACK": [1] * count}[op]
    shape = [2, 3, 4, 2][:rank]
    shape[axis] = sum(lengths)
    data = _split(tiny_graph(), op, tuple(shape), axis, lengths, dtype)
    result = mend_with(data, SplitToSlices(), accept)
    taken = op == "SPLIT" and 2 <= count <= 4
    behind = ["RESHAPE"] if op == "UNPACK" else []
    assert result.ops == (["SPLIT"] if taken else ["SLICE", *behind] * count)
    assert result.steps == 0


@pytest.mark.parametrize("dtype", sorted(FORMS))
@pytest.mark.parametrize(
    ("op", "sizes"), [("SPLIT_V", (5, 11)), ("SPLIT", (2,) * 8), ("UNPACK", (1,) * 3)]
)
def test_it_comes_inside_xnnpack(tiny_graph: Build, op: str, sizes: Any, dtype: str) -> None:
    data = _split(tiny_graph(), op, (1, 8, sum(sizes), 8), 2, sizes, dtype)
    assert [node.op for node in open_model(data).outside] == [op]
    result = mend_model(data)
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert "split_to_slices" in {record.rewrite for record in result.records}
    assert not mend_model(data, delegate=Delegate.GPU).records, "the GPU takes the split"


@pytest.mark.parametrize("dtype", sorted(FORMS))
def test_a_part_may_be_empty(tiny_graph: Build, dtype: str) -> None:
    data = _split(tiny_graph(), "SPLIT_V", (1, 4, 4, 7), 3, (0, 3, 4), dtype)
    result = mend_model(data, rewrites=(SplitToSlices(),))
    assert [skip.reason for skip in result.skipped] == ["SPLIT_V: nothing gained"]


def test_parts_of_another_scale_stay(tiny_graph: Build, mend_with: Build) -> None:
    data = _split(tiny_graph(), "SPLIT_V", (1, 4, 6, 2), 2, (2, 4), "int8", other=(0.06, 3))
    result = mend_with(data, SplitToSlices(), accept)
    assert result.ops == ["SPLIT_V"]
    assert "different scales" in result.refusals[0]


def test_a_dimension_that_is_computed_stays(tiny_graph: Build) -> None:
    data = _split(tiny_graph(), "SPLIT", (1, 8, 8, 10), 3, (2,) * 5, "float32", computed=True)
    applied = SplitToSlices().apply(read_model(data), accept)
    assert not applied.mended
    assert "run time" in applied.refused[0].reason


class _Swapped(SplitToSlices):
    """Gives the last two parts each other's numbers; the first one is right."""

    def change(self, model: Any, node: Any, match: Any) -> None:
        super().change(model, node, match)
        one, other = model.subgraphs[0].operators[node.index + 1 : node.index + 3]
        one.outputs, other.outputs = other.outputs, one.outputs


def test_parts_that_are_exchanged_are_caught(tiny_graph: Build, mend_with: Build) -> None:
    """At the place itself: all outputs of an op are compared, not the first one only."""
    data = _split(tiny_graph(), "SPLIT_V", (1, 8, 8, 9), 3, (1, 4, 4), "int8")
    assert mend_with(data, SplitToSlices()).done
    result = mend_with(data, _Swapped())
    assert not result.done
    assert result.refusals[0].startswith("undone")

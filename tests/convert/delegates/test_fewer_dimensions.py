"""What is said of ops on more dimensions than a delegate has."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.delegates.fewer_dimensions import merge_dimensions


@pytest.fixture
def transposed(tiny_graph: Callable[[], Any]) -> Callable[..., bytes]:
    """Give a builder of RESHAPE → TRANSPOSE → RESHAPE, from a row and to one."""

    def build(shape: tuple[int, ...], order: tuple[int, ...]) -> bytes:
        graph = tiny_graph()
        row = (1, int(np.prod(shape)))
        after = tuple(shape[d] for d in order)
        names = zip("abcd", (row, shape, after, row), strict=True)
        a, b, c, d = (graph.tensor(name, each, "float32") for name, each in names)
        sizes, numbers, back = (
            graph.tensor(name, (len(each),), "int32", data=each)
            for name, each in (("sizes", shape), ("order", order), ("back", row))
        )
        graph.op("RESHAPE", [a, sizes], b, 1, schema.ReshapeOptionsT())
        graph.op("TRANSPOSE", [b, numbers], c, 1, schema.TransposeOptionsT())
        graph.op("RESHAPE", [c, back], d, 1, schema.ReshapeOptionsT())
        return bytes(graph.build([a], [d]))

    return build


@pytest.mark.parametrize(
    ("shape", "order", "advice"),
    [
        ((1, 4, 5, 2, 2, 3), (0, 1, 3, 2, 4, 5), "DEPTH_TO_SPACE, with a block of 2"),
        ((1, 4, 2, 5, 2, 3), (0, 1, 3, 2, 4, 5), "SPACE_TO_DEPTH, with a block of 2"),
        ((1, 4, 5, 2, 3, 3), (0, 1, 3, 2, 4, 5), r"\[4, 5, 2, 9\], transpose by \[0, 2, 1, 3\]"),
        ((1, 4, 5, 2, 3), (0, 1, 2, 4, 3), r"\[20, 2, 3\], transpose by \[0, 2, 1\]"),
        ((2, 3, 4, 5, 6), (4, 3, 2, 1, 0), "two transposes of four dimensions at most"),
    ],
)
def test_the_gpu_is_given_what_it_takes(
    transposed: Any, shape: Any, order: Any, advice: str
) -> None:
    first, moved, last = audit_model(transposed(shape, order)).gpu.outside
    assert moved.reason == f"rank {len(shape)}; 4 is the most"
    assert re.search(advice, moved.fix), moved.fix
    assert "reshape to four dimensions at most" in first.fix
    assert first.fix == last.fix


def test_other_ops_keep_to_a_picture(tiny_graph: Callable[[], Any]) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 2, 3, 4, 5), "float32") for name in "xy")
    graph.op("NEG", [x], y)
    (outside,) = audit_model(graph.build([x], [y])).gpu.outside
    assert outside.fix == "keep to four dimensions: batch, height, width, channels"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    shuffle=st.randoms(use_true_random=False),
)
def test_fewer_dimensions_move_the_same_numbers(shape: list[int], shuffle: Any) -> None:
    order = list(range(len(shape)))
    shuffle.shuffle(order)
    fewer, merged = merge_dimensions(tuple(shape), tuple(order))
    numbers = np.arange(np.prod(shape))
    expected = numbers.reshape(shape).transpose(order).reshape(-1)
    found = numbers.reshape(fewer).transpose(merged).reshape(-1)
    assert np.array_equal(found, expected)
    assert 1 not in fewer
    assert all(after != before + 1 for before, after in itertools.pairwise(merged))

"""The larger of two tensors, which XNNPACK has in float alone."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.maximum_as_pooling import MaximumAsPooling
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.runtime import open_model

from .drawing import many

Build = Callable[..., Any]
SHAPE = (1, 8, 8, 4)
POOLED = ["RESHAPE", "RESHAPE", "CONCATENATION", "MAX_POOL_2D", "RESHAPE"]


def _choice(
    graph: Any, shape: Any = SHAPE, dtype: str = "int8", form: Any = (0.05, 3), *,
    op: str = "MAXIMUM", other: Any = None, of_b: Any = None, constant: bool = False,
) -> bytes:  # fmt: skip
    a, y = (graph.tensor(f"net/{name}/op", shape, dtype, *form) for name in "ay")
    drawn = np.random.default_rng(0).integers(0, 128, shape) if constant else None
    b = graph.tensor("net/b/op", other or shape, dtype, *(of_b or form), data=drawn)
    graph.op(op, [a, b], y, 2, schema.MaximumMinimumOptionsT())
    return bytes(graph.build([a] if constant else [a, b], [y]))


@many
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    channels=st.integers(1, 20),
    rank=st.integers(2, 4),
    dtype=st.sampled_from(["int8", "uint8"]),
    scale=st.floats(1e-4, 5.0),
    zero_point=st.integers(0, 255),
    constant=st.booleans(),
)
def test_every_larger_one_is_a_pool(
    tiny_graph: Build, mend_with: Build, size: Any, channels: int, rank: int, dtype: str,
    scale: float, zero_point: int, constant: bool,
) -> None:  # fmt: skip
    shape = (*(1, *size)[: rank - 1], 16 * channels)
    form = (scale, zero_point - 128 * (dtype == "int8"))
    data = _choice(tiny_graph(), shape, dtype, form, constant=constant)
    result = mend_with(data, MaximumAsPooling(), accept)
    assert result.ops == POOLED
    assert result.steps == 0


def test_it_comes_inside_xnnpack(tiny_graph: Build) -> None:
    data = _choice(tiny_graph())
    assert [node.op for node in open_model(data).outside] == ["MAXIMUM"]
    # Alone it is dearer than the built-in op.
    result = mend_model(data, naive_cost=lambda: inf)
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert ("maximum_as_pooling", True) in {(r.rewrite, r.exact) for r in result.records}


def test_the_larger_of_a_tensor_and_itself_reads_it_once(
    tiny_graph: Build, mend_with: Build
) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(f"net/{name}/op", SHAPE, "int8", 0.05, 3) for name in "xy")
    graph.op("MAXIMUM", [x, x], y, 2, schema.MaximumMinimumOptionsT())
    result = mend_with(graph.build([x], [y]), MaximumAsPooling(), accept)
    assert (result.ops, result.steps) == (POOLED[1:], 0)


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ({"op": "MINIMUM"}, "a pool takes the largest"),
        ({"other": (1, 1, 1, 4)}, "one is read again at every pixel"),
        ({"of_b": (0.04, 3)}, "the same integers stand for other numbers"),
        ({"dtype": "float32", "form": (None, 0)}, "XNNPACK has it in float"),
        ({"shape": (1, 1031, 1, 1)}, "a prime number of them: rows of one"),
    ],
)
def test_another_choice_stays(tiny_graph: Build, mend_with: Build, details: Any, why: str) -> None:
    op = details.get("op", "MAXIMUM")
    assert mend_with(_choice(tiny_graph(), **details), MaximumAsPooling()).ops == [op], why

"""Nearest resizes by no whole factor."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import assume, given
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.uneven_nearest import UnevenNearest
from portrait_tflite.runtime import open_model

from .drawing import many

Build = Callable[..., Any]
FORMS = {"int8": (0.05, 3), "float32": (None, 0)}
CORNERS = {"half": {"halfPixelCenters": True}, "plain": {}, "aligned": {"alignCorners": True}}
sizes = st.tuples(st.integers(2, 12), st.integers(2, 12))


def _resize(
    graph: Any, size: Any, wanted: Any, dtype: str = "int8", corners: str = "half"
) -> bytes:
    x = graph.tensor("x", (1, *size, 3), dtype, *FORMS[dtype])
    y = graph.tensor("net/up/resize", (1, *wanted, 3), dtype, *FORMS[dtype])
    numbers = graph.tensor("size", (2,), "int32", data=wanted)
    options = schema.ResizeNearestNeighborOptionsT(**CORNERS[corners])
    graph.op("RESIZE_NEAREST_NEIGHBOR", [x, numbers], y, 3, options)
    return bytes(graph.build([x], [y]))


@many
@given(
    size=sizes,
    less=st.tuples(st.integers(0, 1), st.integers(0, 1)).filter(any),
    factor=st.integers(2, 3),
    dtype=st.sampled_from(["int8", "float32"]),
    corners=st.sampled_from(sorted(CORNERS)),
)
def test_every_uneven_size_is_cut_from_copies(
    tiny_graph: Build, mend_with: Build, size: Any, less: Any, factor: int, dtype: str, corners: str
) -> None:
    wanted = tuple(factor * n - one for n, one in zip(size, less, strict=True))
    result = mend_with(_resize(tiny_graph(), size, wanted, dtype, corners), UnevenNearest(), accept)
    assume(not result.refusals)
    assert result.steps == 0
    assert set(result.ops) <= {"CONCATENATION", "RESHAPE", "SLICE"}


@pytest.mark.parametrize("corners", CORNERS)
@many
@given(size=sizes, wanted=sizes)
def test_none_of_any_sizes_is_another_picture(
    tiny_graph: Build, mend_with: Build, size: Any, wanted: Any, corners: str
) -> None:
    data = _resize(tiny_graph(), size, wanted, corners=corners)
    assert mend_with(data, UnevenNearest(), accept).steps == 0


@pytest.mark.parametrize("dtype", FORMS)
def test_an_odd_size_that_comes_back_joins_the_partition(tiny_graph: Build, dtype: str) -> None:
    data = _resize(tiny_graph(), (8, 6), (15, 11), dtype)
    assert [node.op for node in open_model(data).outside] == ["RESIZE_NEAREST_NEIGHBOR"]
    result = mend_model(data, naive_cost=lambda: inf)  # alone it is dearer, in float
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert ("uneven_nearest", "up", True) in {(r.rewrite, r.layer, r.exact) for r in result.records}


@pytest.mark.parametrize(
    ("size", "wanted", "reason"),
    [
        ((8, 8), (7, 8), "leaves pixels out"),
        ((20, 20), (31, 31), "unevenly at"),
        ((8, 8), (16, 16), ""),  # whole factors are NearestToCopies'
    ],
)
def test_others_stay(
    tiny_graph: Build, mend_with: Build, size: Any, wanted: Any, reason: str
) -> None:
    result = mend_with(_resize(tiny_graph(), size, wanted), UnevenNearest(), accept)
    assert result.ops == ["RESIZE_NEAREST_NEIGHBOR"]
    assert [reason in refusal for refusal in result.refusals] == [True] * bool(reason)


class _Uneven(UnevenNearest):
    """Cuts the last row, whichever is repeated less often."""

    def match(self, model: Any, node: Any) -> Any:
        found = super().match(model, node)
        rows = found.details[0]
        size = node.outputs[0].shape[1]
        object.__setattr__(rows, "kept", ((0, size),))
        return found


def test_a_fault_is_caught(tiny_graph: Build) -> None:
    data = _resize(tiny_graph(), (8, 8), (15, 16))
    result = mend_model(data, rewrites=(_Uneven(),))
    assert result.data is data
    assert "not byte-equal" in result.skipped[0].reason


def test_what_is_repeated_is_what_the_kernel_repeats(tiny_graph: Build) -> None:
    data = _resize(tiny_graph(), (8, 8), (15, 15))
    ramp = np.arange(64, dtype=np.int8).reshape(1, 8, 8, 1).repeat(3, axis=3)
    before, after = (
        open_model(one).run(ramp)[0]
        for one in (data, mend_model(data, naive_cost=lambda: inf).data)
    )
    assert before.tobytes() == after.tobytes()

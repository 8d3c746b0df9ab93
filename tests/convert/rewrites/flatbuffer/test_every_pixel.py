"""Slices that step over rows and columns, which XNNPACK refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import assume, given
from hypothesis import strategies as st

from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.every_pixel import EveryPixel
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

from .drawing import many

Build = Callable[..., Any]
FORMS = {"float32": (None, 0), "int8": (0.05, 3), "uint8": (0.05, 131)}


def _slice(
    one_op: Build, size: Any, slices: Any, dtype: str, *, masks: Any = (0, 0), form: Any = None,
    target: Any = None, version: int | None = None, **options: int,
) -> bytes:  # fmt: skip
    """Build `x[slices]` of `[n, h, w, c]`; masked ends are written as 0 and mean all."""
    form = form or FORMS[dtype]
    begin, end = ([getattr(s, side) for s in slices] for side in ("start", "stop"))
    lists = (begin, end, [s.step for s in slices])
    record = schema.StridedSliceOptionsT(beginMask=masks[0], endMask=masks[1], **options)
    shape = tuple(len(part) for part in _kept(size, slices, masks))
    return bytes(
        one_op(
            "STRIDED_SLICE", (size, dtype, *form), (shape, dtype, *(target or form)),
            *(((4,), "int32", None, 0, numbers) for numbers in lists), options=record,
            version=version or (2 if dtype == "int8" else 1),
        )
    )  # fmt: skip


def _kept(size: Any, slices: Any, masks: Any) -> list[range]:
    """List what is taken of each axis."""
    parts = []
    for axis, (length, one) in enumerate(zip(size, slices, strict=True)):
        first, last = (mask >> axis & 1 for mask in masks)
        cut = slice(None if first else one.start, None if last else one.stop, one.step)
        parts.append(range(length)[cut])
    return parts


def _of(rows: Any, columns: Any, size: Any) -> list[slice]:
    return [slice(0, 1, 1), slice(*rows), slice(*columns), slice(0, size[-1], 1)]


def _ends(most: int) -> Any:
    return st.tuples(st.integers(-most, most), st.integers(-most, most), st.integers(1, 4))


@many
@given(
    size=st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    rows=_ends(9),
    columns=_ends(9),
    dtype=st.sampled_from(sorted(FORMS)),
    scale=st.floats(1e-4, 5.0),
    zero_point=st.integers(0, 255),
    masks=st.tuples(st.integers(0, 15), st.integers(0, 15)),
)
def test_every_slice_with_steps_is_a_depthwise_convolution(
    one_op: Build, mend_with: Build, size: Any, rows: Any, columns: Any, dtype: str, scale: float,
    zero_point: int, masks: Any,
) -> None:  # fmt: skip
    form = (None, 0) if dtype == "float32" else (scale, zero_point - 128 * (dtype == "int8"))
    slices = _of(rows, columns, size)
    kept = _kept(size, slices, masks)
    assume(all(kept))
    assume((rows[2], columns[2]) != (1, 1))
    data = _slice(one_op, size, slices, dtype, masks=masks, form=form)
    result = mend_with(data, EveryPixel(), accept)
    whole = all(part == range(0, n, part.step) for n, part in zip(size, kept, strict=True))
    assert result.ops == [*([] if whole else ["SLICE"]), "DEPTHWISE_CONV_2D"]
    assert result.steps == 0


@pytest.mark.parametrize("dtype", sorted(FORMS))
@pytest.mark.parametrize("first", [0, 1])
def test_it_comes_inside_xnnpack(one_op: Build, dtype: str, first: int) -> None:
    size = (1, 16, 16, 4)
    data = _slice(one_op, size, _of((first, 16, 2), (0, 16, 2), size), dtype)
    assert [node.op for node in open_model(data).outside] == ["STRIDED_SLICE"]
    result = mend_model(data)
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert "every_pixel" in {record.rewrite for record in result.records}
    assert not mend_model(data, delegate=Delegate.GPU).records, "the GPU takes the slice"


PICTURE = (1, 8, 8, 6)


@pytest.mark.parametrize("dtype", sorted(FORMS))
def test_several_pictures_are_taken_at_once(one_op: Build, mend_with: Build, dtype: str) -> None:
    size = (3, 8, 8, 6)
    slices = [slice(0, 3, 1), *_of((0, 8, 2), (0, 8, 3), size)[1:]]
    result = mend_with(_slice(one_op, size, slices, dtype), EveryPixel())
    assert result.ops == ["DEPTHWISE_CONV_2D"]
    assert result.steps == 0


@pytest.mark.parametrize("named", [2, 3])
def test_axes_that_the_lists_do_not_name_are_kept(
    tiny_graph: Build, mend_with: Build, named: int
) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", PICTURE, "float32")
    y = graph.tensor("net/y/op", (1, 4, 8 if named == 2 else 4, 6), "float32")
    lists = ([0] * named, [*PICTURE[:named]], [1, 2, 2][:named])
    ends = [graph.tensor(f"c{n}", (named,), "int32", data=one) for n, one in enumerate(lists)]
    graph.op("STRIDED_SLICE", [x, *ends], y, 1, schema.StridedSliceOptionsT())
    result = mend_with(graph.build([x], [y]), EveryPixel())
    assert result.ops == ["DEPTHWISE_CONV_2D"]
    assert result.steps == 0


@pytest.mark.parametrize(
    ("slices", "details", "why"),
    [
        (_of((0, 8, 1), (2, 8, 1), PICTURE), {}, ""),
        (_of((7, 0, -1), (0, 8, 2), PICTURE), {}, "backwards"),
        ([*_of((0, 8, 2), (0, 8, 2), PICTURE)[:3], slice(0, 6, 2)], {}, "channels"),
        ([*_of((0, 8, 2), (0, 8, 2), PICTURE)[:3], slice(0, 3, 1)], {}, "leaves channels"),
        (_of((0, 8, 2), (0, 8, 2), PICTURE), {"target": (0.06, 3)}, "another scale"),
        (_of((0, 8, 2), (0, 8, 2), PICTURE), {"dtype": "int32", "form": (None, 0)}, "int32"),
    ],
)
def test_another_slice_stays(
    one_op: Build, mend_with: Build, slices: Any, details: Any, why: str
) -> None:
    data = _slice(one_op, PICTURE, slices, details.pop("dtype", "int8"), **details)
    result = mend_with(data, EveryPixel(), accept)
    assert result.ops == ["STRIDED_SLICE"]
    assert [why in refusal for refusal in result.refusals] == ([True] if why else [])


class _Shifted(EveryPixel):
    """Begins one row too early."""

    def change(self, model: Any, node: Any, match: Any) -> None:
        steps = match.details
        batch, rows, *others = steps.kept
        early = range(rows.start - 1, rows.stop - 1, rows.step)
        moved = type(steps)((batch, early, *others), steps.sizes)
        super().change(model, node, type(match)(match.reason, moved, sources=match.sources))


def test_other_rows_are_caught(one_op: Build) -> None:
    data = _slice(one_op, PICTURE, _of((1, 8, 2), (0, 8, 2), PICTURE), "int8")
    assert mend_model(data, rewrites=(EveryPixel(),)).records
    result = mend_model(data, rewrites=(_Shifted(),))
    assert result.data is data
    assert result.skipped[0].reason.startswith("undone")

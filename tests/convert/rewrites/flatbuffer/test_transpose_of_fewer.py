"""Transposes of five and six dimensions, which the GPU delegate refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.delegates.gpu import predict_gpu
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.convert.rewrites.flatbuffer.transpose_of_fewer import (
    TransposeOfFewer,
    transposes,
)

from .drawing import many

Build = Callable[..., Any]
PICTURE = (1, 8, 8, 16)
SPREAD = (1, 8, 8, 4, 2, 2)
SHUFFLED = (1, 16, 16, 4)
PYTORCH = (0, 1, 4, 2, 5, 3)  # of channels c, rows, columns; TensorFlow's are rows, columns, c


def _moved(
    graph: Any, source: Sequence[int], spread: Sequence[int], order: Sequence[int],
    target: Sequence[int], dtype: str = "float32", *, computed: bool = False, read: bool = False,
) -> bytes:  # fmt: skip
    form = (0.05, 3) if dtype == "int8" else (None, 0)
    version = 2 if dtype == "int8" else 1
    x, y = (graph.tensor(f"net/{n}/op", s, dtype, *form) for n, s in (("x", source), ("y", target)))
    between = (spread, [spread[axis] for axis in order])
    wide, moved = (graph.tensor(f"net/{n}/op", s, dtype, *form) for n, s in enumerate(between))
    axes = graph.tensor("axes", (len(order),), "int32", data=order)
    if computed:
        constant, axes = axes, graph.tensor("net/axes/op", (len(order),), "int32")
        _reshape(graph, constant, axes, (len(order),))
    for inputs, output, shape in (([x], wide, spread), ([wide, axes], moved, None)):
        if shape is None:
            graph.op("TRANSPOSE", inputs, output, version, schema.TransposeOptionsT())
        else:
            _reshape(graph, inputs[0], output, shape)
    _reshape(graph, moved, y, target)
    ends = [y, wide] if read else [y]
    return bytes(graph.build([x], ends))


def _reshape(graph: Any, source: int, target: int, shape: Sequence[int]) -> None:
    numbers = graph.tensor("shape", (len(shape),), "int32", data=shape)
    options = schema.ReshapeOptionsT(newShape=np.int32(shape))
    graph.op("RESHAPE", [source, numbers], target, 1, options)


@st.composite
def _chains(draw: Any) -> tuple[Any, ...]:
    spread = (1, *draw(st.lists(st.integers(1, 4), min_size=4, max_size=5)))
    order = (0, *draw(st.permutations(range(1, len(spread)))))
    source = (1, prod(spread[1:3]), prod(spread[3:]))
    moved = [spread[axis] for axis in order]
    return source, spread, order, (1, prod(moved[1:2]), prod(moved[2:4]), prod(moved[4:]))


@many
@given(chain=_chains(), dtype=st.sampled_from(["float32", "int8"]))
def test_every_transpose_is_some_of_four_dimensions(
    tiny_graph: Build, mend_with: Build, chain: Any, dtype: str
) -> None:
    result = mend_with(_moved(tiny_graph(), *chain, dtype), TransposeOfFewer(), accept)
    assert max(len(t.shape) for t in read_model(result.data).subgraphs[0].tensors) <= 4
    assert result.steps == 0


@given(shape=st.lists(st.integers(2, 4), min_size=1, max_size=6), data=st.data())
def test_the_steps_move_what_the_transpose_does(shape: list[int], data: Any) -> None:
    order = data.draw(st.permutations(range(len(shape))))
    numbers = np.arange(prod(shape))
    moved = numbers
    for sizes, axes in transposes(shape, order):
        assert len(sizes) == len(axes) == 4
        moved = moved.reshape(sizes).transpose(axes)
    assert moved.ravel().tolist() == numbers.reshape(shape).transpose(order).ravel().tolist()


@pytest.mark.parametrize(
    ("spread", "order", "target", "count"),
    [
        ((1, 8, 8, 2, 8), (0, 1, 2, 4, 3), PICTURE, 1),  # channel shuffle
        ((1, 8, 8, 2, 2, 4), (0, 1, 3, 2, 4, 5), SHUFFLED, 1),  # pixel shuffle
        (SPREAD, PYTORCH, SHUFFLED, 2),
        ((1, 2, 4, 2, 4, 16), (0, 1, 3, 2, 4, 5), (4, 16, 16), 1),  # windows of attention
    ],
)
def test_the_gpu_takes_it(
    tiny_graph: Build, spread: Any, order: Any, target: Any, count: int
) -> None:
    data = _moved(tiny_graph(), PICTURE, spread, order, target)
    assert len(predict_gpu(read_model(data))) == 3
    result = mend_model(data)
    assert "transpose_of_fewer" in {record.rewrite for record in result.records}
    mended = read_model(result.data)
    assert not predict_gpu(mended)
    transposed = [op for op in mended.subgraphs[0].operators if len(op.inputs) == 2]
    assert len(transposed) == 2 * count + 1  # a reshape before each, and one behind


def test_dimensions_may_be_counted_from_the_end(tiny_graph: Build, mend_with: Build) -> None:
    order = [axis - len(SPREAD) * (axis > 3) for axis in PYTORCH]
    moved = [SPREAD[axis] for axis in order]
    target = (1, moved[1], prod(moved[2:4]), prod(moved[4:]))
    result = mend_with(_moved(tiny_graph(), PICTURE, SPREAD, order, target), TransposeOfFewer())
    assert result.done
    assert result.steps == 0


@pytest.mark.parametrize(
    ("details", "why"),
    [
        ({"spread": (1, 8, 8, 16), "order": (0, 2, 1, 3)}, "four dimensions are few enough"),
        ({"target": (1, 8, 2, 8, 2, 4)}, "what is behind it has six dimensions, too"),
        ({"computed": True}, "nobody knows what it moves"),
        ({"read": True}, "another output has six dimensions, too"),
    ],
)
def test_another_transpose_stays(
    tiny_graph: Build, mend_with: Build, details: Any, why: str
) -> None:
    form = {"spread": SPREAD, "order": PYTORCH, "target": SHUFFLED, **details}
    data = _moved(tiny_graph(), PICTURE, **form)
    ops = ["RESHAPE", "TRANSPOSE", "RESHAPE"]
    assert mend_with(data, TransposeOfFewer(), accept).ops[-3:] == ops, why

"""Places that look like a rewrite's own and are not: they stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.rewrites.flatbuffer.as_reshape import SliceThenReshape
from portrait_tflite.convert.rewrites.flatbuffer.borders import ConstantBorder
from portrait_tflite.convert.rewrites.flatbuffer.cancel import Cancel, MergePair
from portrait_tflite.convert.rewrites.flatbuffer.fold_constants import ShareConstants
from portrait_tflite.convert.rewrites.flatbuffer.nearest_chain import NearestChain

Build = Callable[..., Any]
SHAPE = (1, 4, 4, 4)
INT8 = ("int8", 0.05, 3)


def _tiled_picture(graph: Any) -> bytes:
    """The whole picture four times, where nearest upsampling has every pixel four times."""
    x, tiled, y = (
        graph.tensor(f"net/{name}/op", shape, *INT8)
        for name, shape in (("x", SHAPE), ("tiled", (1, 8, 8, 4)), ("y", (1, 8, 8, 4)))
    )
    multiples = graph.tensor("m", (4,), "int32", data=[1, 2, 2, 1])
    sizes = graph.tensor("s", (4,), "int32", data=[1, 8, 8, 4])
    graph.op("TILE", [x, multiples], tiled, 2)
    options = schema.ReshapeOptionsT(newShape=np.int32([1, 8, 8, 4]))
    graph.op("RESHAPE", [tiled, sizes], y, 1, options)
    return bytes(graph.build([x], [y]))


def _slice_of_all_dimensions(graph: Any) -> bytes:
    x, y = graph.tensor("x", SHAPE, *INT8), graph.tensor("y", (1, 2, 4, 4), *INT8)
    lists = ([0, 0, 0, 0], [1, 2, 4, 4], [1, 1, 1, 1])
    numbers = [graph.tensor(f"l{n}", (4,), "int32", data=one) for n, one in enumerate(lists)]
    graph.op("STRIDED_SLICE", [x, *numbers], y, 2, schema.StridedSliceOptionsT())
    return bytes(graph.build([x], [y]))


def _through_float(graph: Any, target: tuple[str, float, int]) -> bytes:
    x, y = graph.tensor("x", SHAPE, *INT8), graph.tensor("y", SHAPE, *target)
    end = graph.tensor("end", SHAPE, target[0], 1 / 128, 0 if target[0] == "int8" else 128)
    middle = graph.tensor("middle", SHAPE, "float32")
    graph.op("DEQUANTIZE", [x], middle, 2)
    graph.op("QUANTIZE", [middle], y, 2)
    graph.op("TANH", [y], end, 2)
    return bytes(graph.build([x], [end]))


def _border_of_a_computed_number(graph: Any) -> bytes:
    x, y = graph.tensor("x", SHAPE, *INT8), graph.tensor("y", (1, 6, 6, 4), *INT8)
    rows = graph.tensor("p", (4, 2), "int32", data=[[0, 0], [1, 1], [1, 1], [0, 0]])
    number = graph.tensor("c", (1,), *INT8)
    graph.op("PADV2", [x, rows, number], y, 2, schema.PadV2OptionsT())
    return bytes(graph.build([x, number], [y]))


def _two_constants(graph: Any) -> bytes:
    x, y, z = (graph.tensor(name, (4,), "float32") for name in "xyz")
    one, other = (graph.tensor(f"c{n}", (4,), "float32", data=[n] * 4) for n in (1, 2))
    graph.op("ADD", [x, one], y, 1, schema.AddOptionsT())
    graph.op("ADD", [y, other], z, 1, schema.AddOptionsT())
    return bytes(graph.build([x], [z]))


@pytest.mark.parametrize(
    ("rewrite", "build", "reason"),
    [
        (NearestChain(), _tiled_picture, "not byte-equal"),
        (SliceThenReshape(), _slice_of_all_dimensions, ""),
        (Cancel(), lambda graph: _through_float(graph, ("int8", 0.07, 3)), ""),
        (MergePair(), lambda graph: _through_float(graph, ("uint8", 0.05, 131)), ""),
        (ConstantBorder(), _border_of_a_computed_number, "only at run time"),
        (ShareConstants(), _two_constants, ""),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_what_is_not_its_own_stays(
    tiny_graph: Build, mend_with: Build, rewrite: Any, build: Build, reason: str
) -> None:
    result = mend_with(build(tiny_graph()), rewrite)
    assert not result.done
    assert bool(result.refusals) is bool(reason)
    assert all(reason in refusal for refusal in result.refusals)

"""Float ops between DEQUANTIZE and QUANTIZE go back to int8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import assume, given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer_nodes import Node, read_node
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.float_islands import (
    ClampBeforeQuantize,
    MoveStoredNumbers,
)
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Match, RefusedOp, accept
from portrait_tflite.runtime import open_model

from .drawing import many

Build = Callable[..., Any]
MOVE, CLAMP = MoveStoredNumbers(), ClampBeforeQuantize()
scales = st.floats(0.001, 0.2)
points = st.integers(-128, 127)
sizes = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))


def _depth_to_space(graph: Any, x: int, size: Any) -> int:
    y = graph.tensor("net/up/d2s", (1, size[0] * 2, size[1] * 2, size[2]), "float32")
    graph.op("DEPTH_TO_SPACE", [x], y, 1, schema.DepthToSpaceOptionsT(blockSize=2))
    return int(y)


def _pad(graph: Any, x: int, size: Any) -> int:
    y = graph.tensor("net/pad/pad", (1, size[0] + 1, size[1] + 2, size[2] * 4), "float32")
    rows = [[0, 0], [1, 0], [0, 2], [0, 0]]
    paddings = graph.tensor("paddings", (4, 2), "int32", data=rows)
    graph.op("PAD", [x, paddings], y, 1)
    return int(y)


def _transpose(graph: Any, x: int, size: Any) -> int:
    y = graph.tensor("net/turn/transpose", (1, size[1], size[0], size[2] * 4), "float32")
    order = graph.tensor("order", (4,), "int32", data=[0, 2, 1, 3])
    graph.op("TRANSPOSE", [x, order], y, 1)
    return int(y)


def _pool(graph: Any, x: int, size: Any) -> int:
    y = graph.tensor("net/pool/pool", (1, *size[:2], size[2] * 4), "float32")
    options = schema.Pool2DOptionsT(filterHeight=2, filterWidth=2, strideH=1, strideW=1)
    graph.op("MAX_POOL_2D", [x], y, 1, options)
    return int(y)


def _island(
    graph: Any, size: Any, move: Any, scale: float, point: int, *, end: Any = None
) -> bytes:
    """`int8 → DEQUANTIZE → move → QUANTIZE`, by default to the scale that it came with."""
    x = graph.tensor("x", (1, *size[:2], size[2] * 4), "int8", scale, point)
    real = graph.tensor("net/x/dequantized", (1, *size[:2], size[2] * 4), "float32")
    graph.op("DEQUANTIZE", [x], real, 2)
    moved = move(graph, real, size)
    y = graph.tensor(
        "net/y/quantized", tuple(graph.graph.tensors[moved].shape), "int8", *(end or (scale, point))
    )
    graph.op("QUANTIZE", [moved], y, 1)
    return bytes(graph.build([x], [y]))


@many
@given(
    size=sizes,
    move=st.sampled_from([_depth_to_space, _pad, _transpose, _pool]),
    scale=scales,
    point=points,
)
def test_moves_are_the_same_numbers(
    tiny_graph: Build, mend_with: Build, size: Any, move: Any, scale: float, point: int
) -> None:
    result = mend_with(_island(tiny_graph(), size, move, scale, point), MOVE, accept)
    assert (result.done, result.steps) == (True, 0)
    assert len(result.ops) == 1


@many
@given(size=sizes, scale=scales, point=points, other=scales, other_point=points)
def test_another_scale_is_one_requantization(
    tiny_graph: Build,
    mend_with: Build,
    size: Any,
    scale: float,
    point: int,
    other: float,
    other_point: int,
) -> None:
    ends = (other, other_point)
    assume(ends != (scale, point))
    data = _island(tiny_graph(), size, _depth_to_space, scale, point, end=ends)
    result = mend_with(data, MOVE, accept)
    assert result.ops == ["DEPTH_TO_SPACE", "QUANTIZE"]
    assert result.steps <= 1


@pytest.mark.parametrize("move", [_depth_to_space, _pad, _transpose, _pool])
def test_an_island_ends_in_one_partition(tiny_graph: Build, move: Any) -> None:
    data = _island(tiny_graph(), (4, 4, 2), move, 0.05, 3, end=(0.04, -5))
    result = mend_model(data)
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert [r.rewrite for r in result.records] == ["move_stored_numbers"]


def test_others_need_the_real_numbers(tiny_graph: Build, mend_with: Build) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 4, 4, 8), "int8", 0.05, 3)
    real = graph.tensor("real", (1, 4, 4, 8), "float32")
    graph.op("DEQUANTIZE", [x], real, 2)
    moved = _depth_to_space(graph, real, (4, 4, 2))
    y = graph.tensor("y", (1, 8, 8, 2), "int8", 0.05, 3)
    graph.op("QUANTIZE", [moved], y, 1)
    result = mend_with(graph.build([x], [y, moved]), MOVE, accept)
    assert result.refusals == ["another op reads the moved tensor too"]


@pytest.mark.parametrize("end", [None, (0.04, 2)])
def test_several_moves_move_together(tiny_graph: Build, mend_with: Build, end: Any) -> None:
    def both(graph: Any, x: int, size: Any) -> int:
        return _transpose(graph, _pad(graph, x, size), (size[0] + 1, size[1] + 2, size[2]))

    result = mend_with(_island(tiny_graph(), (4, 4, 2), both, 0.05, 3, end=end), MOVE, accept)
    assert result.ops == ["PAD", "TRANSPOSE", *(["QUANTIZE"] if end else [])]
    assert result.steps <= (1 if end else 0)


def test_a_pooling_that_clamps_stays(tiny_graph: Build, mend_with: Build) -> None:
    def clamping(graph: Any, x: int, size: Any) -> int:
        y = _pool(graph, x, size)
        graph.graph.operators[-1].builtinOptions.fusedActivationFunction = 1
        return y

    result = mend_with(_island(tiny_graph(), (4, 4, 2), clamping, 0.05, 3), MOVE, accept)
    assert result.refusals == ["MAX_POOL_2D clamps, too"]


class _WrongOptions(MoveStoredNumbers):
    """Pads on the other side."""

    def change(self, model: Any, node: Node, match: Match) -> None:
        super().change(model, node, match)
        pad = model.subgraphs[0].operators[node.index]
        swapped = np.array([[0, 0], [0, 1], [2, 0], [0, 0]], np.int32)
        model.buffers.append(schema.BufferT(data=swapped.view(np.uint8).ravel()))
        model.subgraphs[0].tensors[pad.inputs[1]].buffer = len(model.buffers) - 1


class _LostZeroPoint(MoveStoredNumbers):
    """Says another zero point of the moved numbers."""

    def change(self, model: Any, node: Node, match: Match) -> None:
        super().change(model, node, match)
        quantization = model.subgraphs[0].tensors[-1].quantization
        quantization.zeroPoint = quantization.zeroPoint + 2


@pytest.mark.parametrize("broken", [_WrongOptions(), _LostZeroPoint()])
def test_a_broken_move_is_caught(tiny_graph: Build, broken: Any) -> None:
    data = _island(tiny_graph(), (4, 4, 2), _pad, 0.05, 3, end=(0.04, 5))
    result = mend_model(data, rewrites=[broken])
    assert (result.data, result.records) == (data, ())
    assert result.skipped


def _clamped(graph: Any, op: str, scale: float, point: int) -> bytes:
    x = graph.tensor("x", (1, 8, 8, 4), "int8", 0.1, 0)
    real, clamped = (graph.tensor(f"net/{n}/x", (1, 8, 8, 4), "float32") for n in ("a", "b"))
    y = graph.tensor("net/y/quantized", (1, 8, 8, 4), "int8", scale, point)
    graph.op("DEQUANTIZE", [x], real, 2)
    graph.op(op, [real], clamped, 1)
    graph.op("QUANTIZE", [clamped], y, 1)
    return bytes(graph.build([x], [y]))


@many
@given(op=st.sampled_from(["RELU", "RELU6", "RELU_N1_TO_1"]), share=st.floats(0.3, 1.3))
def test_a_clamp_goes_where_saturation_does_it(
    tiny_graph: Build, mend_with: Build, op: str, share: float
) -> None:
    low, high = {"RELU": (0, 9), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}[op]
    scale = share * (high - low) / 255
    point = -128 if low == 0 else -1
    result = mend_with(_clamped(tiny_graph(), op, scale, point), CLAMP, accept)
    assert result.steps == 0
    if op == "RELU" or share < 0.98:
        assert result.done
    elif share > 1.02:
        assert result.refusals == [f"its numbers reach further than {op}"]


def test_a_clamp_of_numbers_that_reach_further_stays(tiny_graph: Build, mend_with: Build) -> None:
    result = mend_with(_clamped(tiny_graph(), "RELU6", 8 / 255, -128), CLAMP, accept)
    assert result.refusals == ["its numbers reach further than RELU6"]


def test_a_careless_drop_is_caught(tiny_graph: Build) -> None:
    data = _clamped(tiny_graph(), "RELU6", 8 / 255, -128)
    result = mend_model(data, rewrites=[_Careless()])
    assert (result.data, result.records) == (data, ())
    assert result.skipped


class _Careless(ClampBeforeQuantize):
    """Does not look how far the numbers reach."""

    def match(self, model: Any, node: Node) -> Any:
        found = super().match(model, node)
        if not isinstance(found, RefusedOp):
            return found
        source = read_node(model, node.index - 1).given()[0]
        return Match("careless", source, sources=(source.index,))

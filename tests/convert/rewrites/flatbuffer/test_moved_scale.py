"""Moves that change the scale: the built-in kernels run them, XNNPACK gives up on the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.moved_scale import ReadAnew, ScaleIntoWeights
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model

from .drawing import many

Build = Callable[..., Any]
SIZE = (1, 4, 4, 4)
POOL = schema.Pool2DOptionsT(padding=1, strideW=2, strideH=2, filterWidth=2, filterHeight=2)
# What each move makes of SIZE, its lists and its options.
MOVES: dict[str, tuple[tuple[int, ...], list[Any], Any]] = {
    "RESIZE_BILINEAR": ((1, 8, 8, 4), [[8, 8]], schema.ResizeBilinearOptionsT()),
    "DEPTH_TO_SPACE": ((1, 8, 8, 1), [], schema.DepthToSpaceOptionsT(2)),
    "SPACE_TO_DEPTH": ((1, 2, 2, 16), [], schema.SpaceToDepthOptionsT(2)),
    "MAX_POOL_2D": ((1, 2, 2, 4), [], POOL),
    "PAD": ((1, 5, 6, 4), [[[0, 0], [1, 0], [0, 2], [0, 0]]], schema.PadOptionsT()),
    "SLICE": ((1, 3, 2, 4), [[0, 1, 1, 0], [1, 3, 2, 4]], schema.SliceOptionsT()),
    "STRIDED_SLICE": (
        (1, 3, 2, 4),
        [[0, 1, 1, 0], [1, 4, 3, 4], [1, 1, 1, 1]],
        schema.StridedSliceOptionsT(),
    ),
    "TRANSPOSE": ((1, 4, 4, 4), [[0, 2, 3, 1]], schema.TransposeOptionsT()),
}


def _weighted(
    graph: Any, op: str, dtype: str, activation: int, form: Any, *, bias: bool = True
) -> tuple[int, int]:
    """Add an input and a convolution of it; return both."""
    x = graph.tensor("x", SIZE, dtype, 0.05, 3)
    rng = np.random.default_rng(5)
    shape = (4, 3, 3, 4) if op == "CONV_2D" else (1, 3, 3, 4)
    axis = 0 if op == "CONV_2D" else 3
    unsigned = dtype == "uint8"
    scales = np.full(1, 0.007) if unsigned else rng.uniform(0.004, 0.01, 4)
    low, high, point = (0, 256, 120) if unsigned else (-127, 128, 0)
    weights = graph.tensor(
        "w", shape, dtype, scales, point, rng.integers(low, high, shape), 0 if unsigned else axis
    )
    inputs = [x, weights]
    if bias:
        data = rng.integers(-3000, 3000, 4)
        inputs.append(graph.tensor("b", (4,), "int32", scales * 0.05, data=data))
    y = graph.tensor("net/conv/op", SIZE, dtype, *form)
    kind = schema.Conv2DOptionsT if op == "CONV_2D" else schema.DepthwiseConv2DOptionsT
    options = kind(
        strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1,
        fusedActivationFunction=activation,
    )  # fmt: skip
    if op != "CONV_2D":
        options.depthMultiplier = 1
    graph.op(op, inputs, y, 3, options)
    return x, y


def _moved(graph: Any, move: str, source: int, dtype: str, form: Any) -> int:
    shape, lists, options = MOVES[move]
    constants = [
        graph.tensor(f"l{n}", np.shape(numbers), "int32", data=numbers)
        for n, numbers in enumerate(lists)
    ]
    y = int(graph.tensor("net/move/op", shape, dtype, *form))
    graph.op(move, [source, *constants], y, 2, options)
    return y


def _behind_a_convolution(
    graph: Any, move: str = "RESIZE_BILINEAR", op: str = "CONV_2D", dtype: str = "int8",
    activation: int = 0, forms: Any = ((0.08, 3), (0.2, 3)), bias: bool = True,
    keep: bool = False,
) -> bytes:  # fmt: skip
    x, y = _weighted(graph, op, dtype, activation, forms[0], bias=bias)
    z = _moved(graph, move, y, dtype, forms[1])
    return bytes(graph.build([x], [z, y] if keep else [z]))


def _alone(graph: Any, move: str, dtype: str, forms: Any, act: int = 0) -> bytes:
    x = graph.tensor("x", SIZE, dtype, *forms[0])
    y = _moved(graph, move, x, dtype, forms[1])
    if act:
        pool = schema.Pool2DOptionsT(**{**vars(POOL), "fusedActivationFunction": act})
        graph.graph.operators[-1].builtinOptions = pool
    return bytes(graph.build([x], [y]))


def test_the_runtime_gives_up_and_the_audit_says_why(tiny_graph: Build) -> None:
    data = _behind_a_convolution(tiny_graph())
    with pytest.raises(UsageError, match="failed to delegate RESIZE_BILINEAR"):
        open_model(data)
    (found,) = audit_model(data).xnnpack.outside
    assert "another scale or zero point than the input" in found.reason


def test_mended_it_is_one_partition_of_the_same_bytes(
    tiny_graph: Build, run_once: Callable[[bytes], list[bytes]]
) -> None:
    data = _behind_a_convolution(tiny_graph(), dtype="uint8", activation=1)
    result = mend_model(data)
    assert [record.rewrite for record in result.records] == ["scale_into_weights"]
    assert result.records[0].max_abs_error == 0
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert run_once(result.data) == run_once(data)


@pytest.mark.parametrize(
    "change",
    [
        {"activation": 3},  # RELU6 cuts at other integers
        {"forms": ((0.08, 3), (0.2, 4))},
        {"keep": True},  # another one reads the convolution's output
    ],
)
def test_what_has_no_weights_for_it_is_read_anew(
    tiny_graph: Build, change: dict[str, Any], run_once: Callable[[bytes], list[bytes]]
) -> None:
    data = _behind_a_convolution(tiny_graph(), **change)
    result = mend_model(data)
    assert [record.rewrite for record in result.records] == ["read_anew"]
    assert [node.op for node in open_model(result.data).outside] == ["RESHAPE"]
    assert run_once(result.data) == run_once(data)


@pytest.mark.parametrize("rewrite", [ScaleIntoWeights(), ReadAnew()], ids=lambda one: one.name)
def test_a_move_of_one_scale_stays(tiny_graph: Build, mend_with: Build, rewrite: Any) -> None:
    data = _behind_a_convolution(tiny_graph(), forms=((0.08, 3), (0.08, 3)))
    result = mend_with(data, rewrite, accept)
    assert (result.done, result.refusals) == (False, [])


@pytest.mark.parametrize(
    ("move", "forms", "act", "reason"),
    [
        ("PAD", ((0.08, 3), (0.08, 4)), 0, "another zero than its input's"),
        ("MAX_POOL_2D", ((0.08, 3), (0.2, 3)), 3, "in the output's scale"),
    ],
)
def test_what_looks_at_the_scale_stays(
    tiny_graph: Build, mend_with: Build, move: str, forms: Any, act: int, reason: str
) -> None:
    result = mend_with(_alone(tiny_graph(), move, "int8", forms, act), ReadAnew())
    assert not result.done
    assert reason in result.refusals[0]


@many
@given(
    move=st.sampled_from(sorted(MOVES)),
    op=st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D"]),
    dtype=st.sampled_from(["int8", "uint8"]),
    activation=st.integers(0, 1),
    scales=st.tuples(st.floats(0.01, 0.5), st.floats(0.01, 0.5)),
    point=st.integers(0, 127),
)
def test_every_convolution_takes_the_scale_along(
    tiny_graph: Build, mend_with: Build, move: str, op: str, dtype: str, activation: int,
    scales: Any, point: int,
) -> None:  # fmt: skip
    forms = [(scale, point) for scale in scales]
    data = _behind_a_convolution(tiny_graph(), move, op, dtype, activation, forms)
    result = mend_with(data, ScaleIntoWeights(), accept)
    assert result.done is bool(np.float32(scales[0]) != np.float32(scales[1]))
    assert result.steps <= 1
    assert open_model(result.data).partitions == 1


@many
@given(
    move=st.sampled_from(sorted(MOVES)),
    dtype=st.sampled_from(["int8", "uint8"]),
    scales=st.tuples(st.floats(0.01, 0.5), st.floats(0.01, 0.5)),
    points=st.tuples(st.integers(0, 127), st.integers(0, 127)),
)
def test_every_move_may_be_read_anew(
    tiny_graph: Build, mend_with: Build, move: str, dtype: str, scales: Any, points: Any
) -> None:
    forms = tuple(zip(scales, points, strict=True))
    result = mend_with(_alone(tiny_graph(), move, dtype, forms), ReadAnew(), accept)
    assert result.steps == 0
    if result.done:
        assert [node.op for node in open_model(result.data).outside] == ["RESHAPE"]


class _Forgotten(ScaleIntoWeights):
    """Leaves the bias at its old scale, and doubles its numbers."""

    def change(self, model: Any, node: Any, match: Any) -> None:
        super().change(model, node, match)
        convolution = model.subgraphs[0].operators[node.index]
        bias = model.subgraphs[0].tensors[convolution.inputs[2]]
        old = np.asarray(model.buffers[bias.buffer].data, np.uint8).view(np.int32)
        model.buffers.append(schema.BufferT(data=(2 * old).view(np.uint8)))
        bias.buffer = len(model.buffers) - 1


class _Elsewhere(ReadAnew):
    """Moves in another order."""

    def change(self, model: Any, node: Any, match: Any) -> None:
        super().change(model, node, match)
        move = model.subgraphs[0].operators[node.index]
        order = np.array([0, 1, 3, 2], np.int32)
        model.buffers.append(schema.BufferT(data=order.view(np.uint8)))
        model.subgraphs[0].tensors[move.inputs[1]].buffer = len(model.buffers) - 1


@pytest.mark.parametrize("rewrite", [_Forgotten(), _Elsewhere()], ids=lambda one: one.name)
def test_a_fault_is_caught(tiny_graph: Build, rewrite: Any) -> None:
    data = _behind_a_convolution(tiny_graph(), "TRANSPOSE")
    result = mend_model(data, rewrites=(rewrite,))
    assert (result.data is data, result.records) == (True, ())
    assert result.skipped[0].reason.startswith("undone:")

"""Requantizations that the producer or the readers take over."""

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
from portrait_tflite.convert.rewrites.flatbuffer.concatenation import ConcatenateOneScale
from portrait_tflite.convert.rewrites.flatbuffer.moves import chain_before
from portrait_tflite.convert.rewrites.flatbuffer.requantization import (
    DropRequantize,
    FuseRequantize,
)
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Match, accept
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

from .drawing import many
from .producers import RESCALING, SHAPE, produce

Build = Callable[..., Any]
points = st.integers(-128, 127)
MOVES = ["", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "MAX_POOL_2D", "PAD", "RESHAPE"]


def _moved(graph: Any, move: str, source: int, form: Any) -> tuple[int, tuple[int, ...]]:
    """Add an op that moves numbers of [1, 4, 4, 4]; its output and that one's shape."""
    shapes = {
        "": (1, 4, 4, 4),
        "DEPTH_TO_SPACE": (1, 8, 8, 1),
        "SPACE_TO_DEPTH": (1, 2, 2, 16),
        "MAX_POOL_2D": (1, 2, 2, 4),
        "PAD": (1, 5, 6, 4),
        "RESHAPE": (1, 16, 4),
    }
    if not move:
        return source, shapes[move]
    options: dict[str, Any] = {
        "DEPTH_TO_SPACE": schema.DepthToSpaceOptionsT(blockSize=2),
        "SPACE_TO_DEPTH": schema.SpaceToDepthOptionsT(blockSize=2),
        "MAX_POOL_2D": schema.Pool2DOptionsT(
            padding=1, strideW=2, strideH=2, filterWidth=2, filterHeight=2
        ),
        "PAD": schema.PadOptionsT(),
        "RESHAPE": schema.ReshapeOptionsT(newShape=np.array(shapes["RESHAPE"], np.int32)),
    }
    extra = {
        "PAD": [graph.tensor("p", (4, 2), "int32", data=[(0, 0), (1, 0), (0, 2), (0, 0)])],
        "RESHAPE": [graph.tensor("s", (3,), "int32", data=shapes["RESHAPE"])],
    }
    target = graph.tensor("net/move/op", shapes[move], "int8", *form)
    version = 1 if move == "RESHAPE" else 2
    graph.op(move, [source, *extra.get(move, [])], target, version, options[move])
    return int(target), shapes[move]


def _requantized(
    graph: Any, op: str, forms: Any, move: str = "", dtype: str = "int8", keep: bool = False
) -> bytes:
    """Build op → move → QUANTIZE; forms are (scale, zero point) of x, of the op and of y."""
    x = graph.tensor("x", SHAPE, dtype, *forms[0])
    middle = graph.tensor("net/first/op", SHAPE, dtype, *forms[1])
    produce(graph, op, x, middle, dtype, forms[0])
    last, size = _moved(graph, move, middle, forms[1])
    y = graph.tensor("net/act/op", size, dtype, *forms[2])
    graph.op("QUANTIZE", [last], y, 2)
    return bytes(graph.build([x], [y, middle] if keep else [y]))


@many
@given(
    op=st.sampled_from(RESCALING),
    move=st.sampled_from(MOVES),
    ratio=st.floats(0.2, 2),
    clamped=st.booleans(),
    zero_point=st.integers(-60, 60),
)
def test_every_producer_writes_the_scale_that_is_read(
    tiny_graph: Build, mend_with: Build, op: str, move: str, ratio: float, clamped: bool,
    zero_point: int,
) -> None:  # fmt: skip
    scale = 0.04 / ratio
    # all of y within what the producer's tensor holds, so that it alone cuts nothing off
    low = -128 if clamped else max(-128, round(zero_point * ratio))
    forms = ((0.02, 3), (0.04, zero_point), (scale, low))
    result = mend_with(_requantized(tiny_graph(), op, forms, move), FuseRequantize(), accept)
    inside = (127 - low) * scale <= (127 - zero_point) * 0.04 + scale
    inside &= (-128 - low) * scale >= (-128 - zero_point) * 0.04 - scale
    assert result.done is inside, result.refusals
    assert result.steps <= 1
    if inside:
        assert result.ops == [name for name in (op, move) if name]


def test_a_relu_behind_a_convolution_costs_nothing(tiny_graph: Build, run_once: Build) -> None:
    # half the range, so twice the steps: what calibration gives for a stand-alone RELU
    data = _requantized(tiny_graph(), "CONV_2D", ((0.02, 3), (0.04, 0), (0.02, -128)))
    result = mend_model(data)
    (record,) = result.records
    assert (record.rewrite, record.layer) == ("fuse_requantize", "act")
    assert record.max_abs_error <= 0.02 * (1 + 1e-6)
    before, after = (
        np.frombuffer(run_once(d)[0], np.int8).astype(int) for d in (data, result.data)
    )
    assert np.abs(before - after).max() <= 1
    assert after.min() == -128


def test_a_clamp_of_the_first_op_stays(tiny_graph: Build, mend_with: Build) -> None:
    data = _requantized(tiny_graph(), "CONV_2D", ((0.02, 3), (0.04, -128), (0.04, 0)))
    assert mend_with(data, FuseRequantize(), accept).refusals == [
        "its input cuts off what its output could hold"
    ]


def test_a_coarse_producer_stays(tiny_graph: Build, mend_with: Build) -> None:
    data = _requantized(tiny_graph(), "CONV_2D", ((0.02, 3), (0.04, 0), (0.01, -128)))
    assert "more than two" in mend_with(data, FuseRequantize(), accept).refusals[0]


def test_a_tensor_that_another_reads_is_written_as_it_was(
    tiny_graph: Build, mend_with: Build
) -> None:
    data = _requantized(tiny_graph(), "ADD", ((0.02, 3), (0.04, 0), (0.02, -128)), keep=True)
    assert not mend_with(data, FuseRequantize(), accept).done


def test_uint8_is_fused_too(tiny_graph: Build, mend_with: Build) -> None:
    forms = ((0.02, 131), (0.04, 128), (0.02, 0))
    result = mend_with(_requantized(tiny_graph(), "ADD", forms, dtype="uint8"), FuseRequantize())
    assert result.ops == ["ADD"]
    assert result.steps <= 1


class _OtherForm(FuseRequantize):
    """Writes the scale that it wrote, where the other one is read."""

    def change(self, model: Any, node: Any, match: Match) -> None:
        super().change(model, node, match)
        record = model.subgraphs[0].tensors[node.outputs[0].index].quantization
        record.zeroPoint = record.zeroPoint + 3


class _AnyRange(FuseRequantize):
    """Does not ask what the first op cuts off."""

    def match(self, model: Any, node: Any) -> Any:
        chain = chain_before(model, node.given()[0].index) if node.op == "QUANTIZE" else None
        if chain is None:
            return None
        return Match("so it seems", chain, exact=False, sources=(chain.producer.given()[0].index,))


@pytest.mark.parametrize(
    ("broken", "last"), [(_OtherForm(), (0.02, -128)), (_AnyRange(), (0.04, 0))]
)
def test_a_broken_fusion_is_caught(tiny_graph: Build, broken: Any, last: Any) -> None:
    first = (0.04, 0) if last[1] else (0.04, -128)
    data = _requantized(tiny_graph(), "CONV_2D", ((0.02, 3), first, last))
    result = mend_model(data, rewrites=(broken,))
    assert result.data is data
    assert "undone" in result.skipped[0].reason


# readers that take another scale


def _read_by(graph: Any, op: str, scale: float, zero_point: int, shift: int = 0) -> bytes:
    x = graph.tensor("x", (1, 8, 8, 4), "int8", 0.05, zero_point)
    y = graph.tensor("net/same/op", (1, 8, 8, 4), "int8", scale, zero_point + shift)
    end = graph.tensor("net/end/op", (1, 8, 8, 4), "int8", 1 / 128, 0)
    graph.op("QUANTIZE", [x], y, 2)
    if op == "ADD":
        graph.op("ADD", [y, y], end, 2, schema.AddOptionsT())
    else:
        graph.op(op, [y], end, 2)
    return bytes(graph.build([x], [end]))


@many
@given(
    op=st.sampled_from(["TANH", "ADD"]),
    change=st.floats(-1.5, 1.5),
    zero_point=st.integers(-128, 127),
)
def test_every_requantization_of_less_than_half_a_step_is_dropped(
    tiny_graph: Build, mend_with: Build, op: str, change: float, zero_point: int
) -> None:
    reach = max(127 - zero_point, zero_point + 128)
    scale = 0.05 * (1 + change / (2 * reach))
    result = mend_with(_read_by(tiny_graph(), op, scale, zero_point), DropRequantize(), accept)
    if abs(abs(change) - 1) > 0.02:
        assert result.done is (abs(change) < 1)
    # What is read moves by half a step, which ADD reads twice; and the output's own rounding.
    moved = 0.5 * scale * (2 if op == "ADD" else 1)
    assert result.steps <= moved * 128 + 1


@many
@given(change=st.floats(-1.5, 1.5), zero_point=points)
def test_what_is_dropped_left_every_integer_as_it_was(
    one_op: Build, change: float, zero_point: int
) -> None:
    reach = max(127 - zero_point, zero_point + 128)
    scales = 0.05, 0.05 * (1 + change / (2 * reach))
    tensors = (((256,), "int8", scale, zero_point) for scale in scales)
    numbers = np.arange(-128, 128, dtype=np.int8)
    (found,) = open_model(one_op("QUANTIZE", *tensors), Delegate.CPU).run(numbers)
    if abs(abs(change) - 1) > 0.02:
        assert np.array_equal(found, numbers) is (abs(change) < 1)


def test_what_is_dropped_says_how_far_it_moves(tiny_graph: Build) -> None:
    data = _read_by(tiny_graph(), "TANH", 0.05 * (1 + 1 / 600), 0)
    (record,) = mend_model(data, rewrites=(DropRequantize(),)).records
    assert not record.exact
    assert 0 < record.max_abs_error < 0.026


@pytest.mark.parametrize(("scale", "shift"), [(0.051, 0), (0.05, 1)])
def test_a_requantization_that_does_something_stays(
    tiny_graph: Build, mend_with: Build, scale: float, shift: int
) -> None:
    assert not mend_with(_read_by(tiny_graph(), "TANH", scale, 0, shift), DropRequantize()).done


def test_a_reader_of_one_scale_keeps_its_requantization(tiny_graph: Build) -> None:
    data = _read_by(tiny_graph(), "RESHAPE", 0.05 * (1 + 1e-5), 0)
    applied = DropRequantize().apply(read_model(data))
    assert [op.reason for op in applied.refused] == ["a reader wants this very scale"]


class _Drops(DropRequantize):
    """Drops every requantization."""

    def match(self, model: Any, node: Any) -> Any:
        if node.op != "QUANTIZE":
            return None
        source = node.given()[0].index
        return Match("so it seems", exact=False, bypass=source, sources=(source,))


@pytest.mark.parametrize(("scale", "shift"), [(0.051, 0), (0.05, 1), (0.02, 0)])
def test_a_wrong_drop_is_caught(tiny_graph: Build, scale: float, shift: int) -> None:
    result = mend_model(_read_by(tiny_graph(), "TANH", scale, 0, shift), rewrites=(_Drops(),))
    assert result.records == ()
    assert "undone: the output has another scale" in result.skipped[0].reason


# concatenations


def _joined(graph: Any, forms: Any, dtype: str = "uint8") -> bytes:
    *parts, target = forms
    inputs = [graph.tensor(f"x{n}", (1, 8, 8, 2), dtype, *form) for n, form in enumerate(parts)]
    y = graph.tensor("net/join/op", (1, 8, 8, 2 * len(parts)), dtype, *target)
    options = schema.ConcatenationOptionsT(axis=3)
    graph.op("CONCATENATION", inputs, y, 1 if dtype == "uint8" else 2, options)
    return bytes(graph.build(inputs, [y]))


forms = st.tuples(st.floats(0.01, 0.05), st.integers(0, 255))


@many
@given(parts=st.lists(forms, min_size=2, max_size=4), target=forms)
def test_every_uint8_concatenation_gets_one_scale(
    tiny_graph: Build, mend_with: Build, parts: Any, target: Any
) -> None:
    data = _joined(tiny_graph(), [*parts, target])
    result = mend_with(data, ConcatenateOneScale(), accept)
    assert result.steps <= 1
    assert result.ops == [*["QUANTIZE"] * (len(result.ops) - 1), "CONCATENATION"]


def test_a_uint8_concatenation_comes_inside(tiny_graph: Build) -> None:
    data = _joined(tiny_graph(), [(0.02, 3), (0.03, 9), (0.03, 9)])
    assert [node.op for node in open_model(data).outside] == ["CONCATENATION"]
    result = mend_model(data)
    assert open_model(result.data).outside == ()


def test_a_concatenation_of_one_scale_stays(tiny_graph: Build, mend_with: Build) -> None:
    for dtype in ("uint8", "int8"):
        data = _joined(tiny_graph(), [(0.02, 3)] * 3, dtype)
        assert not mend_with(data, ConcatenateOneScale(), accept).done

"""Clamps in int8 as requantizations, and fused into their producers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.rewrites.flatbuffer.fuse_clamp import FuseClamp
from portrait_tflite.convert.rewrites.flatbuffer.minmax_to_quantize import MinmaxToQuantize
from portrait_tflite.convert.rewrites.flatbuffer.relu_to_quantize import ReluToQuantize
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.runtime import open_model

from .drawing import many
from .producers import CLAMPING, produce
from .producers import SHAPE as PRODUCED

Build = Callable[..., Any]
SHAPE = (1, 16, 16, 2)
VERSIONS = {"RELU": 2, "RELU6": 2, "RELU_0_TO_1": 1, "RELU_N1_TO_1": 1}


@pytest.mark.parametrize(
    ("op", "scale", "zero_point"),
    [
        *(("RELU", 0.05, point) for point in (-128, -100, 0, 90)),
        *(("RELU6", 0.05, point) for point in (-128, -100, 0)),
        ("RELU_N1_TO_1", 0.012, -40),  # both bounds inside of what int8 holds
        ("RELU_0_TO_1", 1 / 255, -128),
    ],
)
def test_a_clamp_becomes_quantize(
    one_op: Build, mend_with: Build, op: str, scale: float, zero_point: int
) -> None:
    tensors = (SHAPE, "int8", 0.06, 5), (SHAPE, "int8", scale, zero_point)
    data = one_op(op, *tensors, version=VERSIONS[op])
    result = mend_with(data, ReluToQuantize())
    assert set(result.ops) == {"QUANTIZE"}
    assert len(result.ops) <= 3
    assert result.steps == 0
    assert open_model(data).outside
    assert open_model(result.data).outside == ()


@many
@given(
    op=st.sampled_from(sorted(VERSIONS)),
    source=st.floats(0.005, 0.5),
    ratio=st.floats(0.02, 20),
    points=st.tuples(st.integers(-128, 127), st.integers(-128, 127)),
    unsigned=st.booleans(),
)
def test_every_clamp_keeps_its_values(
    one_op: Build, mend_with: Build, op: str, source: float, ratio: float, points: Any,
    unsigned: bool,
) -> None:  # fmt: skip
    dtype, shift = ("uint8", 128) if unsigned else ("int8", 0)
    forms = (source, points[0] + shift), (source / ratio, points[1] + shift)
    tensors = ((SHAPE, dtype, *form) for form in forms)
    result = mend_with(one_op(op, *tensors, version=VERSIONS[op]), ReluToQuantize(), accept)
    # Bounds on both sides of 0 always fit a zero point.
    assert result.done
    assert set(result.ops) == {"QUANTIZE"}
    assert result.steps <= 1  # at a tie


@pytest.mark.parametrize(
    ("target", "reason"),
    [(None, "no scale"), ((10.0, 0), "scale ratio"), ((0.0001, -128), "scale ratio")],
)
def test_a_clamp_that_is_no_requantization_stays(
    one_op: Build, mend_with: Build, target: Any, reason: str
) -> None:
    scales = target or (None, 0)
    data = one_op("RELU", (SHAPE, "int8", target and 0.02, 0), (SHAPE, "int8", *scales))
    result = mend_with(data, ReluToQuantize())
    assert not result.done
    assert reason in result.refusals[0]


@many
@given(
    op=st.sampled_from(["MAXIMUM", "MINIMUM"]),
    bound=st.integers(-128, 127),
    zero_point=st.integers(-128, 127),
    first=st.booleans(),
)
def test_every_bound_keeps_its_bytes(
    tiny_graph: Build, mend_with: Build, op: str, bound: int, zero_point: int, first: bool
) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", SHAPE, "int8", 0.03, zero_point)
    c = graph.tensor("c", (1,), "int8", 0.03, zero_point, data=[bound])
    y = graph.tensor("y", SHAPE, "int8", 0.03, zero_point)
    graph.op(op, [x, c] if first else [c, x], y, 2, schema.MaximumMinimumOptionsT())
    result = mend_with(graph.build([x], [y]), MinmaxToQuantize(), accept)
    assert result.steps == 0
    assert result.done is not any("no zero point" in reason for reason in result.refusals)


@pytest.mark.parametrize(
    ("numbers", "scale", "reason"), [([3, 4], 0.03, "not one number"), ([3], 0.04, "different")]
)
def test_a_bound_of_another_kind_stays(
    one_op: Build, mend_with: Build, numbers: list[int], scale: float, reason: str
) -> None:
    constant = ((len(numbers),), "int8", scale, 0, numbers)
    tensor = (SHAPE, "int8", 0.03, 0)
    options = schema.MaximumMinimumOptionsT()
    result = mend_with(
        one_op("MAXIMUM", tensor, tensor, constant, options=options), MinmaxToQuantize()
    )
    assert reason in result.refusals[0]


def _sum_then(graph: Any, op: str, dtype: str, form: Any, read_twice: bool = False) -> bytes:
    a, b = (graph.tensor(name, SHAPE, dtype, *form[0]) for name in "ab")
    total = graph.tensor("net/add/op", SHAPE, dtype, *form[1])
    y = graph.tensor("net/act/op", SHAPE, dtype, *form[2])
    graph.op("ADD", [a, b], total, 2 if dtype == "int8" else 1, schema.AddOptionsT())
    graph.op(op, [total], y, VERSIONS[op] if dtype == "int8" else 1)
    return bytes(graph.build([a, b], [y, total] if read_twice else [y]))


@many
@given(
    producer=st.sampled_from(CLAMPING),
    op=st.sampled_from(["RELU", "RELU6", "RELU_N1_TO_1"]),
    scale=st.floats(0.01, 0.1),
    zero_point=st.integers(-128, 127),
    quantized=st.booleans(),
)
def test_every_clamp_of_its_producers_form_is_fused(
    tiny_graph: Build, mend_with: Build, producer: str, op: str, scale: float, zero_point: int,
    quantized: bool,
) -> None:  # fmt: skip
    dtype = "int8" if quantized else "float32"
    source, target = ((0.02, 3), (scale, zero_point)) if quantized else ((None, 0), (None, 0))
    graph = tiny_graph()
    x = graph.tensor("x", PRODUCED, dtype, *source)
    first, y = (graph.tensor(f"net/{n}/op", PRODUCED, dtype, *target) for n in ("first", "act"))
    produce(graph, producer, x, first, dtype, source)
    graph.op(op, [first], y, VERSIONS[op] if quantized else 1)
    result = mend_with(graph.build([x], [y]), FuseClamp(), accept)
    assert (result.ops, result.steps) == ([producer], 0)


@many
@given(
    op=st.sampled_from(["RELU", "RELU6", "RELU_N1_TO_1"]),
    move=st.sampled_from(["MAX_POOL_2D", "PAD", "DEPTH_TO_SPACE"]),
    form=st.tuples(st.floats(0.01, 0.1), st.integers(-128, 127)),
    quantized=st.booleans(),
)
def test_every_clamp_behind_a_move_is_fused(
    tiny_graph: Build, mend_with: Build, op: str, move: str, form: Any, quantized: bool
) -> None:
    dtype, form = ("int8", form) if quantized else ("float32", (None, 0))
    shapes = {"MAX_POOL_2D": (1, 2, 2, 4), "PAD": (1, 6, 5, 4), "DEPTH_TO_SPACE": (1, 8, 8, 1)}
    graph = tiny_graph()
    x, total = (graph.tensor(n, (1, 4, 4, 4), dtype, *form) for n in ("x", "net/add/op"))
    moved, y = (graph.tensor(f"net/{n}/op", shapes[move], dtype, *form) for n in ("move", "act"))
    borders = graph.tensor("p", (4, 2), "int32", data=[(0, 0), (1, 1), (0, 1), (0, 0)])
    options = {
        "MAX_POOL_2D": schema.Pool2DOptionsT(
            padding=1, strideW=2, strideH=2, filterWidth=2, filterHeight=2
        ),
        "PAD": schema.PadOptionsT(),
        "DEPTH_TO_SPACE": schema.DepthToSpaceOptionsT(blockSize=2),
    }
    version = 2 if quantized else 1
    graph.op("ADD", [x, x], total, version, schema.AddOptionsT())
    graph.op(move, [total, borders][: 1 + (move == "PAD")], moved, version, options[move])
    graph.op(op, [moved], y, VERSIONS[op] if quantized else 1)
    result = mend_with(graph.build([x], [y]), FuseClamp(), accept)
    assert (result.ops, result.steps) == (["ADD", move], 0)


def test_a_clamp_of_another_scale_is_not_fused(tiny_graph: Build, mend_with: Build) -> None:
    form = ((0.02, 3), (0.04, 3), (0.02, -128))
    assert not mend_with(_sum_then(tiny_graph(), "RELU", "int8", form), FuseClamp()).done


def test_a_sum_that_another_reads_is_not_fused(tiny_graph: Build, mend_with: Build) -> None:
    one = (0.04, 3)
    data = _sum_then(tiny_graph(), "RELU", "int8", (one, one, one), read_twice=True)
    assert not mend_with(data, FuseClamp()).done


def test_a_skip_and_its_activation_both_stay_whole(tiny_graph: Build, mend_with: Build) -> None:
    form = ((0.02, 3), (0.04, 3), (0.02, -50))
    data = _sum_then(tiny_graph(), "RELU", "int8", form, read_twice=True)
    result = mend_with(data, ReluToQuantize())
    assert (result.ops, result.steps) == (["ADD", "QUANTIZE", "QUANTIZE"], 0)

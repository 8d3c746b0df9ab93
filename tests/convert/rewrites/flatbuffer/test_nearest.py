"""Nearest resizes: Keras's chain, the op, and what moves before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.delegates.gpu import predict_gpu
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.as_reshape import TileToConcatenation
from portrait_tflite.convert.rewrites.flatbuffer.nearest_chain import NearestChain
from portrait_tflite.convert.rewrites.flatbuffer.nearest_to_copies import NearestToCopies
from portrait_tflite.convert.rewrites.flatbuffer.pointwise_before_nearest import (
    PointwiseBeforeNearest,
)
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import accept
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

from .drawing import many

Build = Callable[..., Any]
FORMS = {"int8": (0.05, 3), "float32": (None, 0)}
sizes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5))
factors = st.tuples(st.integers(1, 7), st.integers(1, 7)).filter(lambda f: f != (1, 1))


def _enlarged(size: Any, factor: Any) -> tuple[int, ...]:
    return (1, size[0] * factor[0], size[1] * factor[1], size[2])


def _resize(graph: Any, x: int, name: str, shape: Any, dtype: str, **flags: bool) -> int:
    y = graph.tensor(name, shape, dtype, *FORMS[dtype])
    wanted = graph.tensor(f"{name}/size", (2,), "int32", data=shape[1:3])
    options = schema.ResizeNearestNeighborOptionsT(**flags)
    version = 3 if flags.get("halfPixelCenters") else 2
    graph.op("RESIZE_NEAREST_NEIGHBOR", [x, wanted], y, version, options)
    return int(y)


def _one_resize(graph: Any, size: Any, shape: Any, dtype: str, **flags: bool) -> bytes:
    x = graph.tensor("x", (1, *size), dtype, *FORMS[dtype])
    return bytes(graph.build([x], [_resize(graph, x, "net/up/resize", shape, dtype, **flags)]))


@many
@given(size=sizes, factor=factors, dtype=st.sampled_from(["int8", "float32"]), half=st.booleans())
def test_every_whole_factor_becomes_copies(
    tiny_graph: Build, mend_with: Build, size: Any, factor: Any, dtype: str, half: bool
) -> None:
    data = _one_resize(tiny_graph(), size, _enlarged(size, factor), dtype, halfPixelCenters=half)
    result = mend_with(data, NearestToCopies(), accept)
    assert result.steps == 0
    assert set(result.ops) <= {"CONCATENATION", "RESHAPE"}


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_file_for_the_gpu_keeps_its_resize(tiny_graph: Build, dtype: str) -> None:
    data = _one_resize(tiny_graph(), (4, 6, 3), (1, 8, 12, 3), dtype, halfPixelCenters=True)
    kept = mend_model(data, delegate=Delegate.GPU)
    assert (kept.records, kept.data) == ((), data)
    for delegate in (Delegate.XNNPACK, Delegate.CPU):
        mended = mend_model(data, delegate=delegate)
        assert [record.rewrite for record in mended.records] == ["nearest_to_copies"]


def test_a_file_for_the_gpu_keeps_its_tile_and_loses_what_it_cannot_read(
    tiny_graph: Build,
) -> None:
    graph = tiny_graph()
    x, y = graph.tensor("x", (1, 2, 3, 4), "float32"), graph.tensor("y", (1, 4, 3, 4), "float32")
    counts = graph.tensor("counts", (4,), "int32", data=[1, 2, 1, 1])
    graph.op("TILE", [x, counts], y, 1, schema.TileOptionsT())
    tile = graph.build([x], [y])
    assert mend_model(tile, delegate=Delegate.GPU).records == ()
    assert [r.rewrite for r in mend_model(tile).records] == ["tile_to_concatenation"]
    # Keras's chain has rank 5, which the GPU refuses.
    chain = _chain(tiny_graph(), (4, 6, 3), (2, 2), "float32")
    assert predict_gpu(read_model(chain))
    mended = mend_model(chain, delegate=Delegate.GPU)
    assert [record.rewrite for record in mended.records] == ["nearest_chain"]
    assert not predict_gpu(read_model(mended.data))


@many
@given(size=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 3)))
def test_aligned_corners_are_even_for_two(tiny_graph: Build, mend_with: Build, size: Any) -> None:
    data = _one_resize(tiny_graph(), size, _enlarged(size, (2, 2)), "int8", alignCorners=True)
    result = mend_with(data, NearestToCopies(), accept)
    assert (result.done, result.steps) == (True, 0)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_nearest_resize_joins_the_partition(tiny_graph: Build, dtype: str) -> None:
    data = _one_resize(tiny_graph(), (8, 8, 4), (1, 16, 16, 4), dtype)
    assert [node.op for node in open_model(data).outside] == ["RESIZE_NEAREST_NEIGHBOR"]
    result = mend_model(data)
    mended = open_model(result.data)
    assert (mended.partitions, mended.outside) == (1, ())
    assert [(r.rewrite, r.layer, r.exact) for r in result.records] == [
        ("nearest_to_copies", "up", True)
    ]


@pytest.mark.parametrize(
    ("shape", "flags", "reason"),
    [
        ((1, 9, 8, 3), {}, "whole factors"),
        ((1, 12, 12, 3), {"alignCorners": True}, "align_corners"),
        ((1, 2, 2, 3), {}, "whole factors"),
    ],
)
def test_uneven_copies_stay(
    tiny_graph: Build, mend_with: Build, shape: Any, flags: Any, reason: str
) -> None:
    data = _one_resize(tiny_graph(), (4, 4, 3), shape, "int8", **flags)
    assert reason in mend_with(data, NearestToCopies()).refusals[0]


def _chain(
    graph: Any, size: Any, factor: Any, dtype: str, keep: bool = False, expands: bool = False
) -> bytes:
    """Build what Keras 3 makes of UpSampling2D(nearest); `expands` where the batch was free."""
    height, width, depth = size
    down, right = factor
    shapes = [
        (1, height, 1, width, depth),
        (1, height, down, width, depth),
        *([(1, height * down, width, depth)] if expands else []),
        (1, height * down, width, 1, depth),
        (1, height * down, width, right, depth),
        (1, height * down, width * right, depth),
    ]
    multiples = {1: (1, 1, down, 1, 1), 3 + expands: (1, 1, 1, right, 1)}
    axes = {0: 2, 3: 3} if expands else {}
    first = source = graph.tensor("x", (1, *size), dtype, *FORMS[dtype])
    inner = []
    for number, shape in enumerate(shapes):
        target = graph.tensor(f"net/up/{number}", shape, dtype, *FORMS[dtype])
        numbers = multiples.get(number, (axes[number],) if number in axes else shape)
        constant = graph.tensor(f"c{number}", (len(numbers),), "int32", data=numbers)
        if number in multiples:
            graph.op("TILE", [source, constant], target, 3 if dtype == "int8" else 1)
        elif number in axes:
            graph.op("EXPAND_DIMS", [source, constant], target, 1, schema.ExpandDimsOptionsT())
        else:
            graph.op(
                "RESHAPE",
                [source, constant],
                target,
                1,
                schema.ReshapeOptionsT(newShape=np.array(shape)),
            )
        inner.append(target)
        source = target
    return bytes(graph.build([first], [source, inner[1]] if keep else [source]))


@many
@given(
    size=sizes, factor=factors, dtype=st.sampled_from(["int8", "float32"]), expands=st.booleans()
)
def test_every_chain_of_keras_is_one_resize(
    tiny_graph: Build, mend_with: Build, size: Any, factor: Any, dtype: str, expands: bool
) -> None:
    data = _chain(tiny_graph(), size, factor, dtype, expands=expands)
    result = mend_with(data, NearestChain(), accept)
    assert (result.ops, result.steps) == (["RESIZE_NEAREST_NEIGHBOR"], 0)


def test_a_chain_of_keras_is_one_partition(tiny_graph: Build, run_once: Build) -> None:
    data = _chain(tiny_graph(), (8, 8, 4), (2, 2), "int8")
    assert len(open_model(data).outside) == 2
    result = mend_model(data)
    assert (open_model(result.data).partitions, open_model(result.data).outside) == (1, ())
    assert run_once(result.data) == run_once(data)


def test_a_chain_that_another_reads_becomes_copies_in_place(
    tiny_graph: Build, mend_with: Build
) -> None:
    data = _chain(tiny_graph(), (4, 4, 3), (2, 2), "int8", keep=True)
    assert not mend_with(data, NearestChain()).done
    result = mend_with(data, TileToConcatenation())
    assert "TILE" not in result.ops
    assert result.steps == 0


def _resize_then_convolve(
    graph: Any, size: Any, factor: Any, kernel: int = 1, keep: bool = False
) -> bytes:
    rng = np.random.default_rng(sum(size))
    x = graph.tensor("x", (1, *size), "int8", 0.05, 3)
    shape = _enlarged(size, factor)
    large = _resize(graph, x, "net/up/resize", shape, "int8")
    scales = rng.uniform(0.004, 0.01, 2)
    weights = graph.tensor(
        "w", (2, kernel, kernel, size[2]), "int8", scales,
        data=rng.integers(-127, 128, (2, kernel, kernel, size[2])),
    )  # fmt: skip
    bias = graph.tensor("b", (2,), "int32", scales * 0.05, data=rng.integers(-3000, 3000, 2))
    y = graph.tensor("net/head/BiasAdd", (*shape[:3], 2), "int8", 0.03, 5)
    options = schema.Conv2DOptionsT(
        strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1, fusedActivationFunction=1
    )
    graph.op("CONV_2D", [large, weights, bias], y, 3, options)
    return bytes(graph.build([x], [y, large] if keep else [y]))


@many
@given(size=sizes, factor=factors)
def test_every_1x1_convolution_moves_before_the_resize(
    tiny_graph: Build, mend_with: Build, size: Any, factor: Any
) -> None:
    data = _resize_then_convolve(tiny_graph(), size, factor)
    result = mend_with(data, PointwiseBeforeNearest(), accept)
    assert (result.ops, result.steps) == (["CONV_2D", "RESIZE_NEAREST_NEIGHBOR"], 0)


@many
@given(
    size=sizes,
    factor=factors,
    op=st.sampled_from(["RELU", "RELU6", "LOGISTIC", "TANH", "HARD_SWISH", "QUANTIZE"]),
    form=st.tuples(st.floats(0.01, 0.1), st.integers(-128, 127)),
)
def test_every_op_on_single_numbers_moves_before_the_resize(
    tiny_graph: Build, mend_with: Build, size: Any, factor: Any, op: str, form: Any
) -> None:
    form = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(op, form)
    graph = tiny_graph()
    x = graph.tensor("x", (1, *size), "int8", 0.05, 3)
    large = _resize(graph, x, "net/up/resize", _enlarged(size, factor), "int8")
    y = graph.tensor("net/y/op", _enlarged(size, factor), "int8", *form)
    graph.op(op, [large], y, 1 if op == "HARD_SWISH" else 2)
    result = mend_with(graph.build([x], [y]), PointwiseBeforeNearest(), accept)
    assert (result.ops, result.steps) == ([op, "RESIZE_NEAREST_NEIGHBOR"], 0)


def test_a_3x3_convolution_stays_behind_the_resize(tiny_graph: Build, mend_with: Build) -> None:
    data = _resize_then_convolve(tiny_graph(), (4, 4, 3), (2, 2), kernel=3)
    assert not mend_with(data, PointwiseBeforeNearest(), accept).done


def test_a_resize_that_another_reads_stays(tiny_graph: Build, mend_with: Build) -> None:
    data = _resize_then_convolve(tiny_graph(), (4, 4, 3), (2, 2), keep=True)
    assert "another op" in mend_with(data, PointwiseBeforeNearest()).refusals[0]

"""What depends on constants alone, and constants that are held twice."""

from __future__ import annotations

import copy
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
from portrait_tflite.convert.rewrites.flatbuffer.fold_constants import (
    FoldConstants,
    ShareConstants,
)
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Applied, MendedOp, accept

from .drawing import many

Build = Callable[..., Any]
OPTIONS = {
    "ADD": schema.AddOptionsT,
    "MUL": schema.MulOptionsT,
    "SUB": schema.SubOptionsT,
    "MAXIMUM": schema.MaximumMinimumOptionsT,
}
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def _chain(graph: Any, shape: list[int], ops: list[str], seed: int, dtype: str) -> bytes:
    """Build a chain of ops on constants, whose result is added to the input."""
    rng = np.random.default_rng(seed)
    form = (0.05, 3) if dtype == "int8" else (None, 0)
    version = 2 if dtype == "int8" else 1

    def constant(name: str) -> int:
        data = rng.integers(-99, 99, shape) if dtype == "int8" else rng.normal(size=shape)
        return int(graph.tensor(name, shape, dtype, *form, data=data))

    x = graph.tensor("x", shape, dtype, *form)
    value = constant("first")
    for number, op in enumerate(ops):
        target = graph.tensor(f"net/c_{number}/op", shape, dtype, *form)
        graph.op(op, [value, constant(f"c{number}")], target, version, OPTIONS[op]())
        value = target
    y = graph.tensor("net/y/op", shape, dtype, *form)
    graph.op("ADD", [x, value], y, version, schema.AddOptionsT())
    return bytes(graph.build([x], [y]))


@many
@given(
    shape=shapes,
    ops=st.lists(st.sampled_from(sorted(OPTIONS)), min_size=0, max_size=3),
    seed=st.integers(0, 999),
    dtype=st.sampled_from(["int8", "float32"]),
)
def test_every_op_on_constants_is_folded(
    tiny_graph: Build, mend_with: Build, shape: list[int], ops: list[str], seed: int, dtype: str
) -> None:
    result = mend_with(_chain(tiny_graph(), shape, ops, seed, dtype), FoldConstants(), accept)
    assert (result.ops, result.steps) == (["ADD"], 0)
    assert len(result.applied.mended) == len(ops)


def test_packed_weights_stay_packed(tiny_graph: Build, mend_with: Build) -> None:
    graph = tiny_graph()
    packed = graph.tensor("half", (4,), "float16", data=[1, 2, 3, 4])
    x, wide, y = (graph.tensor(f"net/{n}/op", (4,), "float32") for n in ("x", "wide", "y"))
    graph.op("DEQUANTIZE", [packed], wide, 3)
    graph.op("ADD", [x, wide], y, 1, schema.AddOptionsT())
    assert not mend_with(graph.build([x], [y]), FoldConstants()).done


@pytest.mark.parametrize("op", ["ADD", "MUL", "SUB"])
def test_a_packed_number_without_dimensions_is_unpacked(
    tiny_graph: Build, mend_with: Build, op: str
) -> None:
    graph = tiny_graph()
    packed = graph.tensor("half", (), "float16", data=1 / 6)
    x, y = (graph.tensor(f"net/{n}/op", (1, 2, 3, 4), "float32") for n in ("x", "y"))
    wide = graph.tensor("net/wide/op", (), "float32")
    graph.op("DEQUANTIZE", [packed], wide, 3)
    graph.op(op, [x, wide], y, 1, getattr(schema, f"{op.title()}OptionsT")())
    data = graph.build([x], [y])
    assert list(predict_gpu(read_model(data))) == [1]
    result = mend_with(data, FoldConstants())
    assert (result.ops, result.steps) == ([op], 0)
    assert predict_gpu(read_model(result.data)) == {}


@many
@given(
    numbers=st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=2, max_size=5)
)
def test_every_constant_is_held_once(
    tiny_graph: Build, mend_with: Build, numbers: list[list[int]]
) -> None:
    graph = tiny_graph()
    first = value = graph.tensor("x", (4,), "float32")
    for number, data in enumerate(numbers):
        constant = graph.tensor(f"c{number}", (4,), "float32", data=data)
        target = graph.tensor(f"net/y_{number}/op", (4,), "float32")
        graph.op("ADD", [value, constant], target, 1, schema.AddOptionsT())
        value = target
    result = mend_with(graph.build([first], [value]), ShareConstants())
    assert result.steps == 0
    different = len({tuple(data) for data in numbers})
    assert len(read_model(result.data).buffers) == 1 + different
    assert result.done is (different < len(numbers))


# faults


class _Folded(FoldConstants):
    """Writes zeros for what it folds."""

    def change(self, model: Any, node: Any, match: Any) -> None:
        super().change(model, node, match)
        size = len(model.buffers[-1].data)
        model.buffers[-1] = schema.BufferT(data=np.zeros(size, np.uint8))


class _Shared(ShareConstants):
    """Shares buffers of one length, whatever they hold."""

    def apply(self, model: Any, judge: Any = accept) -> Applied:
        graph = model.subgraphs[0]
        first: dict[int, int] = {}
        for number, tensor in enumerate(graph.tensors):
            data = model.buffers[tensor.buffer].data
            if data is not None and first.setdefault(len(data), tensor.buffer) != tensor.buffer:
                graph.tensors[number] = shared = copy.copy(tensor)
                shared.buffer = first[len(data)]
        applied = super().apply(model, judge)
        return applied if applied.mended else Applied((MendedOp("net/y/op", "so it seems"),), ())


@pytest.mark.parametrize("broken", [_Folded(), _Shared()])
def test_a_fault_is_caught(tiny_graph: Build, broken: Any) -> None:
    data = _chain(tiny_graph(), [1, 8, 8, 4], ["MUL", "ADD"], 3, "float32")
    result = mend_model(data, rewrites=(broken,))
    assert result.data is data
    assert "not byte-equal" in result.skipped[0].reason

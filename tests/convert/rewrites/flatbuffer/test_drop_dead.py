"""What no output depends on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.rewrites.flatbuffer.drop_dead import DropDead
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Applied, MendedOp, accept

from .drawing import many

Build = Callable[..., Any]
SHAPE = (1, 4, 4, 4)
INT8 = ("int8", 0.05, 3)


def _tree(graph: Any, reads: list[int], constants: int = 0) -> bytes:
    """Each ADD doubles the value whose number is given, 0 being the input; the last is asked for.

    Args:
        constants: Bytes that nothing reads.
    """
    values = [graph.tensor("net/x", SHAPE, *INT8)]
    for number, source in enumerate(reads, 1):
        values.append(graph.tensor(f"net/value_{number}/op", SHAPE, *INT8))
        graph.op("ADD", [values[source]] * 2, values[-1], 2, schema.AddOptionsT())
    if constants:
        graph.tensor("net/weights", (constants,), *INT8, data=np.zeros(constants))
    return bytes(graph.build(values[:1], values[-1:]))


def _needed(reads: list[int]) -> int:
    value, count = len(reads), 0
    while value:
        value, count = reads[value - 1], count + 1
    return count


@many
@given(data=st.data(), count=st.integers(1, 9))
def test_every_op_that_is_not_needed_goes(
    tiny_graph: Build, mend_with: Build, data: Any, count: int
) -> None:
    reads = [data.draw(st.integers(0, number)) for number in range(count)]
    result = mend_with(_tree(tiny_graph(), reads), DropDead(), accept)
    assert result.ops == ["ADD"] * _needed(reads)
    assert result.steps == 0
    assert result.done is (_needed(reads) < count)


def test_constants_that_nothing_reads_go(tiny_graph: Build) -> None:
    data = _tree(tiny_graph(), [0], constants=5000)
    result = mend_model(data)
    assert len(result.data) < len(data) - 5000
    assert [(r.rewrite, r.layer) for r in result.records] == [("drop_dead", "constants")]
    assert result.records[0].reason == "nothing reads 5000 bytes of constants"


@pytest.mark.parametrize("constants", [0, 100])
def test_a_file_with_little_to_drop_stays(tiny_graph: Build, constants: int) -> None:
    data = _tree(tiny_graph(), [0, 1], constants)
    assert mend_model(data).data is data


class _Eager(DropDead):
    """Drops the last op but one, whoever reads it."""

    def apply(self, model: Any, judge: Any = accept) -> Applied:
        first, dropped, last = list_nodes(model)
        model.subgraphs[0].operators[last.index].inputs = np.int32([first.outputs[0].index] * 2)
        del model.subgraphs[0].operators[dropped.index]
        return Applied((MendedOp(dropped.tensor, "so it seems"),), ())


def test_a_fault_is_caught(tiny_graph: Build) -> None:
    data = _tree(tiny_graph(), [0, 1, 2])
    result = mend_model(data, rewrites=(_Eager(),))
    assert result.data is data
    assert "not byte-equal" in result.skipped[0].reason


def test_its_place_is_named_by_its_layer(tiny_graph: Build) -> None:
    result = mend_model(_tree(tiny_graph(), [0, 0]))
    assert [(r.rewrite, r.layer) for r in result.records] == [("drop_dead", "value_1")]
    assert len(read_model(result.data).subgraphs[0].operators) == 1

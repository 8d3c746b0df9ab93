"""Masks that a released file gives as the number of the best class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.loading.released import Released, read_released
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate

_SCORES = (1, 4, 6, 3)
_OPTIONS: dict[str, Any] = {
    "CAST": schema.CastOptionsT(),
    "EXPAND_DIMS": schema.ExpandDimsOptionsT(),
    "RESHAPE": schema.ReshapeOptionsT(),
    "SQUEEZE": schema.SqueezeOptionsT(squeezeDims=[0]),
}
_OPERAND = {"EXPAND_DIMS": [3], "RESHAPE": [4, 6]}


@pytest.fixture
def chosen(tiny_graph: Callable[[], Any], tmp_path: Path) -> Callable[..., Path]:
    """Give a builder of NEG → ARG_MAX → some ops, in float."""

    def build(
        behind: tuple[tuple[str, Any], ...] = (),
        *,
        axis: int = 3,
        read_twice: bool = False,
        soft: bool = False,
    ) -> Path:
        graph = tiny_graph()
        x = graph.tensor("x", _SCORES, "float32")
        scores = graph.tensor("scores", _SCORES, "float32")
        graph.op("NEG", [x], scores, 1, schema.NegOptionsT())
        over = graph.tensor("axis", (), "int32", data=axis)
        shape = np.delete(_SCORES, axis)
        value = best = graph.tensor("best", shape, "int32")
        options = schema.ArgMaxOptionsT(outputType=schema.TensorType.INT32)
        graph.op("ARG_MAX", [scores, over], value, 1, options)
        for number, (op, shape) in enumerate(behind):
            after = graph.tensor(f"behind_{number}", shape, "float32" if op == "CAST" else "int32")
            operand = [graph.tensor(f"operand_{number}", (len(_OPERAND[op]),), "int32",
                                    data=_OPERAND[op])] if op in _OPERAND else []  # fmt: skip
            graph.op(op, [value, *operand], after, 1, _OPTIONS[op])
            value = after
        path = tmp_path / "released.tflite"
        outputs = [value, *([best] if read_twice else []), *([scores] if soft else [])]
        path.write_bytes(bytes(graph.build([x], outputs)))
        return path

    return build


@pytest.mark.parametrize(
    "behind",
    [
        (),
        (("CAST", (1, 4, 6)),),
        (("SQUEEZE", (4, 6)),),
        (("RESHAPE", (4, 6)),),
        (("EXPAND_DIMS", (1, 4, 6, 1)), ("CAST", (1, 4, 6, 1))),
    ],
)
def test_a_class_that_is_asked_for_is_soft(chosen: Any, behind: Any) -> None:
    path = chosen(behind)
    released = read_released(path, scores_of=0)
    assert op_names(read_model(released.data)) == ["NEG"]
    assert [record.rewrite for record in released.records] == ["class_map"]
    before, after = (open_model(each, Delegate.CPU) for each in (path, released.data))
    x = random_input(before.inputs[0], np.random.default_rng(1))
    (classes,), (scores,) = before.run(x), after.run(x)
    assert scores.shape == _SCORES
    np.testing.assert_array_equal(scores[0].argmax(axis=-1), classes.reshape(_SCORES[1:3]))


def test_a_class_map_stays_one_where_no_class_is_asked_for(chosen: Any) -> None:
    path = chosen()
    assert read_released(path) == Released(path.read_bytes())


@pytest.mark.parametrize("reshape", ["SQUEEZE", "RESHAPE"])
def test_a_class_map_without_a_batch_gets_it_back(chosen: Any, reshape: str) -> None:
    path = chosen(((reshape, (4, 6)),))
    released = read_released(path)
    assert op_names(read_model(released.data)) == ["NEG", "ARG_MAX"]
    before, after = (open_model(each, Delegate.CPU) for each in (path, released.data))
    x = random_input(before.inputs[0], np.random.default_rng(1))
    (expected,), (found,) = before.run(x), after.run(x)
    assert found.shape == (1, 4, 6)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"axis": 1}, "a choice among rows"),
        ({"soft": True}, "the scores are an output themselves"),
        ({"read_twice": True, "behind": (("CAST", (1, 4, 6)),)}, "who reads the classes, too"),
    ],
)
def test_another_choice_stays(chosen: Any, arguments: Any, why: str) -> None:
    path = chosen(**arguments)
    assert "ARG_MAX" in op_names(read_model(read_released(path, scores_of=0).data)), why

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
    "ONE_HOT": schema.OneHotOptionsT(axis=-1),
    "RESHAPE": schema.ReshapeOptionsT(),
    "SQUEEZE": schema.SqueezeOptionsT(squeezeDims=[0]),
}
_OPERAND = {"EXPAND_DIMS": [3], "RESHAPE": [4, 6]}


def _slice(*cuts: tuple[int, int, int], shrink: int = 0, new: int = 0) -> Any:
    """A STRIDED_SLICE: begin, end and stride per dimension, and masks of options."""
    options = schema.StridedSliceOptionsT(shrinkAxisMask=shrink, newAxisMask=new)
    return options, [list(each) for each in zip(*cuts, strict=True)]


@pytest.fixture
def chosen(tiny_graph: Callable[[], Any], tmp_path: Path) -> Callable[..., Path]:
    """Give a builder of NEG → ARG_MAX → some ops, in float."""

    def build(
        behind: tuple[tuple[str, Any], ...] = (),
        *,
        axis: int = 3,
        read_twice: bool = False,
        soft: bool = False,
        batch: bool = True,
    ) -> Path:
        graph = tiny_graph()
        x = graph.tensor("x", _SCORES, "float32")
        scores = graph.tensor("scores", _SCORES, "float32")
        graph.op("NEG", [x], scores, 1, schema.NegOptionsT())
        shape = np.delete(_SCORES, axis)
        if not batch:
            without = graph.tensor("without", _SCORES[1:], "float32")
            sizes = graph.tensor("sizes", (3,), "int32", data=_SCORES[1:])
            graph.op("RESHAPE", [scores, sizes], without, 1, schema.ReshapeOptionsT())
            scores, axis, shape = without, axis - 1, shape[1:]
        over = graph.tensor("axis", (), "int32", data=axis)
        value = best = graph.tensor("best", shape, "int32")
        options = schema.ArgMaxOptionsT(outputType=schema.TensorType.INT32)
        graph.op("ARG_MAX", [scores, over], value, 1, options)
        kind = "int32"
        for number, (op, shape, *given) in enumerate(behind):
            kind = "float32" if op in ("CAST", "ONE_HOT") else kind
            after = graph.tensor(f"behind_{number}", shape, kind)
            options, operands = given[0] if given else (_OPTIONS[op], [])
            if op in _OPERAND:
                operands = [_OPERAND[op]]
            constants = [
                graph.tensor(f"operand_{number}_{n}", (len(one),), "int32", data=one)
                for n, one in enumerate(operands)
            ]
            if op == "ONE_HOT":
                constants = [
                    graph.tensor("depth", (), "int32", data=_SCORES[3]),
                    graph.tensor("on", (), "float32", data=1),
                    graph.tensor("off", (), "float32", data=0),
                ]
            graph.op(op, [value, *constants], after, 1, options)
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
        (("STRIDED_SLICE", (4, 6), _slice((0, 1, 1), (0, 4, 1), (0, 6, 1), shrink=1)),),
        (
            ("STRIDED_SLICE", (1, 4, 6, 1), _slice(*[(0, n, 1) for n in (1, 4, 6, 0)], new=8)),
            ("CAST", (1, 4, 6, 1)),
        ),
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


@pytest.mark.parametrize(
    "behind",
    [
        (("STRIDED_SLICE", (1, 2, 5), _slice((0, 1, 1), (1, 3, 1), (0, 5, 1))),),
        (
            ("CAST", (1, 4, 6)),
            ("STRIDED_SLICE", (1, 4, 3), _slice((0, 1, 1), (0, 4, 1), (1, 6, 2))),
        ),
        (
            ("EXPAND_DIMS", (1, 4, 6, 1)),
            ("STRIDED_SLICE", (1, 3, 6, 1), _slice(*[(0, n, 1) for n in (1, 3, 6, 1)])),
            ("STRIDED_SLICE", (1, 2, 6, 1), _slice((0, 1, 1), (1, 3, 1), (0, 6, 1), (0, 1, 1))),
        ),
    ],
)
def test_what_is_cut_off_the_classes_is_cut_off_the_scores(chosen: Any, behind: Any) -> None:
    path = chosen(behind)
    released = read_released(path, scores_of=0)
    before, after = (open_model(each, Delegate.CPU) for each in (path, released.data))
    x = random_input(before.inputs[0], np.random.default_rng(1))
    (classes,), (scores,) = before.run(x), after.run(x)
    assert "ARG_MAX" not in op_names(read_model(released.data))
    assert scores.shape == (*classes.shape[:3], 3)
    np.testing.assert_array_equal(scores[0].argmax(axis=-1), classes.reshape(scores.shape[1:3]))


def test_one_hot_classes_are_soft(chosen: Any) -> None:
    path = chosen((("ONE_HOT", _SCORES),))
    released = read_released(path, scores_of=0)
    assert op_names(read_model(released.data)) == ["NEG"]
    before, after = (open_model(each, Delegate.CPU) for each in (path, released.data))
    x = random_input(before.inputs[0], np.random.default_rng(1))
    (ones,), (scores,) = before.run(x), after.run(x)
    np.testing.assert_array_equal(np.eye(3)[scores.argmax(axis=-1)], ones)


def test_scores_without_a_batch_get_it_back(chosen: Any) -> None:
    released = read_released(chosen(batch=False), scores_of=0)
    assert op_names(read_model(released.data)) == ["NEG"]
    assert open_model(released.data, Delegate.CPU).outputs[0].shape == _SCORES


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


ONE_ROW = (("STRIDED_SLICE", (1, 6), _slice((0, 1, 1), (2, 3, 1), (0, 6, 1), shrink=2)),)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"axis": 1}, "a choice among rows"),
        ({"soft": True}, "the scores are an output themselves"),
        ({"behind": ONE_ROW}, "a single row"),
        ({"read_twice": True, "behind": (("CAST", (1, 4, 6)),)}, "who reads the classes, too"),
    ],
)
def test_another_choice_stays(chosen: Any, arguments: Any, why: str) -> None:
    path = chosen(**arguments)
    assert "ARG_MAX" in op_names(read_model(read_released(path, scores_of=0).data)), why

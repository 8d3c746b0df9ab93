"""Masks that a released file gives as one long row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.loading.released import Released, read_released
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate

_BEHIND: dict[str, Any] = {"LOGISTIC": None, "SOFTMAX": schema.SoftmaxOptionsT(beta=1.0)}


@pytest.fixture
def flat(tiny_graph: Callable[[], Any]) -> Callable[..., bytes]:
    """Give a builder of ABS → RESHAPE to a row → some ops, in float."""

    def build(shape: Any, row: Any, behind: Any = (), *, read_twice: bool = False) -> bytes:
        graph = tiny_graph()
        x = graph.tensor("x", shape, "float32")
        picture = graph.tensor("mask", shape, "float32")
        graph.op("ABS", [x], picture, 1, schema.AbsOptionsT())
        size = graph.tensor("size", (len(row),), "int32", data=row)
        value = graph.tensor("flat", row, "float32")
        graph.op("RESHAPE", [picture, size], value, 1, schema.ReshapeOptionsT(newShape=row))
        outputs = [value] if read_twice else []
        for number, op in enumerate(behind):
            after = graph.tensor(f"behind_{number}", row, "float32")
            graph.op(op, [value], after, 1, _BEHIND[op])
            value = after
        return bytes(graph.build([x], [value, *outputs]))

    return build


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Released]:
    """Give a function that reads bytes as a released file."""

    def released(data: bytes) -> Released:
        path = tmp_path / "released.tflite"
        path.write_bytes(data)
        return read_released(path)

    return released


@settings(
    deadline=None,
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    channels=st.integers(1, 3),
    keeps_channels=st.booleans(),
    behind=st.lists(st.sampled_from(sorted(_BEHIND)), max_size=2),
)
def test_the_picture_comes_out_instead(
    flat: Any, read: Any, height: int, width: int, channels: int, keeps_channels: bool, behind: Any
) -> None:
    pixels = height * width
    row = (1, pixels, channels) if keeps_channels else (1, pixels * channels)
    data = flat((1, height, width, channels), row, behind)
    released = read(data)
    if behind and row[-1] != channels:
        assert released == Released(data)
        return
    assert op_names(read_model(released.data)) == ["ABS", *behind]
    assert [record.rewrite for record in released.records] == ["flat_mask"]
    before, after = (open_model(each, Delegate.CPU) for each in (data, released.data))
    x = random_input(before.inputs[0], np.random.default_rng(1))
    (expected,), (found,) = before.run(x), after.run(x)
    assert found.shape == (1, height, width, channels)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (((1, 1, 1, 12), (1, 12)), "classes, no picture"),
        (((1, 4, 6, 1), (1, 4, 6)), "a picture without its channel is one"),
        (((1, 4, 6, 2), (1, 4, 12)), "rows of pixels and channels are no list of pixels"),
        (((1, 4, 6, 2), (1, 48), ["SOFTMAX"]), "a softmax over all pixels"),
    ],
)
def test_another_reshape_stays(flat: Any, read: Any, arguments: Any, why: str) -> None:
    data = flat(*arguments)
    assert read(data) == Released(data), why


def test_a_row_that_is_an_output_itself_stays_beside_what_is_made_of_it(
    flat: Any, read: Any
) -> None:
    data = flat((1, 4, 6, 1), (1, 24), ["LOGISTIC"], read_twice=True)
    # The row alone could be unfolded; the sigmoid reads it, too.
    assert op_names(read_model(read(data).data)).count("RESHAPE") <= 1
    before, after = (open_model(each, Delegate.CPU) for each in (data, read(data).data))
    x = random_input(before.inputs[0], np.random.default_rng(1))
    for expected, found in zip(before.run(x), after.run(x), strict=True):
        assert found.tobytes() == expected.tobytes()

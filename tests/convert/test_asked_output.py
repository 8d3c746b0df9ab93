"""The output of a released file that is asked for, without the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portrait_tflite.convert.files.flatbuffer import read_model, text
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.loading.released import Released, read_released
from portrait_tflite.errors import ConversionError
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate

SHAPE = (1, 8, 8, 2)


@pytest.fixture
def several(tiny_graph: Callable[[], Any], tmp_path: Path) -> Callable[..., Path]:
    """Give a builder of a file with a chain of ops per output, behind one op that all read.

    `custom` is the output that a custom op makes; `state` adds a second input of `state`'s shape.
    """

    def build(
        chains: tuple[int, ...],
        *,
        custom: int | None = None,
        state: Any = None,
        twice: bool = False,
    ) -> Path:
        graph = tiny_graph()
        x = graph.tensor("x", SHAPE, "float32")
        inputs = [x] if state is None else [x, graph.tensor("last", state, "float32")]
        shared = graph.tensor("shared", SHAPE, "float32")
        graph.op("EXP", [x], shared, 1, schema.ExpOptionsT())
        outputs = []
        for number, length in enumerate(chains):
            value = shared
            for step in range(length):
                after = graph.tensor(f"net/{number}/{step}", SHAPE, "float32")
                graph.op(("NEG", "ABS")[number % 2], [value], after)
                value = after
            outputs.append(value)
        if custom is not None:
            decoded = graph.tensor("net/decoded", SHAPE, "float32")
            graph.op("NEG", [outputs[custom]], decoded)
            code = schema.OperatorCodeT(
                deprecatedBuiltinCode=32, customCode=b"PosenetDecoderOp", version=1, builtinCode=32
            )
            graph.model.operatorCodes.append(code)
            last = graph.graph.operators[-1]
            last.opcodeIndex = len(graph.model.operatorCodes) - 1
            outputs[custom] = decoded
        path = tmp_path / "released.tflite"
        path.write_bytes(bytes(graph.build(inputs, outputs + outputs[:1] * twice)))
        return path

    return build


@settings(
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(chains=st.lists(st.integers(1, 4), min_size=2, max_size=4), asked=st.integers(0, 3))
def test_it_alone_is_computed(several: Any, chains: list[int], asked: int) -> None:
    asked %= len(chains)
    path = several(tuple(chains))
    released = read_released(path, asked)
    assert released.output == 0
    assert len(op_names(read_model(released.data))) == 1 + chains[asked]
    before, after = (open_model(each, Delegate.CPU) for each in (path, released.data))
    x = random_input(before.inputs[0], np.random.default_rng(1))
    (found,) = after.run(x)
    assert found.tobytes() == before.run(x)[asked].tobytes()


def test_what_was_left_out_is_named(several: Any) -> None:
    (record,) = read_released(several((1, 1, 2)), 1).records
    assert (record.rewrite, record.layer) == ("asked_output", "net/1/0")
    assert "net/0/0, net/2/1" in record.reason
    model = read_model(read_released(several((1, 1, 2)), 1).data)
    (signature,) = model.signatureDefs
    (entry,) = signature.outputs
    assert text(model.subgraphs[0].tensors[entry.tensorIndex].name) == "net/1/0"


def test_a_custom_op_that_nobody_asks_for_is_no_obstacle(several: Any) -> None:
    path = several((1, 2), custom=0)
    with pytest.raises(ConversionError, match="PosenetDecoderOp.* Say by --output"):
        read_released(path)
    with pytest.raises(ConversionError, match="PosenetDecoderOp.* Export"):
        read_released(path, 0)
    released = read_released(path, 1)
    assert op_names(read_model(released.data)) == ["EXP", "ABS", "ABS"]
    assert len(open_model(released.data).outputs) == 1


def test_a_file_stays_where_nothing_is_asked_for(several: Any) -> None:
    path = several((1, 2))
    assert read_released(path) == Released(path.read_bytes())
    assert read_released(path, 5) == Released(path.read_bytes(), (), 5)


def test_a_file_of_one_output_stays(several: Any) -> None:
    path = several((2,))
    assert read_released(path, 0) == Released(path.read_bytes(), (), 0)
    path = several((2,), twice=True)
    assert read_released(path, 1).data == path.read_bytes()


def test_what_may_be_fed_back_stays(several: Any) -> None:
    released = read_released(several((1, 1, 1), state=SHAPE), 2)
    assert (released.output, len(open_model(released.data).outputs)) == (2, 3)

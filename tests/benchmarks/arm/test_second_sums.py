"""A sum that feeds a skip and an activation: QUANTIZE, as mending leaves it, or a second ADD."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from click.testing import CliRunner
from numpy.typing import NDArray

from portrait_tflite.benchmarks.arm.emulator import Emulator
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.runtime import open_model

Shape = tuple[int, ...]
Form = tuple[float, int]

_SCRIPT = Path(__file__).parents[3] / "scripts" / "results" / "second_sums.py"
_SUM, _ACTIVATION = (12 / 255, 85), (2 / 255, -128)  # −10 to 2, and of that what is above 0
_SMALL = (1, 32, 32, 16)


@pytest.fixture(scope="module")
def second_sums() -> Any:
    """Give the script that makes the other form."""
    spec = importlib.util.spec_from_file_location("second_sums", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _sum(graph: Any, shape: Shape, operands: tuple[Form, Form], *, active: bool = True) -> bytes:
    """Build ADD, and QUANTIZE behind it that is a RELU; both are read."""
    a, b = (graph.tensor(n, shape, "int8", *form) for n, form in zip("ab", operands, strict=True))
    total = graph.tensor("net/sum/op", shape, "int8", *_SUM)
    graph.op("ADD", [a, b], total, 2, schema.AddOptionsT())
    if not active:
        return bytes(graph.build([a, b], [total]))
    activation = graph.tensor("net/act/op", shape, "int8", *_ACTIVATION)
    graph.op("QUANTIZE", [total], activation, 2)
    return bytes(graph.build([a, b], [total, activation]))


def _cycles(emulator: Emulator, data: bytes) -> float:
    emulator.load(data, xnnpack=True)
    emulator.count()
    return emulator.count().cycles


@pytest.mark.parametrize(
    "shape", [_SMALL, (1, 16, 16, 128), (1, 64, 64, 64), (1, 128, 128, 32), (1, 256, 256, 8)]
)
def test_a_second_sum_costs_more_than_the_requantization(
    emulator: Emulator, tiny_graph: Callable[[], Any], second_sums: Any, shape: Shape
) -> None:
    operands = ((0.04, 3), (0.03, -9))
    requantized = _sum(tiny_graph(), shape, operands)
    added, count = second_sums.with_second_sums(requantized)
    assert count == 1
    alone = _cycles(emulator, _sum(tiny_graph(), shape, operands, active=False))
    cost = [(_cycles(emulator, data) - alone) / prod(shape) for data in (requantized, added)]
    # Cycles a number, counted; they stand in docs/how-it-works.md.
    assert cost[0] < cost[1]
    assert cost == pytest.approx([0.41, 1.44], abs=0.01)


def _stored(values: NDArray[np.float64], form: Form) -> NDArray[np.int8]:
    return np.clip(np.rint(values / form[0]) + form[1], -128, 127).astype(np.int8)


def _form(values: NDArray[np.float64]) -> Form:
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    return (high - low) / 255, round(-128 - low / ((high - low) / 255))


def test_a_second_sum_is_nearer_to_float_in_its_block(
    tiny_graph: Callable[[], Any], second_sums: Any
) -> None:
    """What the masks have not shown: both forms of a drawn block, on XNNPACK."""
    rng = np.random.default_rng(0)
    total = np.clip(rng.normal(-4, 2, _SMALL), -10, 2)
    a = total / 2 + rng.normal(0, 0.3, _SMALL)
    b = total - a
    operands = _form(a), _form(b)
    inputs = [_stored(a, operands[0]), _stored(b, operands[1])]
    requantized = _sum(tiny_graph(), _SMALL, operands)
    heard = total > 0
    errors = []
    for data in (requantized, second_sums.with_second_sums(requantized)[0]):
        active = open_model(data).run(*inputs)[1].astype(np.float64)
        wrong = (active - _ACTIVATION[1]) * _ACTIVATION[0] - np.maximum(total, 0)
        errors.append(float(np.sqrt(np.mean(wrong[heard] ** 2))))
    # Half a step of the sum, on average, for half a step of each operand.
    assert errors == pytest.approx([0.0172, 0.0114], abs=5e-4)


def test_a_sum_without_an_activation_stays(
    tiny_graph: Callable[[], Any], second_sums: Any, tmp_path: Path
) -> None:
    operands = ((0.04, 3), (0.03, -9))
    files = [tmp_path / name for name in ("sum", "act", "out")]
    files[0].write_bytes(_sum(tiny_graph(), _SMALL, operands, active=False))
    files[1].write_bytes(_sum(tiny_graph(), _SMALL, operands))
    refused = CliRunner().invoke(second_sums.main, [str(files[0]), str(files[2])])
    assert refused.exit_code == 1
    assert "ADD, then QUANTIZE is required" in refused.output
    written = CliRunner().invoke(second_sums.main, [str(files[1]), str(files[2])])
    assert "1 activations are added up anew" in written.output
    assert op_names(read_model(files[2])) == ["ADD", "ADD"]

"""Files of which LiteRT would end the process: refused first, and the others are not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.deadly_ops import find_deadly_op
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
INFINITE, NO_NUMBER = float("inf"), float("nan")

# (op, scales of its inputs and its output, who dies of it)
DEADLY = [
    ("ADD", (0.1, 0.0, 0.1), "both"),
    ("ADD", (0.1, 0.1, INFINITE), "both"),
    ("ADD", (-0.1, 0.1, 0.1), "both"),
    ("ADD", (2.0**19, 0.1, 1.0), "both"),
    ("ADD", (0.1, 0.1, None), "both"),
    ("SUB", (0.0, 0.1, 0.1), "both"),
    ("SQUARED_DIFFERENCE", (64.0, 0.1, 1.0), "both"),
    ("SQUARED_DIFFERENCE", (0.1, NO_NUMBER, 0.1), "both"),
    ("LESS", (0.0, 0.1), "both"),
    ("EQUAL", (0.1, -0.1), "both"),
    ("QUANTIZE", (0.1, 0.0), "xnnpack"),
    ("QUANTIZE", (1e-40, 0.1), "xnnpack"),
]
HARMLESS = [
    ("ADD", (0.1, 0.1, 0.1)),
    ("ADD", (2.0**18, 0.1, 1.0)),
    ("ADD", (1e-40, 0.1, 0.1)),
    ("SUB", (2.0**20, 0.1, 1.0)),
    ("SQUARED_DIFFERENCE", (63.0, 0.1, 1.0)),
    ("MUL", (0.0, 0.1, 0.1)),
    ("QUANTIZE", (0.1, 1e-30)),
]

_OPTIONS = {
    "ADD": schema.AddOptionsT,
    "SUB": schema.SubOptionsT,
    "MUL": schema.MulOptionsT,
}


@pytest.fixture
def net(tiny_graph: Build) -> Build:
    """Give a function that builds a file of one op on bytes, all of it in one shape."""

    def build(op: str, scales: tuple[float | None, ...]) -> bytes:
        graph = tiny_graph()
        shape = (1, 4, 4, 2)
        given = list(scales) if op in ("LESS", "EQUAL") else list(scales[:-1])
        inputs = [graph.tensor(f"x{i}", shape, "int8", scale) for i, scale in enumerate(given)]
        if len(given) == len(scales):
            target = graph.tensor("y", shape, "bool")
        else:
            target = graph.tensor("y", shape, "int8", scales[-1])
        options = _OPTIONS[op]() if op in _OPTIONS else None
        graph.op(op, inputs, target, 2, options)
        data: bytes = graph.build(inputs, [target])
        return data

    return build


@pytest.mark.parametrize(("op", "scales", "who"), DEADLY)
@pytest.mark.parametrize("delegate", [Delegate.CPU, Delegate.XNNPACK])
def test_what_ends_the_process_is_refused_by_name(
    net: Build, op: str, scales: tuple[float | None, ...], who: str, delegate: Delegate
) -> None:
    data = net(op, scales)
    if who in ("both", delegate):
        with pytest.raises(UsageError, match=f"survives is required. Received: bytes: {op} .*'"):
            open_model(data, delegate)
    else:
        assert find_deadly_op(data, delegate) == ""
        open_model(data, delegate)


@pytest.mark.parametrize(("op", "scales"), HARMLESS)
@pytest.mark.parametrize("delegate", [Delegate.CPU, Delegate.XNNPACK])
def test_what_does_not_is_opened(
    net: Build, op: str, scales: tuple[float, ...], delegate: Delegate
) -> None:
    runner = open_model(net(op, scales), delegate)
    assert len(runner.run(*(np.zeros(i.shape, i.dtype) for i in runner.inputs))) == 1


_UNGUARDED = """
import pathlib, sys
from portrait_tflite import runtime
runtime._require_harmless = lambda *_: None
runtime.open_model(pathlib.Path(sys.argv[1]), runtime.Delegate(sys.argv[2]))
"""


@pytest.mark.parametrize(
    ("op", "scales", "delegate"),
    [("ADD", (0.1, 0.0, 0.1), Delegate.CPU), ("QUANTIZE", (0.1, 0.0), Delegate.XNNPACK)],
)
def test_the_runtime_still_dies_of_them(
    net: Build, tmp_path: Path, op: str, scales: tuple[float, ...], delegate: Delegate
) -> None:
    """Once it refuses these files itself, the guard is needless."""
    file = tmp_path / "net.tflite"
    file.write_bytes(net(op, scales))
    command = [sys.executable, "-c", _UNGUARDED, str(file), str(delegate)]
    assert subprocess.run(command, capture_output=True, check=False).returncode < 0  # a signal

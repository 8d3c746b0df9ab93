"""Files of which the runtime would end the process, given to every command that opens one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

Run = Callable[..., Any]


@pytest.fixture(params=["ADD", "QUANTIZE"])
def deadly(request: pytest.FixtureRequest, tiny_graph: Callable[[], Any], tmp_path: Path) -> Path:
    """Give a file with a scale of 0: the built-in ADD dies of it, or XNNPACK's QUANTIZE."""
    graph = tiny_graph()
    op, shape = request.param, (1, 8, 8, 3)
    x, y = graph.tensor("x", shape, "int8", 0.1), graph.tensor("y", (1, 8, 8, 3), "int8", 0.0)
    options = schema.AddOptionsT() if op == "ADD" else None
    graph.op(op, [x, x] if op == "ADD" else [x], y, 2, options)
    file = tmp_path / f"{op}.tflite"
    file.write_bytes(graph.build([x], [y]))
    return file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a folder with one picture to score on."""
    images = tmp_path / "data" / "images"
    images.mkdir(parents=True)
    cv2.imwrite(str(images / "one.png"), np.zeros((8, 8, 3), np.uint8))
    return images.parent


def test_convert(refuse: Run, deadly: Path, data: Path) -> None:
    out = deadly.parent / "out"
    said = refuse(
        "convert", deadly, "--input-range", "0,1", "--output-channel", "0", "--no-benchmark",
        "--validation", data, "--out", out,
    )  # fmt: skip
    assert f"{deadly.stem} with the scale 0 of 'y'" in said


def test_verify(refuse: Run, deadly: Path, data: Path) -> None:
    said = refuse("verify", deadly, deadly, "--data", data, "--input-range", "0,1")
    assert f"{deadly.stem} with the scale 0 of 'y'" in said


def test_benchmark(run: Run, deadly: Path) -> None:
    measured = ("--delegate", "xnnpack", "--runs", "1", "--processes", "1")
    said = run("-q", "benchmark", deadly, *measured)
    assert said.code == 2
    assert f"{deadly.stem} with the scale 0 of 'y'" in said.err
    assert "Traceback" not in said.err


def test_audit_tells_all_the_rest(run: Run, deadly: Path) -> None:
    said = run("-q", "audit", deadly)
    assert said.code == 0
    assert f"the runtime ends the process on {deadly.stem}" in " ".join(said.out.split())

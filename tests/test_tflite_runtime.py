"""Our int8 files on tflite-runtime 2.14, the last of its line, in an interpreter of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from click.testing import CliRunner

from portrait_tflite.cli.main import group
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.errors import UnavailableError, UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.runtime_worker import run_on_tflite_runtime
from portrait_tflite.tensor_values import random_input
from portrait_tflite.tflite_runtime_python import (
    PYTHON_OPTION,
    PYTHON_VARIABLE,
    find_tflite_runtime,
)
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]


@pytest.fixture
def old_runtime(require_or_skip: Callable[[str], NoReturn]) -> None:
    """Leave the test where there is no tflite-runtime."""
    if not os.environ.get(PYTHON_VARIABLE):
        require_or_skip(f"{PYTHON_VARIABLE} names no Python with tflite-runtime 2.14")


needs_runtime = pytest.mark.usefixtures("old_runtime")


@needs_runtime
def test_int8_gives_the_bytes_of_litert(relu_net: Build, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(mend_model(relu_net()).data)
    runner = open_model(path, Delegate.CPU)
    image = random_input(runner.inputs[0], np.random.default_rng(0))
    expected = runner.run(image)
    results = run_on_tflite_runtime(path, [image])
    assert [array.dtype for array in results] == [np.dtype(np.int8)]
    assert len(np.unique(results[0])) > 20  # not a comparison of constants
    assert [array.tobytes() for array in results] == [array.tobytes() for array in expected]


@needs_runtime
def test_depthwise_differs_by_one_step_at_most(tiny_graph: Build, tmp_path: Path) -> None:
    """The two built-in depthwise kernels round near-ties differently, so bytes are not promised."""
    rng = np.random.default_rng(0)
    graph = tiny_graph()
    scales = rng.uniform(0.001, 0.002, 8)
    x = graph.tensor("x", (1, 64, 64, 8), "int8", 0.0861134, -122)
    weights = graph.tensor(
        "w", (1, 3, 3, 8), "int8", scales, data=rng.integers(-127, 128, (1, 3, 3, 8)), axis=3
    )
    bias = graph.tensor("b", (8,), "int32", scales * 0.0861134, data=rng.integers(-4000, 4000, 8))
    y = graph.tensor("y", (1, 64, 64, 8), "int8", 0.1137318, -6)
    options = schema.DepthwiseConv2DOptionsT(
        strideW=1, strideH=1, depthMultiplier=1, dilationWFactor=1, dilationHFactor=1
    )
    graph.op("DEPTHWISE_CONV_2D", [x, weights, bias], y, 3, options)
    path = tmp_path / "net.tflite"
    path.write_bytes(graph.build([x], [y]))
    runner = open_model(path, Delegate.CPU)
    image = random_input(runner.inputs[0], rng)
    steps = run_on_tflite_runtime(path, [image])[0].astype(int) - runner.run(image)[0]
    assert np.abs(steps).max() <= 1
    assert np.count_nonzero(steps) < 0.02 * steps.size


@needs_runtime
def test_a_file_that_it_refuses_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"garbage" * 10)
    with pytest.raises(UsageError, match="tflite-runtime"):
        run_on_tflite_runtime(path, [])


def test_without_one_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match=r"pip install tflite-runtime==2\.14\.0"):
        find_tflite_runtime()


def test_this_interpreter_will_do_where_the_extra_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert find_tflite_runtime() == Path(sys.executable)


def test_the_argument_goes_before_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "other"))
    assert find_tflite_runtime(Path(sys.executable)) == Path(sys.executable)
    with pytest.raises(UnavailableError, match="no such file"):
        find_tflite_runtime()


def test_the_command_lines_option_goes_before_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "other"))
    runner = CliRunner()
    assert runner.invoke(group, [PYTHON_OPTION, sys.executable, "models", "-h"]).exit_code == 0
    assert find_tflite_runtime() == Path(sys.executable)
    assert runner.invoke(group, [PYTHON_OPTION, "nowhere", "models", "-h"]).exit_code == 0
    with pytest.raises(UnavailableError, match=r"nowhere \(no such file\).*--tflite-runtime"):
        find_tflite_runtime()


def test_an_interpreter_without_the_package_is_unavailable(relu_net: Build, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(UnavailableError, match="ModuleNotFoundError"):
        run_on_tflite_runtime(path, [], bare)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        run_on_tflite_runtime(tmp_path / "none.tflite", [])

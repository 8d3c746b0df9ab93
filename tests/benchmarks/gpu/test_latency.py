"""Files on the GPU: real runs, and what must not pass for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.gpu import doubts, one_process
from portrait_tflite.benchmarks.gpu import latency as gpu
from portrait_tflite.benchmarks.gpu.adapters import Adapter
from portrait_tflite.benchmarks.gpu.latency import measure_gpu
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import Floats
from portrait_tflite.vocabulary import BenchmarkResult, Delegate, Fault

Build = Callable[..., Any]


def on_gpu(path: Path, *arguments: Any, **options: Any) -> BenchmarkResult:
    return measure_gpu(Cell("net", path, Delegate.GPU), *arguments, **options)


def assert_no_figure(row: BenchmarkResult) -> None:
    assert row.latency_ms is None
    assert row.init_ms is None
    assert row.against_cpu is None
    assert row.runs == 0
    assert len(row.unavailable.splitlines()) == 1


@pytest.fixture(scope="session")
def photos() -> list[Floats]:
    rng = np.random.default_rng(1)
    return [rng.random((1, 8, 8, 4), np.float32) for _ in range(2)]


def test_a_float_net_runs_there_and_computes_what_the_cpu_does(
    adapter: Adapter, mask_net: Path
) -> None:
    row = on_gpu(mask_net, runs=2)
    assert row.unavailable == ""
    assert row.fully_accelerated
    assert (row.delegate, row.precision, row.accelerator) == ("gpu", "float32", gpu.ACCELERATOR)
    assert row.software == adapter.software
    assert row.adapter
    assert row.computed_in in {"float16", "float32"}
    assert row.against_cpu
    # Other sums than the CPU's: equal bits would be its own.
    assert 0 < row.against_cpu.max_abs < 0.01
    assert row.against_cpu.iou > 0.95
    assert row.latency_ms
    assert min(row.latency_ms.median, row.init_ms or 0, row.first_ms or 0) > 0
    assert (row.runs, row.processes, len(row.samples_ms[0])) == (2, 1, 2)
    assert doubts.ON_NOISE in row.warnings
    assert (doubts.SOFTWARE in row.warnings) == row.software
    assert not (row.software and row.stable)


def test_pictures_are_compared_by_the_mask_that_is_chosen(
    adapter: Adapter, mask_net: Path, photos: list[Floats]
) -> None:
    seen: list[Floats] = []

    def second_channel(outputs: Sequence[Floats]) -> Floats:
        seen.append(outputs[0][0, ..., 1])
        return seen[-1]

    row = on_gpu(mask_net, photos, 1, mask_of=second_channel)
    assert doubts.ON_NOISE not in row.warnings
    assert doubts.FAR_OFF not in row.warnings
    runner = open_model(mask_net, Delegate.CPU)
    for of_gpu, of_cpu, photo in zip(seen[::2], seen[1::2], photos, strict=True):
        np.testing.assert_array_equal(of_cpu, runner.run(photo)[0][0, ..., 1])
        np.testing.assert_allclose(of_gpu, of_cpu, atol=0.01)
    assert row.against_cpu
    differences = [np.abs(a - b).max() for a, b in zip(seen[::2], seen[1::2], strict=True)]
    assert row.against_cpu.max_abs == max(differences)


def test_a_mask_far_from_the_cpus_is_warned_of(
    adapter: Adapter, mask_net: Path, photos: list[Floats]
) -> None:
    masks = iter([np.eye(8, dtype=np.float32), np.ones((8, 8), np.float32)])
    row = on_gpu(mask_net, photos[:1], 1, mask_of=lambda _: next(masks))
    assert row.against_cpu
    assert row.against_cpu.iou == 1 / 8
    assert doubts.FAR_OFF in row.warnings


def test_a_net_that_the_cpu_ran_is_refused(
    adapter: Adapter, mask_net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The runtime calls this fully accelerated, too.
    monkeypatch.setattr(one_process, "STRICT", "CPU")
    row = on_gpu(mask_net)
    assert "the outputs are those of xnnpack bit for bit" in row.unavailable
    assert row.fully_accelerated is False
    assert_no_figure(row)


def test_integers_that_the_cpu_computed_are_refused_too(
    adapter: Adapter, relu_net: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "int8.tflite"
    path.write_bytes(mend_model(relu_net()).data)  # all of it is XNNPACK's
    assert doubts.SIMULATED in on_gpu(path, runs=1).warnings
    monkeypatch.setattr(one_process, "STRICT", "CPU")
    row = on_gpu(path, runs=1)
    assert "the runtime named no adapter" in row.unavailable
    assert_no_figure(row)


def test_ops_that_stay_on_the_cpu_are_named(
    adapter: Adapter, tiny_graph: Build, tmp_path: Path
) -> None:
    graph = tiny_graph()
    x = graph.tensor("x", (1, 8, 8, 4), "float32")
    y = graph.tensor("y", (1, 8, 8, 4), "float32")
    z = graph.tensor("z", (1, 8, 8, 2, 2), "float32")
    shape = graph.tensor("shape", (5,), "int32", data=[1, 8, 8, 2, 2])
    graph.op("LOGISTIC", [x], y)
    graph.op("RESHAPE", [y, shape], z, 1, schema.ReshapeOptionsT(newShape=[1, 8, 8, 2, 2]))
    path = tmp_path / "rank5.tflite"
    path.write_bytes(graph.build([x], [z]))
    row = on_gpu(path)
    assert row.unavailable.startswith("not fully accelerated: 1 of 2 ops would run on the CPU")
    assert "RESHAPE" in row.unavailable
    assert row.fully_accelerated is False
    assert_no_figure(row)


def test_outputs_keep_the_files_order(adapter: Adapter, tiny_graph: Build, tmp_path: Path) -> None:
    graph = tiny_graph()
    a, b = (graph.tensor(n, (1, s, s, 4), "float32") for n, s in (("a", 8), ("b", 4)))
    x, y = (graph.tensor(n, (1, s, s, 4), "float32") for n, s in (("x", 8), ("y", 4)))
    graph.op("LOGISTIC", [a], x)
    graph.op("TANH", [b], y)
    path = tmp_path / "two.tflite"
    path.write_bytes(graph.build([b, a], [y, x]))
    shapes: list[tuple[int, ...]] = []

    def second(outputs: Sequence[Floats]) -> Floats:
        shapes.extend(output.shape for output in outputs)
        return outputs[1][0, ..., 0]

    row = on_gpu(path, (), 1, mask_of=second)
    assert row.unavailable == ""
    assert shapes == [(1, 4, 4, 4), (1, 8, 8, 4)] * 2
    assert row.against_cpu
    assert row.against_cpu.max_abs < 0.01


def test_a_custom_op_is_one_cells_reason(
    adapter: Adapter, tiny_graph: Build, tmp_path: Path
) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 8, 8, 4), "float32") for name in "xy")
    graph.op("CUSTOM", [x], y)
    graph.model.operatorCodes[-1].customCode = b"FancyOp"
    path = tmp_path / "custom.tflite"
    path.write_bytes(graph.build([x], [y]))
    row = on_gpu(path)
    assert "FancyOp" in row.unavailable
    assert row.fault is Fault.FILE
    assert_no_figure(row)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no such file"), (b"", "an empty file"), (b"garbage" * 20, "another kind of file")],
)
def test_what_is_no_model_is_one_cells_reason(
    adapter: Adapter, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "none.tflite"
    if content is not None:
        path.write_bytes(content)
    row = on_gpu(path)
    assert (row.unavailable, row.fault) == (reason, Fault.FILE)
    assert_no_figure(row)


def test_without_an_adapter_nothing_is_run(mask_net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nowhere/icd.json")
    monkeypatch.setattr(gpu, "GpuSession", None)
    row = on_gpu(mask_net)
    assert "none by the driver that is named: /nowhere/icd.json" in row.unavailable
    assert (row.adapter, row.fault) == ("", Fault.MACHINE)
    assert_no_figure(row)

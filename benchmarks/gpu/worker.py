"""Runs a model on the GPU when told to: `python -m …benchmarks.gpu.worker LOG DRIVER`.

A driver that crashes takes its process with it, so each model has one of its own. What the runtime
says while it works goes to LOG; DRIVER is the file of the only driver to be used, or empty.
Commands, as `worker_side.serve` reads them:

    ["load", path, images]                the file and its inputs; images: npz, or "" for noise
    ["reference", delegate, target]       outputs of the CPU's kernels → npz
    ["open", accelerator, enforce_f32]    init_ms; full: no op left to the CPU
    ["run", target]                       first_ms; outputs → npz
    ["time", runs]                        ms: one per run
    ["warm_up", limit]                    runs: how many it took; settled: whether timings did

Outputs are real values, `output_IMAGE_NUMBER`. Imports no TensorFlow.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from portrait_tflite.benchmarks.gpu.adapters import driver_environment
from portrait_tflite.benchmarks.host.worker import settle
from portrait_tflite.benchmarks.worker_side import serve
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import Array, random_input, to_real, to_stored
from portrait_tflite.vocabulary import Delegate, TensorInfo


class GpuWorker:
    """The file that was loaded and the model that was compiled of it."""

    def __init__(self) -> None:
        self._path = Path()
        self._inputs: list[list[Array]] = []
        self._outputs: tuple[TensorInfo, ...] = ()
        self._compiled: _Compiled | None = None

    def load(self, path: str, images: str) -> dict[str, list[str]]:
        """Open the file on the built-in kernels, and make its inputs."""
        self._path = Path(path)
        runner = open_model(self._path, Delegate.CPU)
        self._outputs = runner.outputs
        self._inputs = _make_inputs(runner.inputs, images)
        return {"output_dtypes": [info.dtype for info in runner.outputs]}

    def reference(self, delegate: str, target: str) -> dict[str, str]:
        """Run every input on a delegate of the CPU."""
        runner = open_model(self._path, Delegate(delegate))
        self._save(target, [runner.run(*arrays) for arrays in self._inputs])
        return {}

    def open(self, accelerator: str, enforce_f32: bool) -> dict[str, Any]:
        """Compile the file for an accelerator of the runtime, and no other."""
        self._compiled = None  # its memory, before as much is asked for again
        self._compiled = _Compiled(self._path, accelerator, enforce_f32, self._outputs)
        return {"init_ms": self._compiled.init_ms, "full": self._compiled.full}

    def run(self, target: str) -> dict[str, float]:
        """Run every input on the compiled model; time the first."""
        compiled = self._model()
        results, times_ms = [], []
        for arrays in self._inputs:
            start = time.perf_counter_ns()
            results.append(compiled.run(arrays))
            times_ms.append((time.perf_counter_ns() - start) / 1e6)
        self._save(target, results)
        return {"first_ms": times_ms[0]}

    def warm_up(self, limit: int) -> dict[str, Any]:
        """Run until the timings have settled."""
        return settle(self._time_once, limit)._asdict()

    def time(self, runs: int) -> dict[str, list[float]]:
        """Time inferences as an app meets them: input there, output back."""
        return {"ms": [self._time_once() for _ in range(runs)]}

    def _time_once(self) -> float:
        compiled, arrays = self._model(), self._inputs[0]
        start = time.perf_counter_ns()
        compiled.run(arrays)
        return (time.perf_counter_ns() - start) / 1e6

    def _model(self) -> _Compiled:
        if self._compiled is None:
            raise ValueError("a compiled model is required. Received: none.")
        return self._compiled

    def _save(self, target: str, results: Sequence[Sequence[Array]]) -> None:
        named = {
            f"output_{image}_{number}": to_real(array, info)
            for image, outputs in enumerate(results)
            for number, (array, info) in enumerate(zip(outputs, self._outputs, strict=True))
        }
        np.savez(target, **dict[str, Any](named))  # Any: it has options of its own


class _Compiled:
    """A model compiled for one accelerator, with its buffers.

    Attributes:
        init_ms: What compiling took, with starting the GPU.
        full: Whether the runtime says that no op is left over.
    """

    def __init__(
        self, path: Path, accelerator: str, enforce_f32: bool, outputs: Sequence[TensorInfo]
    ) -> None:
        from ai_edge_litert import compiled_model as runtime

        options = runtime.Options(
            hardware_accelerators=runtime.HardwareAccelerator[accelerator],
            gpu_options=runtime.GpuOptions(enforce_f32=enforce_f32),
        )
        start = time.perf_counter_ns()
        model = runtime.CompiledModel.from_file(str(path), options=options)
        self.init_ms = (time.perf_counter_ns() - start) / 1e6
        self.full: bool = model.is_fully_accelerated()
        self._model = model
        self._key = key = next(iter(model.get_signature_list()))
        graph = read_model(path).subgraphs[0]
        self._into = {
            name: model.create_input_buffer_by_name(key, name)
            for name in _in_order(graph.inputs, model.get_input_tensor_details(key))
        }
        self._out_of = {
            name: model.create_output_buffer_by_name(key, name)
            for name in _in_order(graph.outputs, model.get_output_tensor_details(key))
        }
        self._infos = outputs

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run once on one array per input; reading the outputs waits for the GPU."""
        for buffer, array in zip(self._into.values(), arrays, strict=True):
            buffer.write(array)
        self._model.run_by_name(self._key, self._into, self._out_of)
        return [
            buffer.read(math.prod(info.shape), info.dtype).reshape(info.shape)
            for buffer, info in zip(self._out_of.values(), self._infos, strict=True)
        ]


def _in_order(tensors: Sequence[int], details: dict[str, Any]) -> list[str]:
    """Name a signature's tensors in the graph's order, which need not be its own."""
    names = {found["index"]: name for name, found in details.items()}
    return [names[int(tensor)] for tensor in tensors]


def _make_inputs(infos: Sequence[TensorInfo], images: str) -> list[list[Array]]:
    """Return the arrays of each run: noise, or pictures.

    Where there are several inputs, pictures go to that of their shape; any other is a previous
    mask, and empty as at the start of a video.
    """
    if not images:
        rng = np.random.default_rng(0)
        return [[random_input(info, rng) for info in infos]]
    with np.load(images) as stored:
        pictures = [stored[name] for name in stored.files]
    if len(infos) == 1:
        return [[to_stored(picture, infos[0])] for picture in pictures]
    return [[to_stored(_fed(picture, info.shape), info) for info in infos] for picture in pictures]


def _fed(picture: Array, shape: tuple[int, ...]) -> Array:
    return picture if picture.shape == shape else np.zeros(shape, np.float32)


def main(log: str, driver: str = "") -> None:
    """Serve; `driver` is the only one that Vulkan's loader may take, if it is not empty."""
    os.environ.update(driver_environment(driver))
    # A file outlives a crash: the parent reads there what was said last.
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    serve(GpuWorker())


if __name__ == "__main__":
    main(*sys.argv[1:])

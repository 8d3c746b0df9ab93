"""A model in a worker process of its own that runs it on the GPU."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from portrait_tflite.benchmarks.statistics import WarmUp
from portrait_tflite.benchmarks.worker_process import PATIENCE_S, WorkerProcess
from portrait_tflite.tensor_values import Floats
from portrait_tflite.vocabulary import Delegate

GPU_WORKER = "portrait_tflite.benchmarks.gpu.worker"

Runs = list[list[Floats]]
"""Outputs of each run, in real values."""


class GpuSession:
    """One file on one adapter; a context manager that ends the worker whatever happens.

    Its methods raise WorkerError where the runtime refuses, crashes or hangs.

    Args:
        driver: File of the driver to be used; empty for those that Vulkan's loader finds.
        patience_s: Seconds after which a worker that does not answer is taken to hang.
    """

    def __init__(self, driver: str, patience_s: float = PATIENCE_S) -> None:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="portrait-tflite-"))
            self._folder = Path(folder)
            self._log = self._folder / "log"
            self._worker = stack.enter_context(
                WorkerProcess(GPU_WORKER, str(self._log), driver, patience_s=patience_s)
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def load(self, path: Path, images: Sequence[Floats] = ()) -> tuple[str, ...]:
        """Open a file on the built-in kernels; return the dtypes of its outputs.

        Args:
            images: First inputs `[1, h, w, c]` in real values; noise where there are none.
        """
        source = ""
        if images:
            source = str(self._folder / "images.npz")
            np.savez(source, *images)
        return tuple(self._worker.ask("load", str(path.absolute()), source)["output_dtypes"])

    def run_on_cpu(self, delegate: Delegate) -> Runs:
        """Run every input on a delegate of the CPU."""
        target = self._folder / f"{delegate}.npz"
        self._worker.ask("reference", delegate.value, str(target))
        return _read(target)

    def open(self, accelerator: str, *, enforce_f32: bool = False) -> dict[str, Any]:
        """Compile for an accelerator of the runtime; `init_ms`, and whether it is `full`."""
        return self._worker.ask("open", accelerator, enforce_f32)

    def run(self) -> tuple[Runs, float]:
        """Run every input on what was compiled; the outputs, and the ms that the first took."""
        target = self._folder / "compiled.npz"
        answer = self._worker.ask("run", str(target))
        return _read(target), float(answer["first_ms"])

    def warm_up(self, limit: int) -> WarmUp:
        """Run until timings have settled, `limit` times at most."""
        return WarmUp(**self._worker.ask("warm_up", limit))

    def time(self, runs: int) -> tuple[float, ...]:
        """Time single inferences, in ms: from the input in memory to the output in memory."""
        return tuple(self._worker.ask("time", runs)["ms"])

    def said(self) -> str:
        """Return what the runtime has said so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def _read(target: Path) -> Runs:
    """Read `output_IMAGE_NUMBER` back into a list per image."""
    runs: Runs = []
    with np.load(target) as stored:
        for name in stored.files:
            image = int(name.split("_")[1])
            runs += [[] for _ in range(image + 1 - len(runs))]
            runs[image].append(stored[name])
    return runs

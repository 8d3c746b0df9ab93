"""A file's outputs on the GPU, picture by picture: for accuracy, not for timing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from portrait_tflite.benchmarks.gpu.adapters import Adapter, find_adapter
from portrait_tflite.benchmarks.gpu.messages import explain, left_out, selected_adapter
from portrait_tflite.benchmarks.gpu.one_process import STRICT
from portrait_tflite.benchmarks.gpu.proof import find_fallback
from portrait_tflite.benchmarks.gpu.session import GpuSession
from portrait_tflite.benchmarks.worker_process import WorkerError
from portrait_tflite.errors import UnavailableError
from portrait_tflite.tensor_values import Floats
from portrait_tflite.vocabulary import Delegate


class GpuOutputs:
    """Runs a file on the GPU, in a process of its own; a context manager that ends it.

    Attributes:
        adapter: What it runs on, by the runtime's own word where that gave one.
    """

    def __init__(self, path: Path) -> None:
        """Compile a file for the GPU alone.

        Raises:
            UnavailableError: There is no adapter, or ops would be left to the CPU.
        """
        self.adapter: Adapter = find_adapter()
        self._path = path
        with ExitStack() as stack:
            self._session = stack.enter_context(GpuSession(self.adapter.driver))
            try:
                floats = "float32" in self._session.load(path)
                self._prove(full=bool(self._session.open(STRICT)["full"]), floats=floats)
            except WorkerError as error:
                raise self._refused(str(error)) from error
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

    def __call__(self, inputs: Sequence[Floats]) -> Sequence[Floats]:
        """Return all outputs, in real values; one array goes into each input.

        Raises:
            UnavailableError: The GPU gave up.
        """
        try:
            self._session.load(self._path, list(inputs))
            return self._session.run()[0][0]
        except WorkerError as error:
            raise self._refused(str(error)) from error

    def _prove(self, *, full: bool, floats: bool) -> None:
        """Hold the GPU's outputs for noise against the CPU's: the runtime's word is not enough.

        On pictures a mask may be 0 and 1 throughout, on whatever it was computed.
        """
        outputs, _ = self._session.run()
        selected = selected_adapter(self._session.said())
        on_cpu = {name: self._session.run_on_cpu(name) for name in (Delegate.CPU, Delegate.XNNPACK)}
        fallback = find_fallback(full, selected, outputs, on_cpu, floats=floats)
        if fallback:
            raise self._refused(fallback)
        self.adapter = selected or self.adapter

    def _refused(self, error: str) -> UnavailableError:
        said = self._session.said()
        reason = left_out(said) or explain(error, said)
        return UnavailableError(
            f"a .tflite that runs on the GPU alone is required. Received: {self._path}: {reason}. "
            "See `audit` of the file, or leave out gpu."
        )

"""An aarch64 Python under QEMU that loads, runs and counts models.

Nothing is written to disk: models go through a pipe, counts come back through a file in memory, so
that a run that is killed leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from portrait_tflite.benchmarks.arm.block_reports import BlockReports
from portrait_tflite.benchmarks.arm.conversation import Conversation, EndedError
from portrait_tflite.benchmarks.arm.counts import Counts
from portrait_tflite.tensor_values import Array
from portrait_tflite.vocabulary import TensorInfo

CPU = "cortex-a76"  # has dot products and arithmetic on 16-bit floats, as phones do since 2018

_WORKER = Path(__file__).with_name("worker.py")
_LAUNCHER = Path(__file__).with_name("launch.py")

# Of the emulated Python; a fixed hash seed, for dictionaries that take equally long, and no threads
# of NumPy's, since `counter.c` is made for one.
_ENVIRONMENT = ("PYTHONHOME=/usr", "PYTHONHASHSEED=0", "LC_ALL=C.UTF-8", "OPENBLAS_NUM_THREADS=1")
_LAST_WORDS = 2000
# Python rewrites code that it has run about ten times; what two marks take is the same after that.
_FIRST_MARKS = 16


class EmulatorError(Exception):
    """The emulated program crashed or took too long; the text says which."""


class RefusedModelError(Exception):
    """The runtime does not load or run the model; the text is the runtime's."""


@dataclass(frozen=True)
class Program:
    """What is started.

    Attributes:
        qemu: The emulator, with plugins.
        counter: The compiled `counter.c`.
        root: Folder that stands for the root of the emulated machine.
        site: Folder with its Python packages.
    """

    qemu: str
    counter: Path
    root: Path
    site: Path


@dataclass(frozen=True)
class Loaded:
    """A model as the emulated runtime sees it."""

    partitions: int
    inputs: tuple[TensorInfo, ...]


class Emulator:
    """One emulated process; use it in a `with` block."""

    def __init__(self, program: Program, timeout_s: float, *, compiling: bool = False) -> None:
        """Start it; the first request waits for some seconds until it is up.

        Args:
            timeout_s: The longest that one request may take.
            compiling: Let it leave compiled Python modules behind, for quicker starts.
        """
        self._timeout_s = timeout_s
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        reports = os.memfd_create("arm-counts")
        self._reports = os.fdopen(reports, "rb", 0)
        self._reader = BlockReports(reports)
        self._process = _start(program, reports, self._said, compiling)
        self._conversation = Conversation(self._process)
        self._marks: Counts | None = None
        self.running = True

    def __enter__(self) -> Emulator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def kill(self) -> None:
        """End it at once; another thread that waits for an answer is told that it stopped."""
        self.running = False
        self._process.kill()

    def close(self) -> None:
        """End it and free what it held."""
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said, self._reports):
            assert stream is not None
            stream.close()

    def hello(self) -> None:
        """Import the runtime.

        Raises:
            EmulatorError: It crashed, or took too long; this emulator is of no more use.
        """
        self._ask("hello")

    def load(self, model: bytes, *, xnnpack: bool) -> Loaded:
        """Load a model in place of the one before.

        Raises:
            RefusedModelError: The runtime does not take it.
            EmulatorError: It crashed, or took too long; this emulator is of no more use.
        """
        reply, _ = self._ask("load", model, xnnpack=xnnpack)
        return Loaded(reply["partitions"], tuple(map(_tensor_info, reply["inputs"])))

    def set_inputs(self, arrays: Sequence[Array]) -> None:
        """Copy one array per input; raises as `load`."""
        self._ask("set_inputs", b"".join(array.tobytes() for array in arrays))

    def count(self, runs: int = 1) -> Counts:
        """Run the model so many times and return what all runs took; raises as `load`."""
        marks = self.marks()
        return self._count(runs) - marks

    def marks(self) -> Counts:
        """Return what two marks take with nothing between them; raises as `hello`."""
        if self._marks is None:
            for _ in range(_FIRST_MARKS):
                self._marks = self._count(0)
            assert self._marks is not None
        return self._marks

    def outputs(self) -> list[Array]:
        """Run the model once and return its outputs; raises as `load`."""
        reply, data = self._ask("outputs")
        arrays, offset = [], 0
        for info in map(_tensor_info, reply["outputs"]):
            values = np.frombuffer(data, info.dtype, int(np.prod(info.shape)), offset)
            offset += values.nbytes
            arrays.append(values.reshape(info.shape))
        return arrays

    def _count(self, runs: int) -> Counts:
        self._ask("count", runs=runs)
        return self._reader.read()

    def _ask(self, what: str, data: bytes = b"", **options: Any) -> tuple[dict[str, Any], bytes]:
        head = json.dumps({"do": what, "bytes": len(data), **options}).encode()
        try:
            self._conversation.send(head + b"\n" + data, self._timeout_s)
            reply: dict[str, Any] = json.loads(self._conversation.read_line())
            if "error" in reply:
                raise RefusedModelError(reply["error"])
            return reply, self._conversation.read(reply["bytes"])
        except EndedError:
            raise self._stopped() from None
        except TimeoutError:
            self.running = False
            raise EmulatorError(f"the runtime took longer than {self._timeout_s:g} s") from None

    def _stopped(self) -> EmulatorError:
        self.running = False
        code = self._process.wait()
        self._said.seek(0, os.SEEK_SET)
        lines = self._said.read()[-_LAST_WORDS:].decode(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "nothing was said")
        how = f"crashed ({signal.Signals(-code).name})" if code < 0 else f"ended with code {code}"
        return EmulatorError(f"the runtime {how}: {last.strip()[:200]}")


def _start(
    program: Program, reports: int, said: IO[bytes], compiling: bool
) -> subprocess.Popen[bytes]:
    python = program.root / "usr" / "bin" / "python3.11"
    command = [
        *(program.qemu, "-cpu", CPU, "-L", str(program.root)),
        *("-plugin", f"{program.counter},fd={reports}"),
        *(part for variable in _ENVIRONMENT for part in ("-E", variable)),
        *(str(python), "-S", "-s", *([] if compiling else ["-B"])),
        *(str(_WORKER), str(program.site)),
    ]
    return subprocess.Popen(
        [sys.executable, "-S", str(_LAUNCHER), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        cwd="/",
        env={},
        pass_fds=[reports],
        start_new_session=True,  # Ctrl-C is ours to handle
    )


def _tensor_info(described: dict[str, Any]) -> TensorInfo:
    return TensorInfo(
        described["name"], tuple(described["shape"]), described["dtype"], scale=0.0, zero_point=0
    )

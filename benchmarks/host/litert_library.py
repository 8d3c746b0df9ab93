"""LiteRT's C library, for the one thing that its Python packages do not offer: its profiler.

`libLiteRt` of the ai-edge-litert wheel times every op where it runs: the built-in kernels by the
node's index in the file, and XNNPACK's operators inside of the delegate, where nothing outside can
look. Declarations follow `litert/c/*.h` of LiteRT 2.x, which the project's metadata pins.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from portrait_tflite.errors import UnavailableError, UsageError

_Handle = ctypes.c_void_p
_Size = ctypes.c_size_t
_CPU = 1  # kLiteRtHwAcceleratorCpu
_LOCK_FOR_WRITING = 1  # kLiteRtTensorBufferLockModeWrite
_TENSOR_TYPE_BYTES = 128  # LiteRtRankedTensorType has 72; it is only handed on
_RUNTIME_OPTIONS, _CPU_OPTIONS = b"runtime_options_string", b"xnnpack"


class ProfiledEvent(ctypes.Structure):
    """`ProfiledEventData`: `index` is the node's or, inside of a delegate, the operator's."""

    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", _Size * 6),
        ("index", ctypes.c_uint64),
        ("subgraph", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


class ProfiledModel:
    """A compiled model whose profiler is on; it lives as long as its process.

    Args:
        path: The file.
        kernels: `delegate` for XNNPACK, `builtin` for the built-in kernels.
        threads: Threads per inference.

    Raises:
        UnavailableError: The wheel holds no such library.
        UsageError: LiteRT refuses the file.
    """

    def __init__(self, path: Path, kernels: str, threads: int) -> None:
        self._library = _load()
        self._environment = self._made("LiteRtCreateEnvironment", 0, None)
        model = self._made("LiteRtCreateModelFromFile", self._environment, str(path).encode())
        options = self._options(kernels, threads)
        self._model = self._made("LiteRtCreateCompiledModel", self._environment, model, options)
        self._profiler = self._made("LiteRtCompiledModelGetProfiler", self._model)
        signature = self._made("LiteRtGetModelSignature", model, _Size(0))
        self.inputs = self._buffers(signature, "Input")
        self._ends = self._array(self.inputs), self._array(self._buffers(signature, "Output"))

    def write(self, buffer: ctypes.c_void_p, data: bytes) -> None:
        """Fill an input."""
        address = self._made_before("LiteRtLockTensorBuffer", buffer, last=_LOCK_FOR_WRITING)
        ctypes.memmove(address, data, len(data))
        self._call("LiteRtUnlockTensorBuffer", buffer)

    def run(self) -> None:
        """Run once without recording."""
        inputs, outputs = self._ends
        counts = _Size(len(inputs)), _Size(len(outputs))
        self._call(
            "LiteRtRunCompiledModel", self._model, _Size(0), counts[0], inputs, counts[1], outputs
        )

    def run_recorded(self) -> list[ProfiledEvent]:
        """Run once; return what happened, in order."""
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        self.run()
        self._call("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (ProfiledEvent * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        return list(events)

    def _options(self, kernels: str, threads: int) -> ctypes.c_void_p:
        options = self._made("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        self._add_options(options, _RUNTIME_OPTIONS, "enable_profiling = true\n")
        cpu = f'kernel_mode = "{kernels}"\nnum_threads = {threads}\n'
        self._add_options(options, _CPU_OPTIONS, cpu)
        return options

    def _add_options(self, options: ctypes.c_void_p, name: bytes, toml: str) -> None:
        system = ctypes.CDLL(None)
        system.strdup.restype = _Handle
        release = ctypes.cast(system.free, _Handle)
        payload = _Handle(system.strdup(toml.encode()))
        added = self._made("LiteRtCreateOpaqueOptions", name, payload, release)
        self._call("LiteRtAddOpaqueOptions", options, added)

    def _buffers(self, signature: ctypes.c_void_p, end: str) -> list[ctypes.c_void_p]:
        count = _Size()
        self._call(f"LiteRtGetNumSignature{end}s", signature, ctypes.byref(count))
        return [self._buffer(signature, end, _Size(number)) for number in range(count.value)]

    def _buffer(
        self, signature: ctypes.c_void_p, end: str, number: ctypes.c_size_t
    ) -> ctypes.c_void_p:
        tensor = self._made(f"LiteRtGetSignature{end}TensorByIndex", signature, number)
        kind = (ctypes.c_char * _TENSOR_TYPE_BYTES)()
        self._call("LiteRtGetRankedTensorType", tensor, ctypes.byref(kind))
        needs = self._made(
            f"LiteRtGetCompiledModel{end}BufferRequirements", self._model, _Size(0), number
        )
        return self._made(
            "LiteRtCreateManagedTensorBufferFromRequirements",
            self._environment, ctypes.byref(kind), needs,
        )  # fmt: skip

    @staticmethod
    def _array(buffers: Sequence[ctypes.c_void_p]) -> Any:
        return (_Handle * len(buffers))(*buffers)

    def _made(self, function: str, *arguments: Any) -> ctypes.c_void_p:
        """Call a function whose last argument is where the handle goes."""
        handle = _Handle()
        self._call(function, *arguments, ctypes.byref(handle))
        return handle

    def _made_before(self, function: str, *arguments: Any, last: Any) -> ctypes.c_void_p:
        handle = _Handle()
        self._call(function, *arguments, ctypes.byref(handle), last)
        return handle

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise UsageError(
                f"a .tflite that LiteRT's profiler runs is required. Received: one for which "
                f"{function} failed with status {status}."
            )


def _load() -> ctypes.CDLL:
    package = find_spec("ai_edge_litert")
    folders = package.submodule_search_locations if package else None
    found = [path for folder in folders or () for path in sorted(Path(folder).glob("libLiteRt.*"))]
    try:
        return ctypes.CDLL(str(found[0]))
    except (IndexError, OSError) as error:
        raise UnavailableError(
            f"ai-edge-litert with its C library libLiteRt is required. Received: {error}."
        ) from error

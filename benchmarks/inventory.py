"""What this machine has for running and measuring models, what it lacks, and what to do about it.

Delegates are found out by running a network of one op on them, in processes of their own; runtimes
by their metadata, so that TensorFlow need not be imported; programs by asking for their version.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from portrait_tflite.benchmarks.machine import read_versions
from portrait_tflite.benchmarks.worker_process import WorkerError, WorkerProcess
from portrait_tflite.errors import UnavailableError
from portrait_tflite.tflite_runtime_python import find_tflite_runtime
from portrait_tflite.vocabulary import ARM_MODEL, Delegate

_TIMEOUT_S = 20
_PATIENCE_S = 60.0  # for importing the runtime and one run
_NUMBER = re.compile(r"\d+(?:\.\d+)+\S*")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_NO_SPEED = "its latency is no speed: install the Vulkan driver of a GPU to measure that"
_OTHER_RUNTIME = "pip install --force-reinstall ai-edge-litert, or another version of it"
_OLD_RUNTIME = "'tflite-runtime==2.14.0' 'numpy<2'"  # as in pyproject.toml
_TFLITE_RUNTIME = "import importlib.metadata as m; print(m.version('tflite-runtime'))"


class Verdict(StrEnum):
    """Whether a part can be used."""

    OK = "ok"
    SOFTWARE = "software only"
    MISSING = "missing"


@dataclass(frozen=True)
class Part:
    """One thing that a command may need.

    Attributes:
        kind: `delegate`, `runtime` or `tool`.
        purpose: What it is needed for.
        version: Its version; the adapter for the GPU; "" where it has none.
        advice: What is wrong and what to do; "" where nothing is to be done.
    """

    kind: str
    name: str
    purpose: str
    verdict: Verdict
    version: str = ""
    advice: str = ""


@dataclass(frozen=True)
class _Found:
    version: str
    verdict: Verdict = Verdict.OK
    advice: str = ""


_Look = Callable[[], _Found]
"""Finds a part; an error says why it is missing and what to do."""


def take_inventory() -> tuple[Part, ...]:
    """Look for every part; takes a few seconds, most of them for starting the GPU."""
    return tuple(_examine(*part) for part in _PARTS)


def _examine(kind: str, name: str, purpose: str, look: _Look) -> Part:
    """Look for a part. Whatever a look stumbles over is its result: this is for broken machines."""
    try:
        found = look()
    except Exception as error:
        found = _Found("", Verdict.MISSING, " ".join(str(error).split()))
    return Part(kind, name, purpose, found.verdict, found.version, found.advice)


def _builtin_kernels() -> _Found:
    return _cpu_delegate(Delegate.CPU)


def _xnnpack() -> _Found:
    return _cpu_delegate(Delegate.XNNPACK)


def _cpu_delegate(delegate: Delegate) -> _Found:
    """Run the probe in a process of its own: kernels may meet a CPU that lacks their instructions.

    Raises:
        UnavailableError: The runtime refused, crashed or hung, or has no XNNPACK.
    """
    from portrait_tflite.benchmarks.probe_net import build_probe

    with tempfile.TemporaryDirectory(prefix="portrait-tflite-") as folder:
        probe = Path(folder) / "probe.tflite"
        probe.write_bytes(build_probe())
        try:
            with WorkerProcess(patience_s=_PATIENCE_S) as worker:
                opened = worker.ask("open", str(probe), delegate.value, 1, ())
        except WorkerError as error:
            raise UnavailableError(f"{error}; {_OTHER_RUNTIME}") from error
    if delegate is Delegate.XNNPACK and not opened["partitions"]:
        raise UnavailableError("this build of ai-edge-litert has no XNNPACK; install another one")
    return _Found(f"ai-edge-litert {read_versions().get('ai-edge-litert', '')}".rstrip())


def _gpu() -> _Found:
    from portrait_tflite.benchmarks.gpu.status import require_gpu

    status = require_gpu()
    adapter = f"{status.adapter}, {status.accelerator}"
    return _Found(adapter, Verdict.SOFTWARE, _NO_SPEED) if status.software else _Found(adapter)


def _package(name: str) -> _Look:
    def look() -> _Found:
        version = read_versions().get(name)
        if version is None:
            raise UnavailableError(f"pip install {name}")
        return _Found(version)

    return look


def _tflite_runtime() -> _Found:
    python = find_tflite_runtime()
    said = subprocess.run(
        [python, "-c", _TFLITE_RUNTIME], capture_output=True, text=True, timeout=_TIMEOUT_S
    )
    if said.returncode:
        install = f"{shlex.quote(str(python))} -m pip install {_OLD_RUNTIME}"
        raise UnavailableError(f"{python} has no tflite-runtime: {install}")
    return _Found(f"{said.stdout.strip()} in {python}")


def _program(names: tuple[str, ...], install: str, *arguments: str, of: str = "") -> _Look:
    """Find the first of some programs, and run it to see that it does.

    Args:
        install: What to do where there is none.
        of: The package that has its version, where it does not say its own.
    """

    def look() -> _Found:
        # Programs of packages stand beside the interpreter, which need not be on the PATH.
        places = [shutil.which(name, path=f"{Path(sys.executable).parent}") for name in names]
        places += [shutil.which(name) for name in names]
        program = next(filter(None, places), None)
        if not program:
            raise UnavailableError(install)
        said = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S
        )
        if said.returncode:
            raise UnavailableError(f"{program} ended with status {said.returncode}; {install}")
        number = _NUMBER.search(said.stdout)
        version = read_versions().get(of, "") if of else number[0] if number else ""
        return _Found(version or program)

    return look


def _adb() -> _Found:
    """Find adb, and list the phones that it sees; one that is not ready is its owner's to mend."""
    from portrait_tflite.benchmarks.device.adb import INSTALL, Adb, what_to_do

    version = _program(("adb",), INSTALL, "--version")().version
    phones = Adb().devices()
    listed = ", ".join(f"{serial} ({state})" for serial, state in phones.items())
    unready = {serial: state for serial, state in phones.items() if state != "device"}
    advice = " ".join(
        f"{serial} is {state}. {what_to_do(state)}" for serial, state in unready.items()
    )
    return _Found(f"{version}, {listed or 'no phone attached'}", advice=advice.rstrip())


def _qemu() -> _Found:
    from portrait_tflite.benchmarks.arm.tools import find_qemu, qemu_version

    return _Found(qemu_version(find_qemu()))


def _arm_model() -> _Found:
    from portrait_tflite.benchmarks.arm.setup import status

    found = status()
    if not found.ready:
        raise UnavailableError(found.reason)
    return _Found(str(found.folder))


_PARTS: tuple[tuple[str, str, str, _Look], ...] = (
    ("delegate", "cpu", "the built-in kernels", _builtin_kernels),
    ("delegate", "xnnpack", "the fast kernels of a CPU", _xnnpack),
    ("delegate", "gpu", "benchmark --delegate gpu", _gpu),
    ("runtime", "ai-edge-litert", "running .tflite files", _package("ai-edge-litert")),
    ("runtime", "tensorflow", "convert, train", _package("tensorflow")),
    ("runtime", "tflite-runtime", "comparing with the last old runtime", _tflite_runtime),
    (
        "tool",
        "litert-benchmark",
        "a second opinion on latencies",
        _program(
            ("litert-benchmark",),
            "pip install --force-reinstall ai-edge-litert",
            "--help",
            of="ai-edge-litert",
        ),
    ),
    ("tool", "qemu-aarch64", "ARM cost", _qemu),
    ("tool", ARM_MODEL, f"ARM cost: benchmark --device {ARM_MODEL}", _arm_model),
    ("tool", "adb", "phones: benchmark --device SERIAL", _adb),
    (
        "tool",
        "chromium",
        "the web page; SwiftShader",
        _program(_BROWSERS, "apt-get install chromium", "--version"),
    ),
)

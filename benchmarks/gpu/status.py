"""Whether this machine can run a model on a GPU, found out by running one."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portrait_tflite.benchmarks.gpu.adapters import INSTALL, Adapter, find_adapter
from portrait_tflite.benchmarks.gpu.latency import ACCELERATOR
from portrait_tflite.benchmarks.gpu.messages import explain, selected_adapter
from portrait_tflite.benchmarks.gpu.one_process import STRICT
from portrait_tflite.benchmarks.gpu.session import GpuSession
from portrait_tflite.benchmarks.probe_net import build_probe
from portrait_tflite.benchmarks.worker_process import PATIENCE_S, WorkerError
from portrait_tflite.errors import UnavailableError
from portrait_tflite.vocabulary import Delegate

# float16 has 11 bits: a logistic function's values may differ by half of the last one, and a bit.
_TOLERANCE = 2e-3


@dataclass(frozen=True)
class GpuStatus:
    """What the GPU delegate can be run on here.

    Attributes:
        available: Whether a model ran, and computed what the CPU computes.
        adapter: Name of the adapter, or "".
        software: Whether a CPU stands for it: its latency is no speed.
        accelerator: The runtime's accelerator.
        reason: Why it is not available, and what to do; one line.
    """

    available: bool
    adapter: str = ""
    software: bool = False
    accelerator: str = ""
    reason: str = ""


def gpu_status(patience_s: float = PATIENCE_S) -> GpuStatus:
    """Run a one-op network on the GPU, in a process of its own; takes a second or two."""
    try:
        adapter = find_adapter()
    except UnavailableError as error:
        return GpuStatus(available=False, reason=str(error))
    with tempfile.TemporaryDirectory(prefix="portrait-tflite-") as folder:
        probe = Path(folder) / "probe.tflite"
        probe.write_bytes(build_probe())
        return _run_probe(adapter, probe, patience_s)


def require_gpu(status: GpuStatus | None = None) -> GpuStatus:
    """Return the status, asked for if None; for where the user named the GPU.

    Raises:
        UnavailableError: It is not available.
    """
    status = status or gpu_status()
    if not status.available:
        raise UnavailableError(status.reason)
    return status


def _run_probe(adapter: Adapter, probe: Path, patience_s: float) -> GpuStatus:
    with GpuSession(adapter.driver, patience_s) as session:
        try:
            session.load(probe)
            expected = session.run_on_cpu(Delegate.CPU)[0][0]
            session.open(STRICT)
            outputs, _ = session.run()
        except WorkerError as error:
            return _refused(adapter, explain(str(error), session.said()))
        adapter = selected_adapter(session.said()) or adapter
    if not np.allclose(outputs[0][0], expected, rtol=0, atol=_TOLERANCE):
        return _refused(adapter, "it computes other values than the CPU")
    return GpuStatus(True, adapter.name, adapter.software, ACCELERATOR)


def _refused(adapter: Adapter, said: str) -> GpuStatus:
    reason = (
        "an adapter that LiteRT's GPU accelerator takes is required for the GPU delegate. "
        f"Received: {adapter.name}: {said}. Install one: {INSTALL}."
    )
    return GpuStatus(False, adapter.name, adapter.software, reason=reason)

"""Whether outputs were computed on the GPU: the runtime's word for it is not enough."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from portrait_tflite.benchmarks.gpu.adapters import Adapter
from portrait_tflite.benchmarks.gpu.session import Runs
from portrait_tflite.vocabulary import Delegate


def find_fallback(
    full: bool,
    selected: Adapter | None,
    outputs: Runs,
    on_cpu: Mapping[Delegate, Runs],
    *,
    floats: bool,
) -> str:
    """Say why these outputs are not the GPU's alone; empty where nothing speaks against it.

    The runtime calls a model that it compiled for the CPU fully accelerated, too. But a GPU sums in
    another order than either of the CPU's kernels, which shows in the last bits of floats; integers
    may well round to the same ones.

    Args:
        full: The runtime's word that it left no op to the CPU.
        selected: The adapter that it said it took.
        outputs: What it computed.
        on_cpu: What the CPU's delegates compute from the same inputs.
        floats: Whether the file's outputs are floats.
    """
    if not full:
        return "not fully accelerated: the runtime left ops to the CPU"
    same = next((n for n, other in on_cpu.items() if floats and _identical(outputs, other)), None)
    if same:
        return f"no proof that the GPU ran: the outputs are those of {same} bit for bit"
    if not selected:
        return "no proof that the GPU ran: the runtime named no adapter"
    return ""


def find_broken(outputs: Runs, on_cpu: Runs) -> str:
    """Say that the GPU computed more infinities and NaN than the CPU; empty where it did not."""
    broken = _broken_values(outputs)
    if broken <= _broken_values(on_cpu):
        return ""
    return f"{broken} values that the GPU computed are no finite numbers"


def relative_difference(one: Runs, other: Runs) -> float:
    """Return the largest difference of two results, relative to the tensor's largest magnitude."""
    pairs = [pair for runs in zip(one, other, strict=True) for pair in zip(*runs, strict=True)]
    return max(float(np.abs(a - b).max() / (np.abs(b).max() or 1)) for a, b in pairs)


def _identical(one: Runs, other: Runs) -> bool:
    """Tell whether all outputs of all runs have the same bits."""
    return [[array.tobytes() for array in run] for run in one] == [
        [array.tobytes() for array in run] for run in other
    ]


def _broken_values(runs: Runs) -> int:
    return sum(int(np.count_nonzero(~np.isfinite(array))) for run in runs for array in run)

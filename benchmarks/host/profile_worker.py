"""A process that times the ops of a model; started by `WorkerProcess`. Its command:

["profile", path, delegate, threads, cores, runs]   events: [name, delegated, index, ms] each
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from portrait_tflite.benchmarks.host.litert_library import ProfiledEvent, ProfiledModel
from portrait_tflite.benchmarks.worker_side import pin, serve
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate

_KERNELS = {Delegate.CPU: "builtin", Delegate.XNNPACK: "delegate"}
_WARM_UP = 10
# Kinds of events: a built-in kernel ran a node; a delegate says so of an operator of its own.
_NODE, _DELEGATED = 2, 8


class ProfileWorker:
    """Answers the one command."""

    def profile(
        self, path: str, delegate: str, threads: int, cores: Sequence[int], runs: int
    ) -> dict[str, Any]:
        """Run a file on noise; the median of each op over the runs, in the order of execution."""
        pin(cores)
        model = ProfiledModel(Path(path), _KERNELS[Delegate(delegate)], threads)
        rng = np.random.default_rng(0)
        inputs = open_model(Path(path), Delegate.CPU).inputs
        for buffer, info in zip(model.inputs, inputs, strict=True):
            model.write(buffer, random_input(info, rng).tobytes())
        for _ in range(_WARM_UP):
            model.run()
        recorded = [_ops(model.run_recorded()) for _ in range(runs)]
        return {
            "events": [
                [name, delegated, index, statistics.median(run[number][3] for run in recorded)]
                for number, (name, delegated, index, _) in enumerate(recorded[0])
            ]
        }


def _ops(events: Sequence[ProfiledEvent]) -> list[tuple[str, bool, int, float]]:
    return [
        (event.tag.decode(), event.kind == _DELEGATED, event.index, event.elapsed_us / 1e3)
        for event in events
        if event.kind in (_NODE, _DELEGATED)
    ]


if __name__ == "__main__":
    serve(ProfileWorker())

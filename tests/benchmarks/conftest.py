"""Files to measure, and a stand-in for the worker process that takes given times."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.benchmarks.host import latency as host
from portrait_tflite.benchmarks.worker_process import WorkerError, WorkerKilledError


@pytest.fixture
def file(relu_net: Callable[..., bytes], tmp_path: Path) -> Path:
    """Give a small int8 net on disk."""
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    return path


@pytest.fixture
def crashing(tiny_graph: Callable[[], Any], tmp_path: Path) -> Path:
    """Give a file whose second subgraph calls itself: preparing it exhausts the stack."""
    graph = tiny_graph()
    condition = graph.tensor("condition", (1,), "bool")
    source, target = (graph.tensor(name, (1, 8, 8, 4), "float32") for name in "xy")
    branches = schema.IfOptionsT(thenSubgraphIndex=1, elseSubgraphIndex=1)
    graph.op("IF", [condition, source], target, 1, branches)
    endless = deepcopy(graph.graph)
    endless.inputs, endless.outputs = np.array([source]), np.array([target])
    graph.model.buffers.append(schema.BufferT(data=np.ones(1, np.uint8)))
    endless.tensors[condition].buffer = len(graph.model.buffers) - 1
    graph.model.subgraphs.append(endless)
    path = tmp_path / "crashing.tflite"
    path.write_bytes(graph.build([condition, source], [target]))
    return path


@dataclass
class Script:
    """What the stand-in workers do, by file name, and what they were asked.

    Attributes:
        times_ms: The time of a run in each process that opens the file, in turn.
        failures: The command that fails, and what it says.
        kills: By file name, in which of its processes (0, 1, …) which command is its last.
        settled: Whether warming up comes to an end.
        log: Every command with the file's name, in order.
    """

    times_ms: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, tuple[str, str]] = field(default_factory=dict)
    kills: dict[str, dict[int, str]] = field(default_factory=dict)
    settled: bool = True
    interrupted: int = 0
    log: list[tuple[str, str]] = field(default_factory=list)
    closed: int = 0


class FakeWorker(AbstractContextManager["FakeWorker"]):
    """Answers as a host worker does, without a process."""

    def __init__(self, script: Script) -> None:
        self._script, self._name, self._ms = script, "", 0.0

    def __exit__(self, *_: object) -> None:
        self._script.closed += 1

    def ask(self, command: str, *arguments: Any) -> dict[str, Any]:
        if command == "open":
            self._name = Path(arguments[0]).name
            times = self._script.times_ms[self._name]
            self._ms = times.pop(0) if len(times) > 1 else times[0]
        self._script.log.append((command, self._name))
        failing, said = self._script.failures.get(self._name, ("", ""))
        if command == failing:
            raise WorkerError(said)
        process = self._script.log.count(("open", self._name)) - 1
        if self._script.kills.get(self._name, {}).get(process) == command:
            raise WorkerKilledError(f"the runtime was killed in {command}")
        return {
            "ready": {},
            "open": {"partitions": 3, "init_ms": 7.0, "first_ms": 9.0, "peak_mb": None},
            "warm_up": {"runs": 11, "settled": self._script.settled},
            "time": {"ms": [self._ms] * arguments[-1], "interrupted": self._script.interrupted}
            if command == "time"
            else {},
        }[command]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Replace the worker processes of `measure_host`; give what they do."""
    script = Script()
    monkeypatch.setattr(host, "WorkerProcess", lambda **_: FakeWorker(script))
    return script

"""Generations of processes, turns, and what a failing cell does to the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.host import load, series
from portrait_tflite.benchmarks.host.latency import Effort, measure_host, pinned_cores
from portrait_tflite.vocabulary import Delegate, Fault


def cells(*names: str, threads: int = 1) -> list[Cell]:
    return [Cell(name, Path(name), Delegate.CPU, threads, "int8") for name in names]


def test_processes_are_fresh_and_cells_take_turns(script: Any) -> None:
    script.times_ms.update(a=[2.0], b=[4.0])
    first, second = measure_host(cells("a", "b"), Effort(runs=20, processes=2))
    generation = [
        ("ready", ""), ("ready", ""),
        ("open", "a"), ("warm_up", "a"), ("open", "b"), ("warm_up", "b"),
        ("time", "a"), ("time", "b"), ("time", "a"), ("time", "b"),
    ]  # fmt: skip
    assert script.log == generation * 2
    assert script.closed == 4
    assert first.samples_ms == ((2.0,) * 10,) * 2
    assert second.latency_ms is not None
    assert second.latency_ms.median == 4
    assert (first.runs, first.processes, first.partitions, first.warmup) == (20, 2, 3, 11)
    assert (first.init_ms, first.first_ms, first.peak_rss_mb) == (7, 9, None)
    assert any("only 20 runs" in warning for warning in first.warnings)


@pytest.mark.parametrize(
    ("runs", "processes", "expected"), [(50, 3, [17, 17, 16]), (2, 3, [1] * 3)]
)
def test_runs_are_shared_among_processes(
    script: Any, runs: int, processes: int, expected: list[int]
) -> None:
    script.times_ms.update(a=[2.0])
    seen: list[tuple[int, int]] = []
    (row,) = measure_host(
        cells("a"),
        Effort(runs, processes=processes),
        lambda done, total: seen.append((done, total)),
    )
    assert [len(one) for one in row.samples_ms] == expected
    assert seen[-1] == (sum(expected), max(runs, sum(expected)))


def test_seconds_add_runs_for_all_cells_alike(script: Any) -> None:
    script.times_ms.update(a=[6.0], b=[4.0])
    seen: list[tuple[int, int]] = []
    rows = measure_host(
        cells("a", "b"),
        Effort(runs=10, seconds=1.0, processes=2),
        lambda done, total: seen.append((done, total)),
    )
    assert [row.runs for row in rows] == [100, 100]
    assert seen[-1] == (100, 100)
    assert all(done <= total for done, total in seen)


@pytest.mark.parametrize("command", ["ready", "open", "warm_up", "time"])
def test_a_cell_that_fails_leaves_the_others_alone(script: Any, command: str) -> None:
    script.times_ms.update(good=[2.0], bad=[3.0])
    said = "a .tflite that runs is required. Received: bad: it broke."
    script.failures["" if command == "ready" else "bad"] = (command, said)
    good, bad = measure_host(cells("good", "bad"), Effort(runs=20, processes=2))
    assert (bad.unavailable, bad.fault) == ("it broke", Fault.FILE)
    assert (bad.latency_ms, bad.runs, bad.samples_ms) == (None, 0, ())
    if command != "ready":  # before a file is opened nothing tells the workers apart
        assert good.runs == 20
        # Not tried again in the second generation.
        assert script.log.count((command, "bad")) == 1


@pytest.mark.parametrize("command", ["open", "warm_up", "time"])
@pytest.mark.parametrize("process", [0, 1, 2])
def test_what_processes_have_finished_outlives_one_that_is_killed(
    script: Any, command: str, process: int
) -> None:
    script.times_ms.update(good=[2.0], bad=[3.0])
    script.kills["bad"] = {process: command}
    good, bad = measure_host(cells("good", "bad"), Effort(runs=30, processes=3))
    assert (bad.unavailable, bad.fault) == ("", None)
    assert bad.samples_ms == ((3.0,) * 10,) * 2
    assert (bad.runs, bad.processes) == (20, 2)
    assert any(w.startswith("1 of 3 processes are left out: the runtime") for w in bad.warnings)
    assert (good.runs, good.processes) == (30, 3)
    assert not any("left out" in warning for warning in good.warnings)


def test_part_of_a_process_is_no_series(script: Any) -> None:
    script.times_ms.update(a=[3.0])
    script.kills["a"] = {1: "time"}
    (row,) = measure_host(cells("a"), Effort(runs=30, processes=2))
    assert row.samples_ms == ((3.0,) * 15,)


def test_where_all_processes_are_killed_it_is_the_machines_fault(script: Any) -> None:
    script.times_ms.update(a=[3.0])
    script.kills["a"] = dict.fromkeys(range(3), "time")
    (row,) = measure_host(cells("a"), Effort(runs=30, processes=3))
    assert (row.unavailable, row.fault) == ("the runtime was killed in time", Fault.MACHINE)
    assert row.latency_ms is None


def test_a_warm_up_that_never_settled_is_said(script: Any) -> None:
    script.times_ms.update(a=[2.0])
    script.settled = False
    (row,) = measure_host(cells("a"), Effort(runs=60, processes=3))
    assert any("not settled after 11 runs of warm-up in 3 of 3" in said for said in row.warnings)
    script.settled = True
    (row,) = measure_host(cells("a"), Effort(runs=60, processes=3))
    assert not any("settled" in said for said in row.warnings)


def test_when_all_fail_it_ends(script: Any) -> None:
    script.times_ms.update(bad=[3.0])
    script.failures["bad"] = ("time", "the runtime crashed with SIGSEGV in a timed run")
    (row,) = measure_host(cells("bad"), Effort(runs=10))
    assert row.unavailable == "the runtime crashed with SIGSEGV in a timed run"


def test_doubts_about_the_machine_are_said(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    script.times_ms.update(a=[2.0, 2.0, 2.4])
    script.interrupted = 2
    monkeypatch.setattr(series, "usable_cores", lambda: 2)
    monkeypatch.setattr(load, "usable_cores", lambda: 2)
    monkeypatch.setattr(load.os, "getloadavg", lambda: (1.7, 0.0, 0.0))
    (row,) = measure_host(cells("a", threads=4), Effort(runs=60))
    assert "load average was 1.7 on 2 cores when measuring began" in row.warnings
    assert "4 threads on 2 cores wait for each other" in row.warnings
    assert "24 of 60 runs were interrupted by other programs" in row.warnings
    assert any("processes disagree by 20 %" in warning for warning in row.warnings)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot pin")
def test_cores_are_as_many_as_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 1, 2})
    assert pinned_cores(1) == (3,)
    assert pinned_cores(2) == (2, 3)
    assert pinned_cores(4) == ()

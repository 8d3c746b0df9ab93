"""What else the machine was doing: the load average and the hypervisor's share."""

from __future__ import annotations

from pathlib import Path

import pytest

from portrait_tflite.benchmarks.host import load
from portrait_tflite.benchmarks.host.load import StealWatch, busy_before


def write(stat: Path, busy: int, stolen: int) -> None:
    stat.write_text(
        "cpu  9 9 9 9 9 9 9 99999 0 0\n"
        "cpu0 9 9 9 9 9 9 9 99999 0 0\n"
        f"cpu1 {busy} 0 0 900 0 0 0 {stolen} 0 0\n"
        "intr 5\n"
    )


@pytest.mark.parametrize(("stolen", "said"), [(0, ()), (19, ()), (30, ("3%",))])
def test_only_the_cores_in_use_are_watched(
    tmp_path: Path, stolen: int, said: tuple[str, ...]
) -> None:
    stat = tmp_path / "stat"
    write(stat, 1000, 50)
    watch = StealWatch([1], stat)
    write(stat, 2000 - stolen, 50 + stolen)
    doubts = watch.doubts()
    assert len(doubts) == len(said)
    assert all(text in doubt for text, doubt in zip(said, doubts, strict=True))


def test_without_counters_nothing_is_told(tmp_path: Path) -> None:
    assert StealWatch([0], tmp_path / "none").doubts() == ()


@pytest.mark.parametrize(("average", "doubts"), [(0.9, 0), (1.7, 1)])
def test_the_load_average_is_held_against_the_cores(
    average: float, doubts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "usable_cores", lambda: 2)
    monkeypatch.setattr(load.os, "getloadavg", lambda: (average, 0.0, 0.0))
    assert len(busy_before()) == doubts


def test_a_system_without_a_load_average_has_no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> tuple[float, float, float]:
        raise OSError

    monkeypatch.setattr(load.os, "getloadavg", fail)
    assert busy_before() == ()

"""Waiting for a phone: how often it is disturbed, and what ends the waiting."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from portrait_tflite.benchmarks.device import looking
from portrait_tflite.benchmarks.device.adb import AdbError, Answer
from portrait_tflite.benchmarks.device.looking import wait_for_result
from portrait_tflite.errors import PortraitError, UnavailableError

Measure = Callable[..., Result]
Refused = Callable[[Result, type[PortraitError]], str]


class Clock:
    """Time that goes by where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class BusyPhone:
    """A phone whose app is at work until some second."""

    serial = "R5CT1234567"

    def __init__(self, clock: Clock, until_s: float) -> None:
        self._clock = clock
        self._until_s = until_s
        self.looked: list[float] = []

    def script(self, what: str, line: str) -> Answer:
        self.looked.append(self._clock.now)
        return Answer(0 if self._clock.now >= self._until_s else 1, "")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.undo()  # the waiting that other tests shorten is looked at here
    monkeypatch.setattr(looking, "sleep", clock.sleep)
    monkeypatch.setattr(looking, "monotonic", lambda: clock.now)
    return clock


@pytest.mark.parametrize(("until_s", "looks", "late_s"), [(5, 4, 2), (30, 12, 7), (600, 52, 15)])
def test_a_phone_is_looked_at_seldom_and_a_short_run_is_not_kept_waiting(
    clock: Clock, until_s: float, looks: int, late_s: float
) -> None:
    phone, shown = BusyPhone(clock, until_s), list[int]()
    wait_for_result(phone, "run-1", 3600, shown.append)  # type: ignore[arg-type]
    assert len(phone.looked) <= looks
    assert phone.looked[-1] <= until_s + late_s
    # Whoever waits sees every second of it.
    assert shown == sorted(shown)
    assert set(range(int(until_s))) <= set(shown)


def test_patience_ends(clock: Clock) -> None:
    with pytest.raises(AdbError, match="no result after 100 s; name more by --timeout"):
        wait_for_result(BusyPhone(clock, 1e9), "run-1", 100, lambda _: None)  # type: ignore[arg-type]
    assert clock.now < 130


def test_a_look_is_one_call_and_reads_the_log_of_the_app_alone(
    desk: Any, assets: Path, measure: Measure
) -> None:
    desk.script(app="slow")
    assert measure(assets).exit_code == 0
    lines = [call[3] for call in desk.calls() if call[2:3] == ["shell"]]
    first = next(number for number, line in enumerate(lines) if "--es model" in line)
    last = next(
        number for number, line in enumerate(lines) if number > first and line.startswith("cat")
    )
    looks = lines[first + 1 : last]
    (look,) = set(looks)
    assert "--pid=$p -s 'PortraitBenchmark:*'" in look


def test_a_result_that_comes_while_it_is_looked_for_counts(
    desk: Any, assets: Path, measure: Measure
) -> None:
    desk.script(app="ends_between")
    assert measure(assets).exit_code == 0


def test_an_app_that_is_killed_while_it_measures_is_not_waited_for(
    desk: Any, assets: Path, tmp_path: Path, measure: Measure, refused: Refused
) -> None:
    desk.script(app="killed_later")
    said = refused(measure(assets, "--out", tmp_path / "out"), UnavailableError)
    assert "its app ended without a result (killed, or out of memory?)" in said
    # Twice it was at work; then it is gone, and looked for once more.
    assert (desk.home / "seen").read_text() == "xx"
    looks = [call for call in desk.calls() if "pidof" in call[-1]]
    opening = 1
    assert len(looks) == opening + 2 + 2
    assert desk.left() == []
    assert not (tmp_path / "out").exists()


def test_a_connection_that_is_gone_for_a_moment_is_waited_for(
    desk: Any, assets: Path, measure: Measure, refused: Refused
) -> None:
    desk.script(app="slow", lost_at="pidof", lost_times=1)
    assert measure(assets).exit_code == 0
    desk.script(app="hangs", lost_at="pidof", lost_times=1000)
    assert "not found. Connect it" in refused(measure(assets), UnavailableError)


def test_the_battery_saver_is_a_warning_of_each_cell(
    desk: Any, assets: Path, measure: Measure
) -> None:
    desk.script(low_power="1", app="no_gpu")
    rows = json.loads(measure(assets, "--json").stdout)["benchmarks"]
    warned = [any("the battery saver is on" in said for said in row["warnings"]) for row in rows]
    assert warned == [row["delegate"] != "gpu" for row in rows]
    desk.script(low_power="0")
    rows = json.loads(measure(assets, "--json").stdout)["benchmarks"]
    assert not any("battery saver" in said for row in rows for said in row["warnings"])


def test_a_phone_that_takes_no_key_is_measured_all_the_same(
    desk: Any, assets: Path, measure: Measure
) -> None:
    desk.script(no_input=True)
    assert measure(assets).exit_code == 0

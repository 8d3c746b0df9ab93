"""The app's folder on phones that close it to adb, and what is said of what stays there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from portrait_tflite.benchmarks.device import opening
from portrait_tflite.errors import PortraitError, UnavailableError

Measure = Callable[..., Result]
Refused = Callable[[Result, type[PortraitError]], str]
FILES = "/sdcard/Android/data/io.github.portrait_tflite.demo/files"


def pushed(desk: Any) -> list[str]:
    """List where was pushed to."""
    return [call[4] for call in desk.calls() if call[2:3] == ["push"]]


def test_the_model_goes_by_adbs_own_folder(desk: Any, assets: Path, measure: Measure) -> None:
    desk.deny(push="/Android/data/", pull="/Android/data/")
    assert measure(assets).exit_code == 0
    (place,) = pushed(desk)
    assert place.startswith("/data/local/tmp/portrait-tflite-my-net-")
    assert desk.left() == []


def test_a_phone_without_adbs_own_folder_takes_it_straight(
    desk: Any, assets: Path, measure: Measure
) -> None:
    desk.deny(push="/data/local/tmp/")
    result = measure(assets)
    assert result.exit_code == 0, result.exception
    assert [place.rpartition("/")[0] for place in pushed(desk)] == [
        "/data/local/tmp", f"{FILES}/models",
    ]  # fmt: skip
    assert desk.left() == []


def test_a_phone_whose_shell_may_not_copy_takes_it_straight(
    desk: Any, assets: Path, measure: Measure
) -> None:
    desk.deny(cp="/Android/data/")
    assert measure(assets).exit_code == 0
    assert len(pushed(desk)) == 2
    assert desk.left() == []


@pytest.mark.parametrize(
    ("denied", "received"),
    [
        ({"cp": "models/", "push": "models/"}, "cp: /sdcard/"),
        ({"cp": "models/", "push": "models/"}, "pushed straight: remote secure_mkdirs failed"),
        ({"chmod": "models/"}, "chmod: /sdcard/"),
        ({"mkdir": "models", "push": "models/"}, "mkdir: models: Permission denied"),
        ({"ls": "results/"}, "ls: /sdcard/"),
        ({"cat": "results/", "pull": "results/"}, "cat: /sdcard/"),
    ],
)
def test_a_folder_that_is_closed_is_said_before_anything_is_measured(
    desk: Any,
    assets: Path,
    denied: dict[str, str],
    received: str,
    measure: Measure,
    refused: Refused,
) -> None:
    desk.deny(**denied)
    said = refused(measure(assets), UnavailableError)
    assert received in said
    assert "Permission denied" in said
    assert said.endswith("Some phones close the app's folder to adb: see docs/devices.md.")
    assert not any("--es model" in call[-1] for call in desk.calls())
    assert desk.left() == []


def test_an_app_that_says_nothing_is_not_waited_for_long(
    desk: Any, assets: Path, monkeypatch: pytest.MonkeyPatch, measure: Measure, refused: Refused
) -> None:
    desk.script(opening="hangs")
    monkeypatch.setattr(opening, "_PATIENCE_S", 0.2)
    said = refused(measure(assets), UnavailableError)
    assert "share the app's folder" in said
    assert "its app wrote nothing for 0.2 s" in said
    assert not any(call[2:3] == ["push"] for call in desk.calls())
    assert desk.left() == []


def test_a_result_that_the_shell_may_not_read_is_pulled(
    desk: Any, assets: Path, measure: Measure
) -> None:
    desk.deny(cat="results/")
    assert measure(assets).exit_code == 0
    assert any(call[2:3] == ["pull"] for call in desk.calls())


def test_the_app_makes_its_own_folder(desk: Any, assets: Path, measure: Measure) -> None:
    """One that adb makes is closed to the app: nothing is copied before the app was started."""
    assert measure(assets).exit_code == 0
    lines = [call[-1] for call in desk.calls()]
    started = next(number for number, line in enumerate(lines) if line.startswith("am start"))
    copied = next(number for number, line in enumerate(lines) if "cp -r" in line)
    assert started < copied


def test_what_stays_on_the_phone_is_said_and_is_no_failure(
    desk: Any, assets: Path, measure: Measure
) -> None:
    desk.deny(rm="/files/models/")
    result = measure(assets, "--json")
    assert result.exit_code == 0, result.exception
    said = " ".join(result.stderr.split())
    assert "Something stays on the phone: rm: /sdcard/" in said
    assert said.endswith("Permission denied. It goes when the app is uninstalled.")
    assert "models" in said
    assert {path.parent.parent.name for path in desk.left()} == {"models"}


def test_what_may_stay_on_a_phone_that_is_gone_is_said(
    desk: Any, assets: Path, measure: Measure, refused: Refused
) -> None:
    desk.script(lost_at="--es model")
    result = measure(assets)
    refused(result, UnavailableError)
    said = " ".join(result.stderr.split())
    assert "Something may stay on the phone: device 'R5CT1234567' not found." in said
    assert "Then remove it by: adb -s R5CT1234567 shell rm -rf /sdcard/" in said
    assert desk.left()

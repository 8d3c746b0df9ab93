"""`benchmark --device SERIAL` against a stand-in for adb: every failure is one sentence.

The right exit code, nothing half written, and nothing left on the phone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from portrait_tflite.benchmarks.device import looking
from portrait_tflite.cli.benchmark import command
from portrait_tflite.errors import PortraitError, UnavailableError, UsageError

SERIAL = "R5CT1234567"
Measure = Callable[..., Result]
Refused = Callable[[Result, type[PortraitError]], str]


@pytest.mark.parametrize("old_adb", [True, False])
@pytest.mark.parametrize(
    ("failure", "hint"),
    [
        ("INSTALL_FAILED_INSUFFICIENT_STORAGE: Failed to override", "Free some storage"),
        ("INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures do not match", "Uninstall the app"),
        ("INSTALL_FAILED_USER_RESTRICTED: Install canceled by user", "Allow installing"),
        ("INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract", "this phone's processor"),
        ("INSTALL_FAILED_OLDER_SDK", "Android 8.0"),
        ("INSTALL_FAILED_VERSION_DOWNGRADE", "newer app"),
        ("INSTALL_PARSE_FAILED_NOT_APK", ""),
    ],
)
def test_an_install_that_fails_names_why(
    desk: Any,
    assets: Path,
    apk: Path,
    failure: str,
    hint: str,
    old_adb: bool,
    measure: Measure,
    refused: Refused,
) -> None:
    desk.script(install_fails=failure, old_adb=old_adb)
    said = refused(measure(assets, "--apk", apk), UnavailableError)
    assert "a phone that can install the app is required" in said
    assert failure in said
    assert hint in said


@pytest.mark.parametrize(
    ("attached", "received", "hint"),
    [
        ({}, "R5CT1234567; listed: none", "adb devices"),
        ({"A": "device", "B": "device"}, "R5CT1234567; listed: A, B", "adb devices"),
        ({SERIAL: "offline"}, "offline", "adb reconnect"),
        ({SERIAL: "unauthorized"}, "unauthorized", "allow USB debugging"),
        ({SERIAL: "authorizing"}, "authorizing", "allow USB debugging"),
        (
            {SERIAL: "no permissions (user in plugdev group; are your udev rules wrong?)"},
            "no permissions",
            "udev rules",
        ),
        ({SERIAL: "recovery"}, "recovery", ""),
    ],
)
def test_a_phone_that_is_not_ready(
    desk: Any,
    assets: Path,
    attached: dict[str, str],
    received: str,
    hint: str,
    measure: Measure,
    refused: Refused,
) -> None:
    desk.script(attached=attached)
    said = refused(measure(assets), UnavailableError)
    assert received in said
    assert hint in said
    assert len(desk.calls()) == 1


def test_no_adb_is_named(
    assets: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    measure: Measure,
    refused: Refused,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refused(measure(assets), UnavailableError)
    assert "no adb on the PATH" in said
    assert "apt install adb" in said


def test_an_adb_that_does_not_work_is_named(
    desk: Any, assets: Path, measure: Measure, refused: Refused
) -> None:
    desk.script(broken=True)
    said = refused(measure(assets), UnavailableError)
    assert "cannot connect to daemon" in said
    assert "adb kill-server" in said


@pytest.mark.parametrize(
    ("script", "received"),
    [
        ({"full": "push"}, "remote No space left on device. Free some storage"),
        ({"full": "cp"}, "cp: xwrite: No space left on device. Free some storage"),
        ({"lost_at": "push"}, "device 'R5CT1234567' not found. Connect it"),
        ({"lost_at": "cat /sdcard"}, "device 'R5CT1234567' not found. Connect it"),
        ({"lost_at": "shell"}, "device 'R5CT1234567' not found. Connect it"),
        ({"app": "too_old", "opening": "finishes"}, "Activity class"),
        ({"app": "closed"}, "java.lang.SecurityException: Permission Denial: starting Intent"),
        ({"app": "killed"}, "its app ended without a result"),
        ({"app": "killed_later"}, "its app ended without a result"),
        ({"app": "hangs"}, "no result after 1 s; name more by --timeout"),
        ({"app": "no_room"}, "R5CT1234567: storage is full."),
        ({"app": "says_done"}, "its result is not where it says: /elsewhere"),
        ({"app": "half"}, "cut off or damaged"),
        ({"app": "newer"}, "schema 2, where 1 is known"),
        ({"app": "another_model"}, "one of another model"),
        ({"app": "not_a_number"}, "missing or wrong: 'fast' where a number is required"),
        ({"app": "fails"}, "the app says: model.json is of schema 7. Update the app."),
        ({"opening": "no_room"}, "nothing there; is its storage full, or another user"),
        ({"opening": "killed"}, "its app ended without a result"),
    ],
)
def test_a_run_that_fails_leaves_nothing(
    desk: Any,
    assets: Path,
    tmp_path: Path,
    script: dict[str, Any],
    received: str,
    measure: Measure,
    refused: Refused,
) -> None:
    desk.script(**script)
    out, patience_s = tmp_path / "out", 1 if script.get("app") == "hangs" else 60
    said = refused(measure(assets, "--out", out, "--timeout", patience_s), UnavailableError)
    assert received in said
    assert not out.exists()
    if "lost_at" not in script:
        assert desk.left() == []
        assert not (desk.home / "running").exists()


def test_an_interruption_cleans_up(
    desk: Any, assets: Path, monkeypatch: pytest.MonkeyPatch, measure: Measure
) -> None:
    desk.script(app="hangs")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(looking, "sleep", interrupt)
    measure(assets)
    assert desk.left() == []
    assert not (desk.home / "running").exists()


def _drop_goldens(folder: Path) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "golden": []}))


@pytest.mark.parametrize(
    ("break_it", "received"),
    [
        (lambda folder: (folder / "model.json").unlink(), "without a model.json"),
        (lambda folder: (folder / "model.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "model.json").write_text("{}"), "none of schema 1"),
        (lambda folder: (folder / "net-int8.tflite").unlink(), "without net-int8.tflite"),
        (lambda folder: (folder / "golden-0.png").write_text("x"), "which is another"),
        (
            lambda folder: (folder / "model.json").write_text(
                '{"schema": 1, "variants": {"int8": {"file": "../x"}}}'
            ),
            "without ../x",
        ),
        (_drop_goldens, "without golden masks"),
    ],
)
def test_a_model_that_is_not_whole_is_not_pushed(
    desk: Any, assets: Path, break_it: Any, received: str, measure: Measure, refused: Refused
) -> None:
    break_it(assets)
    assert received in refused(measure(assets), UsageError)
    assert not any("push" in call for call in desk.calls())


def test_a_file_that_model_json_does_not_list(
    desk: Any, assets: Path, measure: Measure, refused: Refused
) -> None:
    other = assets / "other.tflite"
    other.write_bytes(b"x")
    said = refused(measure(other), UsageError)
    assert "listed: net-float16.tflite, net-int8.tflite" in said


def test_options_of_the_other_side_are_refused(desk: Any, assets: Path, measure: Measure) -> None:
    result = measure(assets, "--profile")
    assert "--profile is only for this machine" in str(result.exception)
    result = measure(assets, assets / "net-int8.tflite")
    assert "Measure them in turn" in str(result.exception)
    assert desk.calls() == []
    result = CliRunner().invoke(command, [str(assets), "--cooldown", "3"])
    assert "--cooldown is only for a phone" in str(result.exception)
    result = CliRunner().invoke(command, [str(assets), "--threads", "1,2"])
    assert "one number of --threads" in str(result.exception)
    for wrong in ("0", "257", "a", "1,,2"):
        result = CliRunner().invoke(command, [str(assets), "--threads", wrong])
        assert "--threads must be 1 to 256" in str(result.exception)

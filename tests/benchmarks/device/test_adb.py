"""adb's own words: about its server, before an answer, and about phones that are not ready."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from portrait_tflite.benchmarks import inventory
from portrait_tflite.benchmarks.device.adb import Adb
from portrait_tflite.benchmarks.inventory import Part, Verdict, take_inventory

SERIAL = "R5CT1234567"
STARTED = "* daemon not running; starting now at tcp:5037\n* daemon started successfully\n"
REPLACED = (
    "adb server version (41) doesn't match this client (39); killing...\n"
    "* daemon started successfully\n"
)


@pytest.mark.parametrize("said", [STARTED, REPLACED])
@pytest.mark.parametrize("stream", ["server_on_stdout", "server_on_stderr"])
def test_lines_about_the_server_are_no_answer(
    desk: Any, assets: Path, said: str, stream: str, measure: Any
) -> None:
    desk.script(**{stream: said})
    result: Result = measure(assets, "--json")
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["device"]["model"] == "Acme One"


def test_a_refusal_stands_behind_lines_about_the_server(desk: Any) -> None:
    desk.script(server_on_stderr=REPLACED, lost_at="shell")
    phone = Adb().phone(SERIAL)
    with pytest.raises(Exception, match="Received: R5CT1234567: device 'R5CT1234567' not found"):
        phone.shell("list its apps", "pm", "path", "x")


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Part]:
    """Give what `doctor` finds of adb, and nothing else."""
    (row,) = (part for part in inventory._PARTS if part[1] == "adb")
    monkeypatch.setattr(inventory, "_PARTS", (row,))
    return lambda: take_inventory()[0]


def test_doctor_lists_adb_and_what_is_attached(desk: Any, find: Callable[[], Part]) -> None:
    desk.script(server_on_stderr=STARTED, attached={})
    assert find().version == "1.0.41, no phone attached"
    assert find().advice == ""
    desk.script(attached={SERIAL: "device", "emulator-5554": "offline", "X": "unauthorized"})
    part = find()
    assert part.verdict is Verdict.OK
    assert part.version == "1.0.41, R5CT1234567 (device), emulator-5554 (offline), X (unauthorized)"
    assert part.advice == (
        "emulator-5554 is offline. Connect it anew, or run `adb reconnect`. "
        "X is unauthorized. Unlock the phone and allow USB debugging on its screen."
    )


def test_doctor_says_of_an_adb_that_does_not_work_what_to_do(
    desk: Any, find: Callable[[], Part]
) -> None:
    desk.script(broken="devices")
    assert find().verdict is Verdict.MISSING
    assert "cannot connect to daemon. Try `adb kill-server`" in find().advice
    desk.script(broken=True)
    assert "ended with status 1; Install Android's platform tools" in find().advice

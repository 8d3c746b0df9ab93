"""What a terminal shows while work goes on, and that nothing else gets to see of it."""

from __future__ import annotations

import json
import os
import pty
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portrait_tflite.cli import output

_MANY = 40
_COUNT = 8


class Terminal:
    """A terminal that stands in for stderr, and remembers all that was written to it."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.stderr = os.fdopen(slave, "w")
        self._written = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def read(self) -> str:
        """Hang up, and return what was written, without colours and movements."""
        self.stderr.close()
        self._reader.join(10)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._written.decode())

    def _read(self) -> None:
        try:
            while part := os.read(self._master, 1 << 16):
                self._written += part
        except OSError:  # what Linux says when the other end is closed
            pass
        os.close(self._master)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    opened = Terminal()
    yield opened
    opened.stderr.close()


def test_a_terminal_gets_a_bar_with_an_estimate(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal.stderr)  # here: pytest sets it before each test
    with output.progress(4, "counting") as update:
        update(1)
        update(2)
    shown = terminal.read()
    assert re.search(r"counting ━+.* 0/4 -:--:--", shown)  # before there is a pace to go by
    assert re.search(r"counting ━+.* 2/4 \d:\d\d:\d\d", shown)


@pytest.fixture
def arguments(tiny: Any, shoot: Callable[..., Path], tmp_path: Path) -> list[str]:
    """Give a conversion that chooses eight of forty pictures and scores on a fifth of them."""
    folder = shoot(tmp_path / "many", _MANY, seed=4, labelled=False)
    given = (
        "convert", tiny.keras, "--int8", "--input-range", "0,1", "--no-benchmark",
        "--calibration", folder, "--calibration-count", _COUNT, "--remedies", "none",
        "--max-drop", 100, "--json", "--out", tmp_path / "out",
    )  # fmt: skip
    return [str(each) for each in given]


def test_calibration_shows_a_bar_from_its_first_picture_on(
    arguments: list[str],
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from portrait_tflite.cli.main import _run

    monkeypatch.setattr(sys, "stderr", terminal.stderr)
    assert _run(arguments, debug=False) in (0, 3)
    shown = terminal.read()
    held = _MANY // 5
    for phase, count in {
        "telling pictures apart": _MANY,
        "keeping pictures to score on": held,
        "choosing pictures": _MANY - held,
        "reading pictures": _COUNT,
        "comparing with what is scored on": held,
    }.items():
        assert re.search(rf"{phase} ━+.* {count}/{count} \d:\d\d:\d\d", shown), phase
    assert json.loads(capfd.readouterr().out)["calibration"]["images"] == _COUNT


def test_an_error_stands_in_a_line_of_its_own(
    tiny: Any, tmp_path: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portrait_tflite.cli.main import _run

    inputs = np.random.default_rng(0).random((_MANY, 32, 32, 3), np.float32)
    inputs[:, 0, 0, 0] = np.nan
    np.save(tmp_path / "x.npy", inputs)
    given = (
        "convert", tiny.keras, "--int8", "--input-range", "0,1", "--no-benchmark",
        "--calibration", tmp_path / "x.npy", "--out", tmp_path / "out",
    )  # fmt: skip
    monkeypatch.setattr(sys, "stderr", terminal.stderr)
    assert _run([str(each) for each in given], debug=False) == 2
    shown = terminal.read()
    assert "keeping pictures to score on" in shown
    assert re.search(r"[\r\n]Error: pictures without NaN[^\r\n]*\r\n\Z", shown), shown[-300:]


def test_a_pipe_gets_no_bar(run: Callable[..., Any], arguments: list[str]) -> None:
    said = run(*arguments)
    assert said.code in (0, 3)
    assert json.loads(said.out)
    assert not re.search("[\x1b━\r]", said.out + said.err)

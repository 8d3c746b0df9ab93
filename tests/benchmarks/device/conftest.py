"""A phone to talk to, and a model to measure on it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from portrait_tflite.benchmarks.device import app, looking, opening
from portrait_tflite.cli.benchmark import command
from portrait_tflite.errors import PortraitError

SERIAL = "R5CT1234567"
_STAND_IN = Path(__file__).with_name("stand_in")
_COMMANDS = ("pidof", "logcat", "cp")  # of lines of several; alone, the others need no program


@dataclass(frozen=True)
class Desk:
    """A phone on the desk, attached by a stand-in for adb."""

    home: Path

    def script(self, **changes: object) -> None:
        """Say how the phone and the app behave."""
        path = self.home / "script.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def deny(self, **parts: str) -> None:
        """Say which commands are denied, each at the places that hold a text."""
        self.script(denied=parts)
        for name in set(parts) - {"push", "pull"}:
            _make_program(self.home / "commands" / name, "phone")

    @property
    def installed(self) -> Path:
        return self.home / "installed"

    def calls(self) -> list[list[str]]:
        """List what adb was asked."""
        log = self.home / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def left(self) -> Sequence[Path]:
        """List the files that lie on the phone."""
        return [path for path in (self.home / "phone").rglob("*") if path.is_file()]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Put a stand-in for adb on the PATH; the app is on its phone."""
    home, programs = tmp_path / "desk", tmp_path / "bin"
    for folder in (home, programs, home / "phone", home / "commands"):
        folder.mkdir()
    _make_program(programs / "adb", "adb")
    for name in _COMMANDS:
        _make_program(home / "commands" / name, "phone")
    (home / "script.json").write_text(json.dumps({"attached": {SERIAL: "device"}}))
    (home / "installed").touch()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("ADB_STAND_IN", str(home))
    return Desk(home)


def _make_program(path: Path, part: str) -> None:
    """Make a program that runs a part of the stand-in under the program's own name."""
    find = f"import sys; sys.path.insert(0, {str(_STAND_IN)!r})"
    path.write_text(f"#!{sys.executable} -IS\n{find}\nimport {part}\n{part}.main()\n")
    path.chmod(0o755)


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """Give a folder as `convert --assets` writes it, of two variants whose files hold anything."""
    folder = tmp_path / "assets"
    folder.mkdir()
    named: dict[str, Any] = {}
    for variant in ("float16", "int8"):
        file = folder / f"net-{variant}.tflite"
        file.write_bytes(variant.encode())
        named[variant] = _record(file)
    picture = folder / "golden-0.png"
    picture.write_bytes(b"png")
    model = {
        "schema": 1, "name": "my net", "variants": named, "golden": [{"picture": _record(picture)}],
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(model))
    return folder


def _record(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"file": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.fixture
def apk(tmp_path: Path) -> Path:
    path = tmp_path / "app.apk"
    path.write_bytes(b"apk")
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for results without delay; and find no APK that somebody built here."""
    monkeypatch.setattr(looking, "FIRST_S", 0.05)
    monkeypatch.setattr(looking, "POLL_S", 0.05)
    monkeypatch.setattr(opening, "PAUSE_S", 0.05)
    monkeypatch.setattr(app, "_BUILT", ())


@pytest.fixture
def measure() -> Callable[..., Result]:
    """Give the command line on that phone."""
    return lambda *words: CliRunner().invoke(command, [*map(str, words), "--device", SERIAL])


@pytest.fixture
def refused() -> Callable[[Result, type[PortraitError]], str]:
    """Give what takes the sentence of a call that failed, by its exit code."""

    def sentence(result: Result, kind: type[PortraitError]) -> str:
        assert isinstance(result.exception, kind), result.exception
        said = str(result.exception)
        assert "\n" not in said
        assert " is required" in said or " must be " in said or " are required" in said
        assert "Received: " in said
        assert len(said) < 400
        return said

    return sentence

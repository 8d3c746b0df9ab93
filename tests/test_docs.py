"""The documentation says what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from portrait_tflite.cli import reference
from portrait_tflite.cli.main import group

_ROOT = Path(__file__).parent.parent
_PAGES = [
    _ROOT / "README.md",
    _ROOT / "CONTRIBUTING.md",
    _ROOT / "android_demo" / "README.md",
    *sorted((_ROOT / "docs").glob("*.md")),
]
_EXTRAS = {"--es", "--ei", "--ef"}  # of Android's `am`


def test_the_command_reference_is_current() -> None:
    # In a process of its own: click caches a command's help option as whoever came first asked.
    check = [sys.executable, "-m", "portrait_tflite.cli.reference", "--check"]
    ended = subprocess.run(check, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_stale_reference_trips_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "cli.md"
    stale.write_text("old")
    monkeypatch.setattr(reference, "_PATH", stale)
    assert reference.main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().err
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_every_command_stands_in_the_readme() -> None:
    text = (_ROOT / "README.md").read_text("utf-8")
    for name in group.commands or group.list_commands(None):  # type: ignore[arg-type]
        assert f"| `{name}" in text


@pytest.mark.parametrize("page", ["README.md", "android_demo/README.md"])
def test_every_option_the_readmes_name_exists(page: str) -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", (_ROOT / "docs" / "cli.md").read_text("utf-8")))
    text = (_ROOT / page).read_text("utf-8")
    named = re.findall(r"`(--[a-z][a-z-]+)", text)
    for call in re.findall(r"portrait-tflite [a-z]+ [^`\n]*", text):
        named += re.findall(r"--[a-z][a-z-]+", call)
    assert set(named) - _EXTRAS <= known

"""What is printed where, and how progress shows off a terminal."""

from __future__ import annotations

import json
import os
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from portrait_tflite.cli import output
from portrait_tflite.quiet import quiet


def run(body: Any, level: int = output.NORMAL) -> Result:
    @click.group()
    @click.pass_context
    def group(context: click.Context) -> None:
        output.set_verbosity(context, level)

    @group.command()
    def inner() -> None:
        body()

    return CliRunner().invoke(group, ["inner"], catch_exceptions=False)


def count_to_three() -> None:
    with output.progress(3, "counting") as update:
        for done in range(1, 4):
            update(done)


def test_results_go_to_stdout_and_messages_to_stderr() -> None:
    def body() -> None:
        output.results().print("figure")
        output.messages().print("note")

    result = run(body)
    assert result.stdout == "figure\n"
    assert result.stderr == "note\n"


def test_quiet_says_nothing_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_PLAIN_SECONDS", 0.0)

    def body() -> None:
        output.messages().print("note")
        output.results().print("figure")
        count_to_three()

    result = run(body, output.QUIET)
    assert (result.stdout, result.stderr) == ("figure\n", "")


def test_progress_is_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(count_to_three).stderr == ""  # too short to be worth a line
    monkeypatch.setattr(output, "_PLAIN_SECONDS", 0.0)
    lines = run(count_to_three).stderr.splitlines()
    assert [line.split(",")[0] for line in lines] == ["counting: 1/3", "counting: 2/3"]
    assert lines[-1].endswith(" s left")
    assert "\x1b" not in "".join(lines)


def test_progress_shows_while_libraries_are_kept_quiet(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "_PLAIN_SECONDS", 0.0)
    with output.progress(2, "working") as update, quiet():
        os.write(2, b"chatter\n")
        update(1)
    assert capfd.readouterr().err.startswith("working: 1/2")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich's way to call any stream a terminal
    monkeypatch.setenv("TERM", "xterm")
    assert "counting" in run(count_to_three).stderr


def test_the_expected_total_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_PLAIN_SECONDS", 0.0)

    def body() -> None:
        with output.progress(2, "measuring") as update:
            update(1, 5)

    assert run(body).stderr.startswith("measuring: 1/5")


def test_json_is_strict_and_alone_on_stdout() -> None:
    result = run(lambda: output.print_json({"name": "Hodžić", "value": 1.5}))
    assert json.loads(result.stdout) == {"name": "Hodžić", "value": 1.5}
    with pytest.raises(ValueError, match="JSON"):
        run(lambda: output.print_json({"value": float("nan")}))


def test_outside_of_a_command_the_level_is_normal() -> None:
    assert output.verbosity() == output.NORMAL

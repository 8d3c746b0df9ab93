"""`--help` imports next to nothing, so that it answers at once."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from portrait_tflite.cli.main import group

# What click and rich bring along counts as theirs.
_ALLOWED = {"portrait_tflite", "click", "rich", "markdown_it", "mdurl", "pygments"}
_COMMANDS = group.list_commands(click.Context(group))

_SCRIPT = """
import sys
before = set(sys.modules)
from portrait_tflite.cli.main import _run
for arguments in {calls!r}:
    assert _run(arguments, debug=False) == 0, arguments
tops = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print("IMPORTED", *sorted(tops - sys.stdlib_module_names))
"""


def imported_by(calls: list[list[str]]) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(calls=calls)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("IMPORTED"))
    return set(line.split()[1:])


def test_help_imports_only_what_is_allowed() -> None:
    calls = [["--help"], ["--version"], *([name, "--help"] for name in _COMMANDS)]
    assert imported_by(calls) <= _ALLOWED


def test_the_check_sees_heavy_modules() -> None:
    # The zoo's list builds networks: were `imported_by` blind, it would not see Keras here.
    assert "keras" in imported_by([["models", "--json"]])


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    context = click.Context(group)
    command = group.get_command(context, name)
    assert command
    text = command.help or ""
    assert "Example" in text
    assert f"portrait-tflite {name}" in text
    options = [p for p in command.params if isinstance(p, click.Option)]
    for option in options:
        said = option.help or option.show_default or option.metavar
        assert said, f"{name} {option.opts[0]} says nothing"


def test_the_group_lists_every_command() -> None:
    text = group.get_help(click.Context(group, info_name="portrait-tflite"))
    assert "Example" in text
    for name in _COMMANDS:
        assert f"\n  {name} " in text
    assert "Exit codes" in text

"""`docs/cli.md` from the commands' help: `python -m portrait_tflite.cli.reference [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from portrait_tflite.cli.main import group

_PATH = Path("docs/cli.md")
_WIDTH = 100


def render_reference() -> str:
    """Return the whole reference as Markdown."""
    context = click.Context(
        group, info_name="portrait-tflite", terminal_width=_WIDTH, **group.context_settings
    )
    parts = ["# Commands\n\nMade by `python -m portrait_tflite.cli.reference`; do not edit.\n"]
    parts.append(_section("portrait-tflite", group.get_help(context)))
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, terminal_width=_WIDTH)
        parts.append(_section(f"portrait-tflite {name}", command.get_help(inner)))
    return "\n".join(parts)


def _section(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"## {title}\n\n```text\n{lines}\n```\n"


def main(arguments: list[str]) -> int:
    """Write the reference, or with `--check` compare it with what is there."""
    if arguments == ["--check"]:
        current = _PATH.read_text("utf-8") if _PATH.is_file() else ""
        if current == render_reference():
            return 0
        click.echo(f"{_PATH} is out of date: run python -m portrait_tflite.cli.reference", err=True)
        return 1
    _PATH.write_text(render_reference(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What `--help` shows can be typed."""

from __future__ import annotations

import re

import click
import pytest

from portrait_tflite.cli.main import _COMMANDS, group


@pytest.mark.parametrize("name", list(_COMMANDS))
def test_a_default_is_shown_as_it_is_accepted(name: str) -> None:
    context = click.Context(group, info_name="portrait-tflite")
    command = group.get_command(context, name)
    assert command is not None
    for option in command.params:
        if not isinstance(option, click.Option) or option.show_default is not True:
            continue
        _, text = option.get_help_record(context) or ("", "")
        shown = re.search(r"\[default: ([^;\]]+)", text)
        assert shown, option.name
        typed = option.type_cast_value(context, shown[1])  # an error where it is none of the words
        assert typed == option.type_cast_value(context, option.get_default(context))

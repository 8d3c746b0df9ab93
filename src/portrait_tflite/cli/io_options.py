"""Options of `convert` about what an app puts in, reads, and carries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from portrait_tflite.cli.spec_options import one_of
from portrait_tflite.vocabulary import IoType

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--io",
        metavar="|".join(IoType),
        type=one_of("--io", IoType),
        default=IoType.INT8.value,
        show_default=True,
        help="Element type of the int8 file's input and output; uint8 takes raw camera bytes.",
    ),
    click.option(
        "--metadata",
        is_flag=True,
        help="Describe the files to MediaPipe's ImageSegmenter; int8 needs --io uint8 or float32.",
    ),
    click.option(
        "--assets",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Also write what an app needs: the variants, model.json, golden inputs and masks.",
    ),
)


def io_options(command: Command) -> Command:
    """Add `--io`, `--metadata` and `--assets`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command

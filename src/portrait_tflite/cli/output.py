"""What commands print: results on stdout, progress and messages on stderr.

rich is imported when something is printed, so that `--help` stays quick.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from portrait_tflite.progress import Update

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

# Key in click's `Context.meta`, which all nested commands of one call share.
_VERBOSITY = "portrait_tflite.verbosity"
QUIET, NORMAL, VERBOSE = -1, 0, 1

# Off a terminal a line goes to a file or a CI log: wide enough for our tables, seldom enough.
_PLAIN_WIDTH = 140
_PLAIN_SECONDS = 10.0


def set_verbosity(context: click.Context, level: int) -> None:
    """Set how much is said on stderr: `QUIET`, `NORMAL` or `VERBOSE`."""
    context.meta[_VERBOSITY] = level


def verbosity() -> int:
    """Return how much the running command says on stderr; `NORMAL` outside of a command."""
    context = click.get_current_context(silent=True)
    return int(context.meta.get(_VERBOSITY, NORMAL)) if context else NORMAL


def command_line() -> str:
    """Return the command line as it was typed, for reports."""
    context = click.get_current_context(silent=True)
    return str((context and context.find_root().obj) or "portrait-tflite")


def results() -> Console:
    """Return the console for results, on stdout."""
    return _console(stderr=False)


def messages() -> Console:
    """Return the console for progress and messages, on stderr; it prints nothing with `-q`."""
    return _console(stderr=True, quiet=verbosity() <= QUIET)


def print_json(data: Any) -> None:
    """Print a machine-readable result on stdout. NaN and infinity, which JSON lacks, are errors."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))


@contextmanager
def progress(total: int, description: str) -> Iterator[Update]:
    """Show how far long work is: a bar with an estimate on a terminal, plain lines elsewhere.

    Yields:
        A function to be called with the number of steps done.
    """
    with _lasting_stderr() as stream:
        console = _console(stderr=True, quiet=verbosity() <= QUIET, file=stream)
        if console.is_terminal and not console.quiet:
            with _bar(console, total, description) as update:
                yield update
        else:
            yield _PlainProgress(console, total, description)


@contextmanager
def _lasting_stderr() -> Iterator[IO[str]]:
    """Open stderr a second time: `quiet()` points the first one elsewhere while libraries work."""
    try:
        copy = os.dup(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # replaced by something that is no file
        yield sys.stderr
        return
    with os.fdopen(copy, "w", 1, encoding=sys.stderr.encoding, errors="replace") as stream:
        yield stream


@contextmanager
def _bar(console: Console, total: int, description: str) -> Iterator[Update]:
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=console, transient=True) as bar:
        yield _BarProgress(bar, bar.add_task(description, total=total))


class _BarProgress:
    """Moves a bar on a terminal."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def __call__(self, done: int, total: int | None = None) -> None:
        self._bar.update(self._task, completed=done, total=total)

    def say(self, text: str) -> None:
        self._bar.console.print(text)


class _PlainProgress:
    """Prints a line every few seconds, and none for work that is shorter."""

    def __init__(self, console: Console, total: int, description: str) -> None:
        self._console = console
        self._total = total
        self._description = description
        self._started = self._printed = time.monotonic()

    def __call__(self, done: int, total: int | None = None) -> None:
        self._total = total or self._total
        now = time.monotonic()
        if now - self._printed < _PLAIN_SECONDS or not 0 < done < self._total:
            return
        self._printed = now
        left_s = (now - self._started) / done * (self._total - done)
        self.say(f"{self._description}: {done}/{self._total}, about {left_s:.0f} s left")

    def say(self, text: str) -> None:
        self._console.print(text)


def _console(*, stderr: bool, quiet: bool = False, file: IO[str] | None = None) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, quiet=quiet, file=file, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)
    return console

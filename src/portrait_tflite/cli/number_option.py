"""Numbers on the command line."""

from __future__ import annotations

import math
from typing import Any

import click

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import HOST

_MOST_THREADS = 256


class FiniteRange(click.FloatRange):
    """A range of floats; click's own lets `nan` and `inf` through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


def parse_threads(text: str) -> tuple[int, ...]:
    """Parse the list of `--threads`, such as `1,2,4`.

    Raises:
        UsageError: One of them is no number of threads.
    """
    parts = list(dict.fromkeys(part.strip() for part in text.split(",")))
    wrong = [part for part in parts if not (part.isdecimal() and 0 < int(part) <= _MOST_THREADS)]
    if wrong:
        raise UsageError(
            f"--threads must be 1 to {_MOST_THREADS}, or a list of such. Received: {wrong[0]!r}."
        )
    return tuple(map(int, parts))


def one_count(threads: tuple[int, ...] | None) -> int:
    """Return the one number of `--threads`, 1 where none was given.

    Raises:
        UsageError: There are several, which only a phone takes.
    """
    if threads and len(threads) > 1:
        raise UsageError(
            f"one number of --threads is required for {HOST}. Received: "
            f"{','.join(map(str, threads))}. A phone takes several; here, measure them in turn."
        )
    return threads[0] if threads else 1

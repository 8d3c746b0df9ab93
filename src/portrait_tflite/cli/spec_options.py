"""The options that say how pictures reach a network, shared by every command that loads one."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Activation, Channels, Fit, Interpolation

if TYPE_CHECKING:
    from portrait_tflite.convert.loading.load import LoadOptions

SEED = click.IntRange(0, 2**32 - 1)  # what NumPy takes
_MAX_SIZE = 8192


@dataclass(frozen=True)
class SpecArguments:
    """What the options said; None and () where they were not given.

    Attributes:
        arrays: Names of the arrays that there are for inputs: no option of their own.
    """

    size: tuple[int, int] | None = None
    input_range: tuple[float, float] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Channels | None = None
    fit: Fit | None = None
    interpolation: Interpolation | None = None
    output: int | None = None
    output_channel: int | None = None
    activation: Activation | None = None
    custom_objects: Path | None = None
    arrays: tuple[str, ...] = ()


def spec_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a click command, which gets them as one `spec: SpecArguments`."""

    @functools.wraps(command)
    def wrapped(*args: Any, **given: Any) -> Any:
        said = {e.name: given.pop(e.name) for e in fields(SpecArguments) if e.name in given}
        spec = SpecArguments(**{name: value for name, value in said.items() if value is not None})
        return command(*args, spec=spec, **given)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def load_options_from(
    spec: SpecArguments, *, random_weights: bool = False, seed: int = 0
) -> LoadOptions:
    """Hand the options on to `load_model`. Imports Keras."""
    from portrait_tflite.convert.loading.load import LoadOptions

    given = {each.name: getattr(spec, each.name) for each in fields(spec)}
    return LoadOptions(**given, random_weights=random_weights, seed=seed)


def parse_size(text: str) -> tuple[int, int]:
    """Parse `256` or `HxW` to `(height, width)`.

    Raises:
        UsageError: It is neither, or not 1 to 8192 pixels.
    """
    match = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", text.strip().lower())
    height = int(match[1]) if match else 0
    width = int(match[2] or match[1]) if match else 0
    if not (1 <= height <= _MAX_SIZE and 1 <= width <= _MAX_SIZE):
        raise UsageError(
            f"--size must be H or HxW in pixels, e.g. 256 or 256x192. Received: {text!r}."
        )
    return height, width


def parse_range(text: str) -> tuple[float, float]:
    """Parse `LO,HI`, two finite numbers, the first below the second.

    Raises:
        UsageError: It is something else.
    """
    numbers = _numbers(text)
    if numbers is None or len(numbers) != 2 or numbers[0] >= numbers[1]:
        raise UsageError(
            f"--input-range must be LO,HI with LO below HI, e.g. 0,1 or -1,1 or 0,255. "
            f"Received: {text!r}."
        )
    return numbers[0], numbers[1]


def parse_per_channel(name: str, text: str) -> tuple[float, ...]:
    """Parse one number, or three for the colours; those of `--std` must be above 0.

    Raises:
        UsageError: It is something else.
    """
    numbers = _numbers(text)
    if numbers is None or len(numbers) not in (1, 3) or (name == "--std" and min(numbers) <= 0):
        example = "0.229,0.224,0.225, all above 0" if name == "--std" else "0.485,0.456,0.406"
        raise UsageError(f"{name} must be one number or three, e.g. {example}. Received: {text!r}.")
    return numbers


def _numbers(text: str) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def one_of(option: str, members: type[StrEnum]) -> Callable[[str], StrEnum]:
    """Return a parser to a member of a string enum. Unlike click's Choice its error is one line."""

    def parse(text: str) -> StrEnum:
        if text not in list(members):
            raise UsageError(f"{option} must be one of {', '.join(members)}. Received: {text!r}.")
        return members(text)

    return parse


def _index(option: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isdecimal() and text.isascii()):
            raise UsageError(f"{option} must be a number from 0. Received: {text!r}.")
        return int(text)

    return parse


def _per_channel(option: str) -> Callable[[str], tuple[float, ...]]:
    def parse(text: str) -> tuple[float, ...]:
        return parse_per_channel(option, text)

    return parse


_OPTIONS = (
    click.option(
        "--size", metavar="H[xW]", type=parse_size, help="Input size, for a network that takes any."
    ),
    click.option(
        "--input-range",
        metavar="LO,HI",
        type=parse_range,
        help="What bytes 0 and 255 become: 0,1 or -1,1 or 0,255, as in training.",
    ),
    click.option(
        "--mean",
        metavar="A[,B,C]",
        type=_per_channel("--mean"),
        help="Subtracted per channel, in units of --input-range.",
    ),
    click.option(
        "--std",
        metavar="A[,B,C]",
        type=_per_channel("--std"),
        help="Divided by per channel, in units of --input-range.",
    ),
    click.option(
        "--channels",
        metavar="|".join(Channels),
        type=one_of("--channels", Channels),
        help="Colour order of the input.",
    ),
    click.option(
        "--fit",
        metavar="|".join(Fit),
        type=one_of("--fit", Fit),
        help="How a picture of another shape meets the input.",
    ),
    click.option(
        "--interpolation",
        metavar="|".join(Interpolation),
        type=one_of("--interpolation", Interpolation),
        help="How a picture is resized to the input.",
    ),
    click.option(
        "--output",
        metavar="N",
        type=_index("--output"),
        help="Which output is the mask, from 0, where there are several.",
    ),
    click.option(
        "--output-channel",
        metavar="K",
        type=_index("--output-channel"),
        help="Which channel of it is the person, from 0.",
    ),
    click.option(
        "--activation",
        metavar="|".join(Activation),
        type=one_of("--activation", Activation),
        help="Appended where the output is logits; none where it is a probability. A Keras model's "
        "tanh, -1 to 1, is brought to 0 to 1 unless something is said here.",
    ),
    click.option(
        "--custom-objects",
        metavar="FILE.py",
        type=click.Path(path_type=Path),
        help="Python file that defines the model's own layers; it is run.",
    ),
)

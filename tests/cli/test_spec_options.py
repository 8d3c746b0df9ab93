"""The options of a spec: what is taken, and that errors are one line of our own."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from portrait_tflite.cli.spec_options import SpecArguments, parse_size, spec_options
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Activation, Channels, Fit, Interpolation


def run(arguments: list[str]) -> SpecArguments:
    seen: list[SpecArguments] = []

    @click.command()
    @spec_options
    @click.option("--other")
    def command(spec: SpecArguments, other: str | None) -> None:
        seen.append(spec)

    CliRunner().invoke(command, arguments, catch_exceptions=False)
    return seen[0]


def test_nothing_given_is_nothing_said() -> None:
    assert run([]) == SpecArguments()


def test_every_option_arrives() -> None:
    spec = run(
        [
            "--size",
            "256x192",
            "--input-range",
            "-1,1",
            "--mean",
            "0.5",
            "--std",
            "1,2,3",
            "--channels",
            "gray",
            "--fit",
            "letterbox",
            "--interpolation",
            "area",
            "--output",
            "1",
            "--output-channel",
            "2",
            "--activation",
            "softmax",
            "--custom-objects",
            "own.py",
        ]
    )
    assert spec.size == (256, 192)
    assert spec.input_range == (-1, 1)
    assert spec.mean == (0.5,)
    assert spec.std == (1, 2, 3)
    assert spec.channels is Channels.GRAY
    assert spec.fit is Fit.LETTERBOX
    assert spec.interpolation is Interpolation.AREA
    assert (spec.output, spec.output_channel) == (1, 2)
    assert spec.activation is Activation.SOFTMAX
    assert str(spec.custom_objects) == "own.py"


def test_one_number_is_a_square() -> None:
    assert parse_size("224") == (224, 224)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--size", "0"),
        ("--size", "256x"),
        ("--size", "axb"),
        ("--size", "256,256"),
        ("--size", "99999"),
        ("--input-range", "1"),
        ("--input-range", "1,0"),
        ("--input-range", "0,0"),
        ("--input-range", "0,1,2"),
        ("--input-range", "0,nan"),
        ("--input-range", "0,inf"),
        ("--input-range", "zero,one"),
        ("--mean", "1,2"),
        ("--mean", ""),
        ("--std", "1,0,1"),
        ("--std", "-1"),
        ("--channels", "RGBA"),
        ("--fit", "pad"),
        ("--interpolation", "cubic"),
        ("--activation", "relu"),
        ("--output", "-1"),
        ("--output", "first"),
        ("--output-channel", "1.5"),
    ],
)
def test_bad_values_are_refused_in_one_line(option: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        run([option, value])
    message = str(caught.value)
    assert message.startswith(f"{option} must be")
    assert message.endswith(f"Received: {value!r}.")
    assert "\n" not in message
    assert caught.value.exit_code == 2

"""A network's preprocessing: what the options say, then what its file says, never a guess."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from portrait_tflite.convert.network_inputs import STATE_CHANNEL
from portrait_tflite.convert.stated_range import stated_range
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Channels, ModelSpec, OutputSpec

if TYPE_CHECKING:
    from portrait_tflite.convert.loading.load import LoadOptions


def resolve_spec(
    image: Any, options: LoadOptions, output: OutputSpec, source: str, zoo: ModelSpec | None
) -> ModelSpec:
    """Put the spec together for a network whose input is `image` `[batch, h, w, c]`.

    Args:
        zoo: The net's own spec where it comes from the zoo.

    Raises:
        UsageError: The range is not known, or an option contradicts the network.
    """
    height, width, count = image.shape[1:]
    channels = resolve_channels(count, options.channels, source)
    _check_options(options, channels.depth)
    stated = zoo.input_range if zoo else stated_range(image)
    input_range = options.input_range or stated
    if input_range is None:
        raise UsageError(
            f"the range of pixel values that {source} was trained with is not known: --input-range "
            "is required (0,1, 0,255 or -1,1; the training code says which)."
        )
    base = zoo or ModelSpec(height, width)
    return replace(
        base,
        height=height,
        width=width,
        channels=channels,
        input_range=input_range,
        mean=options.mean or base.mean,
        std=options.std or base.std,
        fit=options.fit or base.fit,
        interpolation=options.interpolation or base.interpolation,
        output=output,
    )


def resolve_channels(count: int | None, wanted: Channels | None, source: str) -> Channels:
    """Return the colour order of an input of `count` channels: gray for 1, RGB for 3.

    A fourth channel is the previous mask, where `wanted` says what the other three are.

    Raises:
        UsageError: It has another number of channels, or not that of `wanted`.
    """
    if count == STATE_CHANNEL + 1 and wanted in (Channels.RGB, Channels.BGR):
        return wanted
    if count not in (1, 3):
        raise UsageError(
            "an input of 1 (gray) or 3 (colour) channels, channels last, is required, or of 4 "
            "with --channels rgb: the previous mask after the colours. "
            f"Received: {source} with {count or 'an unknown number of'} channels."
        )
    channels = wanted or (Channels.GRAY if count == 1 else Channels.RGB)
    if channels.depth != count:
        fitting = "gray" if count == 1 else "rgb or bgr"
        raise UsageError(
            f"{source} takes {count} channel{'s' if count > 1 else ''}: --channels must be "
            f"{fitting}. Received: {channels}."
        )
    return channels


def _check_options(options: LoadOptions, count: int) -> None:
    if options.input_range is not None:
        low, high = options.input_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UsageError(
                f"--input-range LO,HI must be two numbers, LO below HI. Received: {low},{high}."
            )
    for name, values in (("--mean", options.mean), ("--std", options.std)):
        if len(values) not in (0, 1, count) or not all(map(math.isfinite, values)):
            raise UsageError(
                f"{name} takes 1 or {count} numbers, one per channel. Received: "
                f"{','.join(map(str, values))}."
            )
    if 0 in options.std:
        raise UsageError("--std must not be 0; it divides. Received: 0.")

"""Networks for video: which input takes the last mask, and which output it comes from.

No option says it, so the shapes must: a second input `[h, w, 1]`, or a fourth channel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from portrait_tflite.errors import ConversionError
from portrait_tflite.images import Floats
from portrait_tflite.vocabulary import Channels, StateSpec

STATE_CHANNEL = 3  # of a picture's input with four channels

# What converters and Keras call tensors themselves tells nothing.
_NO_NAMES = frozenset({"input", "output", "layer", "conv", "d", "serving", "default"})


class End(NamedTuple):
    """An input or output of a network; the shape is without the batch."""

    name: str
    shape: tuple[int | None, ...]


def keras_ends(tensors: Sequence[Any]) -> list[End]:
    """Describe Keras tensors; an output is called as the layer that makes it."""
    return [End(t._keras_history.operation.name, tuple(t.shape[1:])) for t in tensors]


def find_inputs(inputs: Sequence[End], source: str) -> tuple[int, int | None]:
    """Tell the picture's input and the state's; the latter is None where there is one input.

    Raises:
        ConversionError: There are other inputs than these two.
    """
    if len(inputs) == 1:
        return 0, None
    pictures = [i for i, end in enumerate(inputs) if _channels(end) == Channels.RGB.depth]
    masks = [i for i, end in enumerate(inputs) if _channels(end) == 1]
    if len(inputs) == 2 and len(pictures) == len(masks) == 1:
        return pictures[0], masks[0]
    raise ConversionError(
        "a network with one input, the image, is required, or with two, the image [h, w, 3] and "
        f"the previous mask [h, w, 1]. Received: {source} with {len(inputs)} inputs "
        f"({_listed(inputs)}). Build it with these alone."
    )


def find_state(
    inputs: Sequence[End], outputs: Sequence[End], mask: int, source: str
) -> StateSpec | None:
    """Tell what the network remembers, from its shapes; None where that is nothing.

    Args:
        outputs: All outputs, the mask with the one channel that is the person.
        mask: Which of them is the mask.

    Raises:
        ConversionError: There are other inputs, the state has a size of its own, or it is not
            clear which output it comes from.
    """
    picture, state = find_inputs(inputs, source)
    if state is None:
        beside = _channels(inputs[0]) == STATE_CHANNEL + 1
        return StateSpec(0, STATE_CHANNEL, from_output=mask) if beside else None
    fed, person = inputs[state], outputs[mask]
    if fed.shape[:2] not in (inputs[picture].shape[:2], person.shape[:2]):
        raise ConversionError(
            "a previous mask of the image's size or of the mask's is required, "
            f"{_listed([inputs[picture], person])}. Received: {source} with {_listed([fed])}."
        )
    return StateSpec(state, from_output=_find_origin(fed, outputs, mask, source))


def fill_inputs(
    picture: Floats,
    shapes: Sequence[tuple[int | None, ...]],
    state: StateSpec | None,
    last: Floats | None = None,
) -> list[Floats]:
    """Return one array per input: the picture `[n, h, w, c]`, and the state.

    Args:
        shapes: Of the inputs, with the batch. Their order may differ from that of the network
            which the spec was told from: a converter has its own.
        last: The last mask `[h, w]`, brought to the state's size; None begins a video.
    """
    if state is None:
        return [picture]
    if state.channel is not None:
        return [picture if last is None else _with_channel(picture, state.channel, last)]
    given = picture.shape[1:]
    return [
        picture
        if tuple(shape[1:]) == given
        else _filled((len(picture), *map(int, filter(None, shape[1:]))), state, last)
        for shape in shapes
    ]


def _with_channel(picture: Floats, channel: int, last: Floats) -> Floats:
    filled = picture.copy()
    filled[..., channel] = _sized(last, *picture.shape[1:3])
    return filled


def _filled(shape: tuple[int, ...], state: StateSpec, last: Floats | None) -> Floats:
    filled = np.full(shape, state.initial, np.float32)
    if last is not None:
        filled[..., 0] = _sized(last, *shape[1:3])
    return filled


def _sized(mask: Floats, height: int, width: int) -> Floats:
    return np.asarray(cv2.resize(mask, (width, height)), np.float32)


def _find_origin(fed: End, outputs: Sequence[End], mask: int, source: str) -> int:
    """Tell the output that is fed back: the mask, or the only other one that fits."""
    alike = [i for i, end in enumerate(outputs) if i != mask and end.shape == fed.shape]
    if not alike:
        return mask
    if outputs[mask].shape[:2] != fed.shape[:2] and len(alike) == 1:
        return alike[0]
    # Several fit, and only a name can tell, as of `mask` and `previous_mask`.
    named = [i for i in (mask, *alike) if _words(outputs[i]) & _words(fed)]
    if len(named) == 1:
        return named[0]
    fitting = _listed([outputs[i] for i in (mask, *alike)])
    raise ConversionError(
        f"one output that is fed back to the input {fed.name} is required. Received: {source}, "
        f"where {fitting} fit. Build it without the others, or name the input after the output."
    )


def _channels(end: End) -> int | None:
    return end.shape[2] if len(end.shape) == 3 else None


def _words(end: End) -> set[str]:
    return set(re.findall("[a-z]+", end.name.lower())) - _NO_NAMES


def _listed(ends: Sequence[End]) -> str:
    return ", ".join(f"{end.name} {_shape(end.shape)}" for end in ends)


def _shape(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"

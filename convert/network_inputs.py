"""What a network takes: which input is the picture, and what each of the others is fed with.

Beside the picture a network may take its own last mask (`previous_mask`), or anything else that
calibration gives an array for: a trimap, a background, a threshold, features of the last picture.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from portrait_tflite.errors import UsageError
from portrait_tflite.images import Floats
from portrait_tflite.vocabulary import Channels, ModelSpec, OtherInput, StateSpec, TensorInfo

IMAGES = "images"  # the picture's array in an .npz, whatever its input is called
INPUT_NAME = "image"  # of the picture, in files of ours
STATE_CHANNEL = 3  # of a picture's input with four channels

# What converters and Keras call tensors themselves tells nothing.
_NO_NAMES = frozenset({"input", "output", "layer", "conv", "d", "serving", "default"})
_PICTURES = frozenset({"image", "images", "img", "picture", "photo", "rgb", "src", "frame"})
_SIGNED = "serving_default_"


class End(NamedTuple):
    """An input or output of a network; the shape is without the batch."""

    name: str
    shape: tuple[int | None, ...]


class Fed(NamedTuple):
    """Pictures `[n, h, w, c]`, and for each other input, by its name, its rows `[n, …]`.

    Without rows the others are fed with noise (`draw_others`).
    """

    picture: Floats
    others: Mapping[str, Floats]


class Places(NamedTuple):
    """Which input takes what, as numbers of the inputs."""

    picture: int
    state: int | None
    others: Mapping[int, OtherInput]


def keras_ends(tensors: Sequence[Any]) -> list[End]:
    """Describe Keras tensors; an output is called as the layer that makes it."""
    return [End(t._keras_history.operation.name, tuple(t.shape[1:])) for t in tensors]


def file_ends(infos: Sequence[TensorInfo]) -> list[End]:
    """Describe the inputs or outputs of a `.tflite`."""
    return [End(info.name, info.shape[1:]) for info in infos]


def find_picture(inputs: Sequence[End], source: str, arrays: Collection[str] = ()) -> int:
    """Tell the picture's input: the one of three channels, else of one; of several by its name.

    Args:
        arrays: Names of what calibration has arrays for. With `images` among them, the only input
            without one is the picture.

    Raises:
        UsageError: None or several may be it.
    """
    if len(inputs) == 1:
        return 0
    known = set(map(plain_name, arrays))
    unnamed = [i for i, end in enumerate(inputs) if plain_name(end.name) not in known]
    if IMAGES in known and len(unnamed) == 1:
        return unnamed[0]
    for depth in (Channels.RGB.depth, Channels.GRAY.depth):
        fitting = [i for i, end in enumerate(inputs) if channels_of(end) == depth]
        named = [i for i in fitting if _is_called_picture(inputs[i])]
        if len(fitting) == 1 or len(named) == 1:
            return (fitting if len(fitting) == 1 else named)[0]
        if fitting:
            break
    raise UsageError(
        f"one input that is the picture is required, [h, w, 3] or else [h, w, 1], called image "
        f"where there are several. Received: {source} with {listed(inputs)}. Name it so, or give "
        f"--calibration FILE.npz with an array for each other input and one called {IMAGES!r}."
    )


def other_inputs(
    inputs: Sequence[End], picture: int, state: StateSpec | None
) -> tuple[OtherInput, ...]:
    """List what a network takes besides the picture and its last mask.

    Raises:
        UsageError: One has an open size, or the name that the picture has in our files.
    """
    taken = {picture} | ({state.input} if state else set())
    others = [(i, end) for i, end in enumerate(inputs) if i not in taken]
    for _, end in others:
        if None in end.shape:
            raise UsageError(
                f"inputs of a fixed size are required besides the picture. Received: "
                f"{listed([end])}. Build the network with its size."
            )
        if plain_name(end.name) in (INPUT_NAME, IMAGES):
            raise UsageError(
                f"an input called {end.name!r} must be the picture. Received: {listed([end])} "
                f"beside {listed([inputs[picture]])}. Call it otherwise."
            )
    return tuple(
        OtherInput(i, plain_name(end.name), tuple(n for n in end.shape if n is not None))
        for i, end in others
    )


def place_inputs(inputs: Sequence[End], spec: ModelSpec | None) -> Places:
    """Tell which input takes what.

    By names and shapes before the numbers of the spec: a plain conversion's order is the
    converter's own.
    """
    if spec is None or len(inputs) == 1:
        return Places(0, None, {})
    named = {other.name: other for other in spec.others}
    others = {
        i: named[plain_name(end.name)]
        for i, end in enumerate(inputs)
        if plain_name(end.name) in named
    }
    rest = [i for i in range(len(inputs)) if i not in others]
    image = (spec.height, spec.width, spec.depth)
    fitting = [i for i in rest if inputs[i].shape == image] or rest
    # A gray picture and a last mask have one shape.
    called = [i for i in fitting if _is_called_picture(inputs[i])]
    known = spec.picture_input if spec.picture_input in fitting else fitting[0]
    picture = called[0] if len(called) == 1 else known
    return Places(picture, next((i for i in rest if i != picture), None), others)


def fill_inputs(
    fed: Floats | Fed,
    inputs: Sequence[End],
    spec: ModelSpec | None = None,
    last: Floats | None = None,
) -> list[Floats]:
    """Return one array per input, in their order.

    Args:
        fed: The picture, alone where the network takes nothing else that has to be given.
        last: The last mask `[h, w]`, brought to the state's size; None begins a video.
    """
    picture, given = fed if isinstance(fed, Fed) else (fed, {})
    state = spec.state if spec else None
    if state is not None and state.channel is not None:
        return [picture if last is None else _with_channel(picture, state.channel, last)]
    places = place_inputs(inputs, spec)
    if spec and spec.others and not given:
        given = draw_others(spec, len(picture))
    filled = {i: given[other.name] for i, other in places.others.items()}
    filled[places.picture] = picture
    if state is not None and places.state is not None:
        shape = map(int, filter(None, inputs[places.state].shape))
        filled[places.state] = _filled((len(picture), *shape), state, last)
    return [filled[number] for number in sorted(filled)]


def beside(picture: Floats, others: Mapping[str, Floats]) -> Floats | Fed:
    """Put a picture together with what else the network takes, if it does."""
    return Fed(picture, others) if others else picture


def pictures_of(fed: Floats | Fed) -> Floats:
    """Return the pictures alone."""
    return fed.picture if isinstance(fed, Fed) else fed


def draw_others(spec: ModelSpec, count: int, seed: int = 0) -> dict[str, Floats]:
    """Draw noise of 0 to 1 for each other input: `count` rows."""
    rng = np.random.default_rng(seed)
    return {
        other.name: rng.random((count, *other.shape), dtype=np.float32) for other in spec.others
    }


def stack_rows(rows: Iterable[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Put rows `[1, …]` of the other inputs together to `[n, …]`."""
    rows = list(rows)
    return {name: np.concatenate([row[name] for row in rows]) for name in (rows or [{}])[0]}


def plain_name(name: str) -> str:
    """Return a tensor's name as its input is called, without what converters add to it."""
    return re.sub(r"\W", "_", re.sub(r":\d+$", "", name).removeprefix(_SIGNED))


def channels_of(end: End) -> int | None:
    """Return the channels of what has rows and columns; None of anything else."""
    return end.shape[2] if len(end.shape) == 3 else None


def words_of(end: End) -> set[str]:
    """Return the words of a name that tell something."""
    return set(re.findall("[a-z]+", end.name.lower())) - _NO_NAMES


def listed(ends: Iterable[End]) -> str:
    """Write inputs or outputs with their shapes."""
    return ", ".join(f"{end.name} {_shape(end.shape)}" for end in ends)


def _is_called_picture(end: End) -> bool:
    words = words_of(end)
    return bool(words) and words <= _PICTURES


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


def _shape(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"

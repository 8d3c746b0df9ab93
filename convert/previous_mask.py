"""Networks for video: which input takes the last mask, and which output it comes from.

No option says it, so the shapes must: a second input `[h, w, 1]`, or a fourth channel. An input
that calibration has an array for is none of them: that says what goes into it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from portrait_tflite.convert.network_inputs import (
    STATE_CHANNEL,
    End,
    channels_of,
    find_picture,
    listed,
    plain_name,
    words_of,
)
from portrait_tflite.errors import ConversionError
from portrait_tflite.vocabulary import StateSpec

# What takes a mask that is no last one says so by its name.
_NO_LAST_MASK = frozenset({"trimap", "depth"})


def find_state(
    inputs: Sequence[End],
    outputs: Sequence[End],
    mask: int,
    source: str,
    arrays: Collection[str] = (),
) -> StateSpec | None:
    """Tell what the network remembers, from its shapes; None where that is nothing.

    Args:
        outputs: All outputs, the mask with the one channel that is the person.
        mask: Which of them is the mask.
        arrays: Names of what calibration has arrays for.

    Raises:
        ConversionError: It is not clear which output it comes from.
        UsageError: It is not clear which input is the picture.
    """
    picture = find_picture(inputs, source, arrays)
    if len(inputs) == 1:
        beside = channels_of(inputs[0]) == STATE_CHANNEL + 1
        return StateSpec(0, STATE_CHANNEL, from_output=mask) if beside else None
    state = 1 - picture
    sizes = (inputs[picture].shape[:2], outputs[mask].shape[:2])
    if len(inputs) > 2 or not _may_take_masks(inputs[state], sizes, arrays):
        return None
    return StateSpec(state, from_output=_find_origin(inputs[state], outputs, mask, source))


def _may_take_masks(
    fed: End, sizes: Collection[tuple[int | None, ...]], arrays: Collection[str]
) -> bool:
    return (
        channels_of(fed) == 1
        and fed.shape[:2] in sizes
        and plain_name(fed.name) not in set(map(plain_name, arrays))
        and not words_of(fed) & _NO_LAST_MASK
    )


def _find_origin(fed: End, outputs: Sequence[End], mask: int, source: str) -> int:
    """Tell the output that is fed back: the mask, or the only other one that fits."""
    alike = [i for i, end in enumerate(outputs) if i != mask and end.shape == fed.shape]
    if not alike:
        return mask
    if outputs[mask].shape[:2] != fed.shape[:2] and len(alike) == 1:
        return alike[0]
    # Several fit, and only a name can tell, as of `mask` and `previous_mask`.
    named = [i for i in (mask, *alike) if words_of(outputs[i]) & words_of(fed)]
    if len(named) == 1:
        return named[0]
    fitting = listed([outputs[i] for i in (mask, *alike)])
    raise ConversionError(
        f"one output that is fed back to the input {fed.name} is required. Received: {source}, "
        f"where {fitting} fit. Build it without the others, or name the input after the output; if "
        f"it takes no last mask, --calibration FILE.npz with an array {fed.name!r} says what it is "
        "fed with."
    )

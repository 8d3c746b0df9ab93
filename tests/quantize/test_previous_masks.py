"""Synthetic previous masks: half the initial state, half the network's own mask, moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from portrait_tflite.convert.network_inputs import End
from portrait_tflite.images import Floats, prepare
from portrait_tflite.quantize.accuracy.remembering import next_state
from portrait_tflite.quantize.calibration import load_calibration, representative_dataset
from portrait_tflite.quantize.previous_masks import Feeder
from portrait_tflite.vocabulary import ModelSpec, OutputSpec, StateSpec

SIZE = 32


def _outputs(picture: Floats) -> Sequence[Floats]:
    """Take red for the person, and half of it for what is remembered."""
    person = picture[..., :1]
    return [np.concatenate([1 - person, person], -1), person[:, ::2, ::2] / 2]


def _feeder(state: StateSpec | None, inputs: Sequence[End]) -> Feeder:
    spec = ModelSpec(SIZE, SIZE, output=OutputSpec(0, 1), state=state)
    return Feeder(spec, _outputs, inputs)


def _pictures(count: int = 6, channels: int = 3) -> Floats:
    pictures = np.zeros((count, SIZE, SIZE, channels), np.float32)
    for number in range(count):
        pictures[number, 8:24, 6 + number : 22 + number, 0] = 1
    return pictures


BESIDE = [End("image", (SIZE, SIZE, 3)), End("old", (SIZE, SIZE, 1))]
FOUR = [End("image", (SIZE, SIZE, 4))]


def test_a_plain_network_is_fed_with_pictures_alone() -> None:
    pictures = _pictures()
    assert _feeder(None, BESIDE[:1]).frames(pictures) == (pictures,)
    calibration = load_calibration("synthetic", ModelSpec(SIZE, SIZE), count=8)
    assert _feeder(None, BESIDE[:1]).complete(calibration) is calibration


def test_half_begin_and_half_follow_on_their_own_mask() -> None:
    pictures = _pictures()
    fed, states = _feeder(StateSpec(1, initial=0.5), BESIDE).frames(pictures)
    assert fed is pictures
    assert states.shape == (6, SIZE, SIZE, 1)
    assert np.all(states[::2] == 0.5)
    for picture, state in zip(pictures[1::2], states[1::2], strict=True):
        person = picture[..., :1]
        overlap = np.minimum(person, state).sum() / np.maximum(person, state).sum()
        # About where the person is, and not quite.
        assert 0.6 < overlap < 0.99
        assert 0 <= state.min() <= state.max() <= 1
        assert np.any((state > 0.1) & (state < 0.9))
    assert not np.array_equal(states[1], states[3])


def test_the_same_pictures_give_the_same_states() -> None:
    feeder = _feeder(StateSpec(1), BESIDE)
    assert np.array_equal(feeder.frames(_pictures())[1], feeder.frames(_pictures())[1])


def test_the_state_is_brought_to_its_own_size_and_place() -> None:
    inputs = [End("old", (16, 16, 1)), End("image", (SIZE, SIZE, 3))]
    states, pictures = _feeder(StateSpec(0), inputs).frames(_pictures())
    assert (states.shape, pictures.shape) == ((6, 16, 16, 1), (6, SIZE, SIZE, 3))
    assert states[1].max() > 0.9


def test_another_output_may_be_fed_back() -> None:
    state = StateSpec(1, from_output=1)
    _, states = _feeder(state, BESIDE).frames(_pictures())
    assert 0.4 < states[1].max() <= 0.5
    spec = ModelSpec(SIZE, SIZE, output=OutputSpec(0, 1), state=state)
    assert next_state(_outputs(_pictures(1)), spec).shape == (16, 16)


def test_a_channel_of_the_picture_takes_the_state() -> None:
    pictures = _pictures(channels=4)
    (fed,) = _feeder(StateSpec(0, 3), FOUR).frames(pictures)
    assert np.array_equal(fed[..., :3], pictures[..., :3])
    assert not fed[::2, ..., 3].any()
    assert fed[1, ..., 3].max() > 0.9
    assert not pictures[..., 3].any()


@pytest.mark.parametrize("channel", [None, 3])
def test_calibration_takes_both(channel: int | None) -> None:
    state = StateSpec(1 if channel is None else 0, channel)
    spec = ModelSpec(SIZE, SIZE, output=OutputSpec(0, 1), state=state)
    calibration = load_calibration("synthetic", spec, count=9)
    assert calibration.inputs.shape[-1] == spec.depth
    inputs = BESIDE if channel is None else FOUR
    complete = Feeder(spec, _outputs, inputs).complete(calibration)
    frames = list(representative_dataset(complete)())
    assert [array.shape for array in frames[0]] == [(1, *end.shape) for end in inputs]
    states = [frame[-1][..., -1] for frame in frames]
    assert [bool(each.any()) for each in states] == [False, True] * 4 + [False]
    checks = {check.name: check for check in complete.record.checks}
    assert checks["previous masks"].detail == "5 begin with 0, 4 with their own mask"
    assert ("mask among colours" in checks) == (channel is not None)
    assert all(check.passed for name, check in checks.items() if "mask" in name)
    assert complete.record.sha256 == calibration.record.sha256


def test_a_mask_among_wide_colours_is_warned_of() -> None:
    spec = ModelSpec(SIZE, SIZE, input_range=(0.0, 255.0), state=StateSpec(0, 3))
    feeder = Feeder(spec, lambda x: [x[..., :1] / 255], FOUR)
    check = feeder.complete(load_calibration("synthetic", spec, count=8)).record.checks[-1]
    assert (check.passed, check.level) == (False, "warn")
    assert check.detail.startswith("1 steps of int8 for the mask")


def test_a_picture_is_prepared_with_the_state_as_it_begins() -> None:
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    spec = ModelSpec(SIZE, SIZE, mean=(0.5, 0.5, 0.5), state=StateSpec(0, 3, initial=0.25))
    prepared = prepare(image, spec)
    assert prepared.dtype == np.float32
    assert prepared[0, 0, 0].tolist() == [0.5, 0.5, 0.5, 0.25]

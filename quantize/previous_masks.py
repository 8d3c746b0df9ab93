"""Previous masks for networks that are fed with them, made from single pictures.

Half of the pictures begin a video: they are fed with the initial state. The others are fed with
the network's own mask of the same picture, moved and blurred a little as by one frame of motion.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from portrait_tflite.convert.network_inputs import End, Fed, fill_inputs, pictures_of
from portrait_tflite.images import Floats
from portrait_tflite.progress import Progress, unwatched, watched
from portrait_tflite.quantize.accuracy.predictors import Outputs
from portrait_tflite.quantize.accuracy.remembering import next_state
from portrait_tflite.quantize.calibration import CalibrationSet
from portrait_tflite.vocabulary import Check, ModelSpec

Frames = tuple[Floats, ...]
"""One array `[n, h, w, c]` per input of a network."""

_FARTHEST = 0.03  # that a mask moves, of its size
_FEWEST_STEPS = 32  # that a mask in int8 may have
_BLUR = 0.01  # standard deviation, of its size


@dataclass(frozen=True)
class Feeder:
    """Makes what a network is fed with of prepared pictures.

    Attributes:
        spec: What the network remembers, if anything.
        outputs_of: Runs it on the initial state.
        inputs: Its inputs.
    """

    spec: ModelSpec
    outputs_of: Outputs
    inputs: Sequence[End]

    def frames(self, fed: Floats | Fed, progress: Progress = unwatched) -> Frames:
        """Put beside pictures `[n, h, w, c]` what belongs there: an array per input, in order."""
        state = self.spec.state
        pictures = pictures_of(fed)
        if state is None:
            return tuple(fill_inputs(fed, self.inputs, self.spec))
        with watched(range(len(pictures)), progress, "making previous masks") as numbers:
            states = np.stack([self._state(number, pictures[number]) for number in numbers])
        if state.channel is not None:
            filled = pictures.copy()
            filled[..., state.channel] = states[..., 0]
            return (filled,)
        return (states, pictures) if state.input == 0 else (pictures, states)

    def complete(
        self, calibration: CalibrationSet, progress: Progress = unwatched
    ) -> CalibrationSet:
        """Put beside calibration pictures what else the network takes."""
        state = self.spec.state
        if state is None and not self.spec.others:
            return calibration
        frames = self.frames(calibration.fed, progress)
        complete = replace(calibration, frames=frames)
        if state is None:
            return complete
        own = len(frames[0]) // 2
        detail = f"{len(frames[0]) - own} begin with {state.initial:g}, {own} with their own mask"
        checks = [Check("previous masks", passed=True, level="warn", detail=detail)]
        if state.channel is not None:
            checks.append(_check_steps(frames[0]))
        return complete.checked(*checks)

    def _state(self, number: int, picture: Floats) -> Floats:
        """Return what a picture is fed with `[h, w, 1]`: half of them the initial state."""
        assert self.spec.state is not None
        height, width = map(int, filter(None, self.inputs[self.spec.state.input].shape[:2]))
        if number % 2 == 0:
            return np.full((height, width, 1), self.spec.state.initial, np.float32)
        mask = next_state(self.outputs_of(picture[None]), self.spec)
        seed = zlib.crc32(picture.tobytes())
        sized = np.asarray(cv2.resize(mask, (width, height)), np.float32)
        return _moved(sized, np.random.default_rng(seed))[..., None]


def _check_steps(pictures: Floats) -> Check:
    """Check what int8 leaves of a mask 0–1 in an input whose one scale colours share."""
    low, high = float(pictures.min()), float(pictures.max())
    steps = int(255 / (high - low))
    detail = f"{steps} steps of int8 for the mask, beside colours of {low:.4g} to {high:.4g}"
    return Check("mask among colours", steps >= _FEWEST_STEPS, "warn", detail)


def _moved(mask: Floats, rng: np.random.Generator) -> Floats:
    """Move a mask `[h, w]` and blur it."""
    height, width = mask.shape
    down, right = rng.uniform(-_FARTHEST, _FARTHEST, 2) * mask.shape
    move = np.array([[1, 0, right], [0, 1, down]], np.float32)
    moved = cv2.warpAffine(mask, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    blurred = cv2.GaussianBlur(moved, (0, 0), max(0.5, _BLUR * max(height, width)))
    return np.asarray(blurred, np.float32)

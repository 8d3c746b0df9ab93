"""Judge a rewritten place of a `.tflite` on its own: is it right, and is anything gained?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes
from portrait_tflite.convert.mending.kernel_agreement import count_differences
from portrait_tflite.convert.mending.mend_burden import is_dearer_place, weigh
from portrait_tflite.convert.mending.place_forms import candidate, no_op
from portrait_tflite.convert.mending.single_numbers import all_cases_tried
from portrait_tflite.convert.rewrites.flatbuffer.place import Place
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import Verdict
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import Runner, open_model
from portrait_tflite.vocabulary import Candidate, Delegate, TensorInfo

Array = NDArray[Any]

_FLOAT_TOLERANCE = 1e-5  # of the largest magnitude
_TOO_DEAR = "cheaper outside; the whole file would cost too much with it inside"
_NO_NEARER = "XNNPACK and the built-in kernels differ on {1} of the numbers tried, before on {0}"
_RANDOM_DRAWS = 2
_MOST_RAMPS = 16
_SEED = 20240


@dataclass(frozen=True)
class PlaceJudge:
    """Lets a place pass that is cheaper for the target and computes the same.

    Both forms run on the built-in kernels, over every value that each channel of an integer tensor
    can take, as far as the tensor has room for them, and on noise. An exact place gives the same
    bytes; another one stays within one step, or within 1e-5 of the largest magnitude in float.
    Where the two kernel sets are to agree better, they are counted against each other instead of
    the cost, which must stay.

    Attributes:
        observed: What tensors hold on pictures, by their numbers, for places that are right for
            the values that occur.
        margin: How many times as much a place may cost that brings an op inside; None for any.
        delegate: Whose ops outside are told.
    """

    observed: Mapping[int, Sequence[Array]] = field(default_factory=dict)
    margin: float | None = None
    delegate: Delegate = Delegate.XNNPACK

    def __call__(self, place: Place) -> Verdict:
        """Judge a place."""
        try:
            return self._judge(place)
        except UsageError as error:
            return Verdict(f"undone: the runtime refuses the result ({error})")

    def _judge(self, place: Place) -> Verdict:
        before = open_model(place.before, Delegate.CPU)
        after = None if place.after is None else open_model(place.after, Delegate.CPU)
        shift, fault = (0.0, "") if after is not None else _rescaled(before, place)
        if fault:
            return Verdict(f"undone: {fault}")
        absolute, magnitude = shift, 0.0
        tried = self._inputs(place, before)
        # A scale that passes was looked at; one that moved is compared with its integers.
        ends = before.outputs if after is None else after.outputs
        for arrays in tried:
            given = before.run(*arrays)
            made = [arrays[place.passed]] if after is None else after.run(*arrays)
            for expected, found, info, new in zip(given, made, before.outputs, ends, strict=True):
                fault, error = _compare(expected, found, info, new, place)
                if fault:
                    return Verdict(f"undone: {fault}")
                absolute = max(absolute, error)
                magnitude = max(magnitude, _magnitude(expected, info))
        relative = absolute / magnitude if magnitude else 0.0
        refusal, forms = self._gain(place, tried)
        # Of a scale that moved, others see more than this place does.
        alone = not (place.observed or place.aligns_kernels)
        certain = alone and all_cases_tried(_ops_of(place), tried)
        return Verdict(refusal, absolute, relative, forms, certain)

    def _gain(
        self, place: Place, tried: Sequence[tuple[Array, ...]]
    ) -> tuple[str, tuple[Candidate, ...]]:
        """Say why a place gains nothing, or "", and what both forms cost."""
        # Only now: XNNPACK dies of some graphs that the built-in kernels run.
        old = weigh(place.before)
        kept = candidate(place.before, old, self.delegate)
        if place.after is None:
            return "", (kept, no_op())
        new = weigh(place.after)
        forms = kept, candidate(place.after, new, self.delegate)
        if place.aligns_kernels and not new.asks_more(old):
            counts = [count_differences(form, tried) for form in (place.before, place.after)]
            return "" if counts[1] < counts[0] else _NO_NEARER.format(*counts), forms
        if not new < old:
            return f"{kept.form}: nothing gained", forms
        dear = self.margin is not None and is_dearer_place(new, old, self.margin)
        return f"{kept.form}: {_TOO_DEAR}" if dear else "", forms

    def _inputs(self, place: Place, runner: Runner) -> list[tuple[Array, ...]]:
        if not place.observed:
            return _every_value(runner.inputs)
        held = [self.observed[source] for source in place.sources]
        return list(zip(*held, strict=True))


def _ops_of(place: Place) -> list[Node]:
    forms = [form for form in (place.before, place.after) if form is not None]
    return [node for form in forms for node in list_nodes(read_model(form))]


def _rescaled(before: Runner, place: Place) -> tuple[float, str]:
    """Return how far real values move where a source of another scale takes the output's place.

    Only the readers see that: the integers may all be the same.
    """
    source, target = before.inputs[place.passed], before.outputs[0]
    if (source.scale, source.zero_point) == (target.scale, target.zero_point):
        return 0.0, ""
    if place.exact or source.zero_point != target.zero_point:
        return 0.0, "the output has another scale"
    moved = abs(source.scale - target.scale) * 255
    return moved, "" if moved <= target.scale else "the output has another scale"


def _compare(
    expected: Array, found: Array, info: TensorInfo, new: TensorInfo, place: Place
) -> tuple[str, float]:
    """Say what is wrong, or "", and the largest difference in real units."""
    if (expected.dtype, expected.shape) != (found.dtype, found.shape):
        return "the output has another type or shape", 0.0
    moved = info.scale != new.scale
    if info.zero_point != new.zero_point or (moved and not place.aligns_kernels):
        return "the output has another scale", 0.0
    if not moved and expected.tobytes() == found.tobytes():
        return "", 0.0
    if place.exact:
        return "the outputs are not byte-equal on the built-in kernels", 0.0
    if np.issubdtype(expected.dtype, np.integer):
        steps, error = _steps_apart(expected, found, info, new)
        fault = (
            "" if steps <= 1 else f"the output moves by {steps:.0f} steps on the built-in kernels"
        )
        return fault, error
    error = float(np.max(np.abs(expected.astype(np.float64) - found.astype(np.float64))))
    relative = error / max(float(np.abs(expected).max()), 1e-30)
    # `not <=` rather than `>`: a NaN must fail too.
    return ("" if relative <= _FLOAT_TOLERANCE else f"the output moves by {relative:.1e}"), error


def _steps_apart(
    expected: Array, found: Array, info: TensorInfo, new: TensorInfo
) -> tuple[float, float]:
    """Return the largest difference of integers of one zero point, in steps and in real units."""
    old_steps, new_steps = (a.astype(np.float64) - info.zero_point for a in (expected, found))
    steps = float(np.max(np.abs(old_steps - new_steps)))
    if info.scale == new.scale:
        return steps, steps * info.scale
    error = float(np.max(np.abs(old_steps * info.scale - new_steps * new.scale)))
    # Each was rounded to half a step of its own.
    return max(steps, error / max(info.scale, new.scale)), error


def _magnitude(array: Array, info: TensorInfo) -> float:
    if np.issubdtype(array.dtype, np.integer):
        steps = np.abs(array.astype(np.float64) - info.zero_point)
        return float(steps.max(initial=0.0)) * info.scale  # a part may be empty
    return float(np.abs(array).max(initial=0.0))


def _every_value(inputs: Sequence[TensorInfo]) -> list[tuple[Array, ...]]:
    """Draw inputs that hold every integer in every channel, then noise."""
    rng = np.random.default_rng(_SEED)
    positions = min(int(np.prod(info.shape[:-1])) for info in inputs)
    ramps = min(_MOST_RAMPS, -(-256 // max(positions, 1)))
    drawn = [
        tuple(_ramp(info, n * positions, 2 * k + 1) for k, info in enumerate(inputs))
        for n in range(ramps)
    ]
    return drawn + [tuple(_noise(info, rng) for info in inputs) for _ in range(_RANDOM_DRAWS)]


def _ramp(info: TensorInfo, start: int, stride: int) -> Array:
    """Count up along the positions, each channel from another number."""
    dtype = np.dtype(info.dtype)
    channels = info.shape[-1] if info.shape else 1
    positions = np.arange(int(np.prod(info.shape)) // max(channels, 1))[:, None] + start
    values = (positions * stride + 37 * np.arange(channels)) % 256
    if np.issubdtype(dtype, np.integer):
        return (values + max(np.iinfo(dtype).min, -128)).astype(dtype).reshape(info.shape)
    return ((values - 128) / 16).astype(dtype).reshape(info.shape)


def _noise(info: TensorInfo, rng: np.random.Generator) -> Array:
    dtype = np.dtype(info.dtype)
    if np.issubdtype(dtype, np.integer):
        low = max(np.iinfo(dtype).min, -128)
        return rng.integers(low, low + 256, info.shape).astype(dtype)
    return rng.normal(0, 3, info.shape).astype(dtype)

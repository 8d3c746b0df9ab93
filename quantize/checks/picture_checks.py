"""What can be wrong with calibration pictures, seen from the arrays that the network would get."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from portrait_tflite.images import Floats, denormalize, normalize
from portrait_tflite.quantize.checks.thumbnails import (
    NEARLY_SAME,
    distances,
    near_copies,
    thumbnails,
)
from portrait_tflite.vocabulary import Channels, Check, ModelSpec

ENOUGH = 100
_LEAST_SPAN = 0.5  # of the range that bytes can reach
_REPEATED = 4  # times that every picture is there, on average
_TOLERANCE = 1e-3  # of that range
# Ranges that networks are trained on: floats that reach just so far, in a range much wider, were
# prepared for another network.
_USUAL = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
_NEAR_END = 0.05  # of a usual range
_MUCH_WIDER = 1.6
# Mean difference of two thumbnails, 0–1. Photographs of different people have 0.2 and more, frames
# of one person in one room a tenth of that.
_LEAST_DIVERSITY = 0.06
_LEAST_CONTRAST = 0.1  # of a picture's own contrast, that others differ from it by
_GRAY = 3 / 255  # that the channels of a gray picture may differ by, as JPEG leaves them
_MOST_GRAY = 0.2  # of the pictures
_NEAR_BYTE = 8  # of black or white, as JPEG leaves them
_MASK_SHARE = 0.9  # of the pixels of a mask: resizing blurs its edges


@dataclass(frozen=True, eq=False)
class Seen:
    """Prepared pictures `[n, h, w, channels]`, and what several checks look at."""

    inputs: Floats
    spec: ModelSpec

    @cached_property
    def small(self) -> Floats:
        """The pictures as thumbnails."""
        return thumbnails(self.inputs, self.spec)

    @cached_property
    def apart(self) -> Floats:
        """How far each thumbnail is from each, `[n, n]` in 0–1."""
        return distances(self.small, self.small)

    @cached_property
    def different(self) -> int:
        """How many of them there are, copies left out."""
        return len({hashlib.sha256(image.tobytes()).digest() for image in self.inputs})

    @property
    def copies(self) -> int:
        return len(self.inputs) - self.different


def check_inputs(inputs: Floats, spec: ModelSpec) -> tuple[Check, ...]:
    """Check prepared pictures `[images, height, width, channels]`."""
    seen = Seen(inputs, spec)
    return tuple(check(seen) for check in CHECKS)


def check_skipped(skipped: Sequence[str], used: int) -> Check:
    """Count the files that are no pictures."""
    detail = f"{len(skipped)} skipped ({some(skipped)}), {used} used" if skipped else f"{used} used"
    return Check("only pictures", not skipped, "warn", detail)


def some(names: Sequence[str]) -> str:
    """Name three of them."""
    return ", ".join(sorted(names)[:3]) + (", …" if len(names) > 3 else "")


def check_enough(seen: Seen) -> Check:
    count = len(seen.inputs)
    detail = f"{count} pictures" + ("" if count >= ENOUGH else f", {ENOUGH} or more are better")
    return Check("enough pictures", count >= ENOUGH, "warn", detail)


def check_finite(seen: Seen) -> Check:
    bad = int(np.sum(~np.isfinite(seen.inputs).all(axis=(1, 2, 3))))
    return Check("finite", bad == 0, "fail", f"{bad} pictures hold NaN or infinity")


def check_alike(seen: Seen) -> Check:
    """Find one picture, or one batch, that is given over and over: `next(iter(dataset))`.

    One picture is found, too, where it is saved anew each time or a camera adds its noise.
    """
    count = len(seen.inputs)
    detail = f"{seen.different} of {count} pictures differ"
    repeated = seen.different <= max(1, count // _REPEATED) and count > 1
    if repeated:
        detail += (
            ", the others are copies: of a file, of a frame, or next(iter(dataset)) every time"
        )
    elif count > 1 and _is_one(seen):
        repeated = True
        detail += ", but all show nearly the same: one picture saved anew, or one frozen frame"
    return Check("not all alike", not repeated, "fail", detail)


def check_duplicates(seen: Seen) -> Check:
    detail = f"{seen.copies} pictures are copies of others"
    return Check("no duplicates", not seen.copies, "warn", detail)


def check_near_duplicates(seen: Seen) -> Check:
    """Count the pictures that another one is nearly the same as: saved anew, or the next frame."""
    near = len(near_copies(seen.apart)) - seen.copies
    detail = f"{near} pictures are nearly the same as others"
    return Check("no near duplicates", near <= 0, "warn", detail)


def check_diversity(seen: Seen) -> Check:
    """Measure how far apart pictures are on average, as thumbnails."""
    count = len(seen.small)
    apart = float(seen.apart.sum()) / max(count * (count - 1), 1)
    detail = f"pictures differ by {apart:.0%} of the range on average, as thumbnails"
    return Check("diverse", apart >= _LEAST_DIVERSITY or count == 1, "warn", detail)


def check_range(seen: Seen) -> Check:
    low, high = _reach(seen.spec)
    slack = (high - low) * _TOLERANCE
    within = bool(np.all((seen.inputs >= low - slack) & (seen.inputs <= high + slack)))
    least, most = float(seen.inputs.min()), float(seen.inputs.max())
    detail = (
        f"values are {least:.4g} to {most:.4g}, of {low.min():.4g} to {high.max():.4g} possible"
    )
    other = _other_range(least, most, float((high - low).min()))
    if within and other:
        detail += f", as if they were prepared for a network of {other}"
    return Check("input range", within and not other, "fail", detail)


def check_span(seen: Seen) -> Check:
    low, high = _reach(seen.spec)
    span = (seen.inputs.max(axis=(0, 1, 2)) - seen.inputs.min(axis=(0, 1, 2))) / (high - low)
    share = float(span.min())
    passed = share >= _LEAST_SPAN
    return Check("dark and bright", passed, "warn", f"{share:.0%} of the possible range is used")


def check_gray(seen: Seen) -> Check:
    """Count gray pictures where the network has colours to look at."""
    if seen.spec.channels is Channels.GRAY:
        return Check("in colour", True, "warn", "the network takes gray pictures")
    apart = seen.small.max(axis=-1) - seen.small.min(axis=-1)
    gray = int(np.sum(apart.mean(axis=(1, 2)) <= _GRAY))
    detail = f"{gray} of {len(seen.inputs)} pictures are gray"
    return Check("in colour", gray <= _MOST_GRAY * len(seen.inputs), "warn", detail)


def check_masks(seen: Seen) -> Check:
    """Count pictures of nothing but black and white: masks that lie among the pictures."""
    colours = denormalize(np.nan_to_num(seen.inputs, posinf=0, neginf=0), seen.spec)
    ends = np.minimum(colours, 255 - colours).max(axis=-1) <= _NEAR_BYTE
    masks = int(np.sum(ends.mean(axis=(1, 2)) >= _MASK_SHARE))
    detail = f"{masks} of {len(seen.inputs)} pictures are black and white alone, as masks are"
    return Check("no masks", not masks, "warn", detail)


CHECKS: tuple[Callable[[Seen], Check], ...] = (
    check_enough,
    check_finite,
    check_alike,
    check_duplicates,
    check_near_duplicates,
    check_diversity,
    check_range,
    check_span,
    check_gray,
    check_masks,
)
"""In the order of the report."""


def _is_one(seen: Seen) -> bool:
    """Tell whether all pictures are one: hardly apart, for the contrast that they have."""
    middles = seen.small.mean(axis=(1, 2), keepdims=True)
    contrast = float(np.abs(seen.small - middles).mean())
    return float(seen.apart.max()) < min(NEARLY_SAME, _LEAST_CONTRAST * contrast)


def _other_range(least: float, most: float, reach: float) -> str:
    """Name the usual range that values fill, where the network's own is much wider; or ""."""
    for low, high in _USUAL:
        slack = _NEAR_END * (high - low)
        filled = abs(least - low) <= slack and abs(most - high) <= slack
        if filled and _MUCH_WIDER * (high - low) <= reach:
            return f"{low:g} to {high:g}"
    return ""


def _reach(spec: ModelSpec) -> tuple[Floats, Floats]:
    """Return what bytes 0 and 255 become, per channel."""
    ends = np.repeat(np.array([[0], [255]], np.uint8), spec.channels.depth, axis=1)
    low, high = normalize(ends, spec)
    return np.minimum(low, high), np.maximum(low, high)

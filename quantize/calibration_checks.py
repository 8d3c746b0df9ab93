"""What can be wrong with calibration pictures, seen from the arrays that the network would get."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from portrait_tflite.images import Floats, normalize
from portrait_tflite.vocabulary import Check, ModelSpec

ENOUGH = 100
_LEAST_SPAN = 0.5  # of the range that bytes can reach
_TOLERANCE = 1e-3  # of that range


def check_inputs(inputs: Floats, spec: ModelSpec) -> tuple[Check, ...]:
    """Check prepared pictures `[images, height, width, channels]`."""
    return (
        _check_enough(inputs),
        _check_finite(inputs),
        _check_alike(inputs),
        _check_duplicates(inputs),
        _check_range(inputs, spec),
        _check_span(inputs, spec),
    )


def check_skipped(skipped: Sequence[str], used: int) -> Check:
    """Count the files that are no pictures."""
    named = ", ".join(sorted(skipped)[:3]) + (", …" if len(skipped) > 3 else "")
    detail = f"{len(skipped)} skipped ({named}), {used} used" if skipped else f"{used} used"
    return Check("only pictures", not skipped, "warn", detail)


def _check_enough(inputs: Floats) -> Check:
    count = len(inputs)
    detail = f"{count} pictures" + ("" if count >= ENOUGH else f", {ENOUGH} or more are better")
    return Check("enough pictures", count >= ENOUGH, "warn", detail)


def _check_finite(inputs: Floats) -> Check:
    bad = int(np.sum(~np.isfinite(inputs).all(axis=(1, 2, 3))))
    return Check("finite", bad == 0, "fail", f"{bad} pictures hold NaN or infinity")


def _check_alike(inputs: Floats) -> Check:
    different = len(_digests(inputs))
    passed = different > 1 or len(inputs) == 1
    return Check("not all alike", passed, "fail", f"{different} of {len(inputs)} pictures differ")


def _check_duplicates(inputs: Floats) -> Check:
    copies = len(inputs) - len(_digests(inputs))
    return Check("no duplicates", copies == 0, "warn", f"{copies} pictures are copies of others")


def _digests(inputs: Floats) -> Counter[bytes]:
    return Counter(hashlib.sha256(image.tobytes()).digest() for image in inputs)


def _reach(spec: ModelSpec) -> tuple[Floats, Floats]:
    """Return what bytes 0 and 255 become, per channel."""
    ends = np.repeat(np.array([[0], [255]], np.uint8), spec.channels.depth, axis=1)
    low, high = normalize(ends, spec)
    return np.minimum(low, high), np.maximum(low, high)


def _check_range(inputs: Floats, spec: ModelSpec) -> Check:
    low, high = _reach(spec)
    slack = (high - low) * _TOLERANCE
    within = bool(np.all((inputs >= low - slack) & (inputs <= high + slack)))
    found = f"{np.min(inputs):.4g} to {np.max(inputs):.4g}"
    wanted = f"{low.min():.4g} to {high.max():.4g}"
    return Check("input range", within, "fail", f"values are {found}, of {wanted} possible")


def _check_span(inputs: Floats, spec: ModelSpec) -> Check:
    low, high = _reach(spec)
    span = (inputs.max(axis=(0, 1, 2)) - inputs.min(axis=(0, 1, 2))) / (high - low)
    share = float(span.min())
    passed = share >= _LEAST_SPAN
    return Check("dark and bright", passed, "warn", f"{share:.0%} of the possible range is used")

"""Whether the ranges that int8 has steps for hold, measured on the float network's own tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model, text
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.quantize.int8.tensor_ranges import (
    Frames,
    Range,
    measure_ranges,
    observe_tensors,
)
from portrait_tflite.quantize.remedies.scale_families import told_apart
from portrait_tflite.tensor_values import Floats
from portrait_tflite.video import spread_over
from portrait_tflite.vocabulary import Check

MOST_MEASURED = 64  # pictures, of both halves together
_FEWEST = 8
_MOST_APART = 0.2  # of a tensor's range
_MOST_CLIPPED = 0.01  # of a tensor's values
_NAMED = 3
_ALL = Range(-np.inf, np.inf)


def check_stability(
    data: bytes, frames: Sequence[Frames], on_images: Callable[[int], None] | None = None
) -> Check:
    """Tell whether one half of the pictures gives about the ranges that the other half gives.

    Args:
        data: The float `.tflite`.
        frames: The calibration pictures, of which `MOST_MEASURED` are used, spread over all: the
            first ones are the most unusual.
        on_images: Called with how many were seen.
    """
    used = [frames[number] for number in spread_over(len(frames), MOST_MEASURED)]
    if len(used) < _FEWEST:
        return Check("stable ranges", False, "warn", f"{len(used)} pictures are too few to tell")
    # In pairs, since every other picture begins a video.
    first, second = ([used[i] for i in range(len(used)) if i // 2 % 2 == half] for half in (0, 1))
    one = measure_ranges(data, first, on_images)
    other = measure_ranges(data, second, lambda n: on_images and on_images(len(first) + n))
    apart = {number: _apart(found, other[number]) for number, found in one.items()}
    wide = {number: share for number, share in apart.items() if share > _MOST_APART}
    detail = f"{len(wide)} of {len(apart)} ranges differ by more than {_MOST_APART:.0%}"
    detail += f" between two halves of {len(used)} pictures"
    return Check("stable ranges", not wide, "warn", detail + _worst(wide, data))


def check_saturation(data: bytes, int8: bytes, frames: Sequence[Frames]) -> Check:
    """Measure how many of the float network's numbers the int8 file has no step for.

    Those that the ops behind do not tell apart, as below 0 before a ReLU, need none.

    Args:
        data: The float `.tflite`.
        int8: The file that was made of it; its tensors are known by their names.
        frames: Pictures that were not calibrated on, in the units of `data`.
    """
    limits = _limits(int8)
    known = {n: limits[name] for n, name in _names(data).items() if name in limits}
    needed = told_apart(data)
    clipped = dict.fromkeys(known, 0)
    counted = dict.fromkeys(known, 0)
    for held in observe_tensors(data, frames):
        for number, values in held.items():
            if number in known:
                need = needed.get(number, _ALL)
                clipped[number] += _outside(np.clip(values, need.low, need.high), known[number])
                counted[number] += values.size
    shares = {n: clipped[n] / counted[n] for n in known if counted[n]}
    many = {n: share for n, share in shares.items() if share > _MOST_CLIPPED}
    largest = max(shares.values(), default=0.0)
    # Mending names some anew.
    detail = f"{len(many)} of {len(shares)} tensors that float and int8 both name clip more than "
    detail += f"{_MOST_CLIPPED:.0%} of their values on {len(frames)} pictures"
    detail += f", at most {largest:.2%}"
    return Check("few values clipped", not many, "warn", detail + _worst(many, data))


def _apart(one: Range, other: Range) -> float:
    """Return how far the ends of two ranges are apart, as a share of the range that holds both."""
    whole = one.joined(other)
    width = whole.high - whole.low
    return max(abs(one.low - other.low), abs(one.high - other.high)) / width if width else 0.0


def _outside(values: Floats, limits: Range) -> int:
    return int(np.count_nonzero((values < limits.low) | (values > limits.high)))


def _limits(int8: bytes) -> dict[str, Range]:
    """Return what each int8 tensor of one scale has steps for, and a step beyond.

    A probability of 1 is one step beyond what a scale of 1/256 holds.
    """
    found = {}
    for tensor in read_model(int8).subgraphs[0].tensors:
        scales = tensor.quantization.scale if tensor.quantization else None
        if tensor.type == schema.TensorType.INT8 and scales is not None and len(scales) == 1:
            scale, point = float(scales[0]), int(tensor.quantization.zeroPoint[0])
            low, high = (scale * (end - point) for end in (-129, 128))
            found[text(tensor.name)] = Range(low, high)
    return found


def _names(data: bytes) -> dict[int, str]:
    tensors = read_model(data).subgraphs[0].tensors
    return {number: text(tensor.name) for number, tensor in enumerate(tensors)}


def _worst(shares: Mapping[int, float], data: bytes) -> str:
    """Name the worst tensors, by their layers where those are known."""
    if not shares:
        return ""
    layer_of = name_layers(read_model(data))
    names = _names(data)
    worst = sorted(shares, key=lambda number: -shares[number])[:_NAMED]
    return ": " + ", ".join(f"{layer_of(names[n]) or names[n]} {shares[n]:.0%}" for n in worst)

"""The whole network before and after its rewrites: what differs, and whether it may."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from portrait_tflite.convert.double_precision import outputs_in_double
from portrait_tflite.convert.graph import Frames, Graph, as_arrays, evaluate
from portrait_tflite.convert.rewriter import TOLERANCE, Rewritten, difference
from portrait_tflite.errors import ConversionError
from portrait_tflite.vocabulary import RoundingError, WholeNetError

# Of the largest value; more than float32 loses over the depth of any network.
_MOST_ROUNDING = 0.1
# Exact rewrites may not come to this, of the largest value: rounding that adds up is less, and a
# pixel whose two classes are near a tie turns alone.
_FAULT = 1e-2
_MEAN_FAULT = 1e-3


def require_same_net(
    before: Graph, rewritten: Rewritten, images: Frames, error: WholeNetError
) -> None:
    """Refuse rewrites that are called exact and made another network, though each place was equal.

    Args:
        images: Network inputs `[n, h, w, c]`, one array for each.
        error: What `whole_net_error` gave for them.

    Raises:
        ConversionError: It is another network; the rewrites are named.
    """
    if not error.max_rel_error > _FAULT or not all(r.exact for r in rewritten.records):
        return
    # The network as it came is itself that far from what its weights say.
    if error.rounding and error.rounding.original > _FAULT:
        return
    if _mean_difference(before, rewritten.graph, images) <= _MEAN_FAULT:
        return
    names = ", ".join(dict.fromkeys(r.rewrite for r in rewritten.records))
    raise ConversionError(
        f"rewrites that are called exact must leave the network what it is. Received from {names}: "
        f"outputs that differ by {error.max_rel_error:.1e} of the largest value, on {error.images} "
        "pictures. Leave out, by --rewrite -NAME, the one that does it (your own first), or all, "
        "by --rewrite none."
    )


def whole_net_error(before: Graph, after: Graph, images: Frames) -> WholeNetError:
    """Compare what the network gives before and after all rewrites.

    Where they differ by more than a single exact rewrite may, both are held against float64: a deep
    network may itself be that far from what its weights say. Not where they differ by more than
    rounding ever does: then they are two functions.

    Args:
        images: Network inputs `[n, h, w, c]`, one array for each.
    """
    frames = _frames(images)
    old, new = ([_outputs(graph, frame) for frame in frames] for graph in (before, after))
    error, relative = _largest(old, new)
    whole = WholeNetError(error, relative, len(frames))
    if not TOLERANCE < relative <= _MOST_ROUNDING:
        return whole
    exact = [outputs_in_double(before, frame) for frame in frames]
    known = [one for one in exact if one is not None]
    if len(known) < len(frames):
        return whole
    roundings = (_largest(known, outputs)[1] for outputs in (old, new))
    return dataclasses.replace(whole, rounding=RoundingError(*roundings))


def _outputs(graph: Graph, frame: Frames) -> list[Any]:
    return as_arrays(evaluate(graph.outputs, graph.feed(frame)))


def _largest(before: Sequence[list[Any]], after: Sequence[list[Any]]) -> tuple[float, float]:
    """Return the largest difference of any output on any picture, absolute and relative."""
    pairs = [pair for both in zip(before, after, strict=True) for pair in zip(*both, strict=True)]
    errors = [difference(*pair) for pair in pairs]
    return max(e for e, _ in errors), max(r for _, r in errors)


def _mean_difference(before: Graph, after: Graph, images: Frames) -> float:
    """Return the largest mean difference of any output on any picture, of its largest value."""
    differences = [
        float(np.mean(np.abs(new - old))) / (float(np.max(np.abs(old))) or 1.0)
        for frame in _frames(images)
        for old, new in zip(_outputs(before, frame), _outputs(after, frame), strict=True)
    ]
    return max(differences)


def _frames(images: Frames) -> list[tuple[Any, ...]]:
    arrays = images if isinstance(images, tuple) else (images,)
    return [tuple(a[i : i + 1] for a in arrays) for i in range(len(arrays[0]))]

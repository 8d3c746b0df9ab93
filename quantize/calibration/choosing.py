"""Which pictures of many are calibrated on: few, that together hold what all of them do."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from portrait_tflite.progress import Progress, unwatched, watched
from portrait_tflite.quantize.calibration.picture import Picture
from portrait_tflite.quantize.calibration.sources import Source
from portrait_tflite.quantize.checks.thumbnails import features
from portrait_tflite.tensor_values import Floats
from portrait_tflite.video import spread_over

# Pictures that are looked at for each that is chosen. All of a large folder would take longer than
# calibrating does.
_POOL = 4


def in_order(
    source: Source,
    pictures: Sequence[Picture],
    count: int,
    seed: int,
    progress: Progress = unwatched,
) -> list[Picture]:
    """Put pictures in the order in which they are taken until there are enough.

    A manifest says so itself; drawn ones are as many as are asked for. Frames of a video are
    spread over its length. Of more pictures than are asked for, those come first that are least
    like the ones before.

    Raises:
        UsageError: A picture of the manifest is missing or another one.
    """
    if source.manifest is not None:
        return source.manifest.choose(pictures, progress)
    if source.ordered:
        return [pictures[number] for number in spread_over(len(pictures), count)]
    if source.path is None:
        return list(pictures)
    ranked = sorted(pictures, key=lambda picture: _rank(picture.name, seed))
    if len(ranked) <= count:
        return ranked
    pool = ranked[: _POOL * count]
    return [*_spread(pool, count, progress), *ranked[len(pool) :]]


def farthest_first(points: Floats, count: int) -> list[int]:
    """Number points `[n, d]` so that each is the one farthest from all before it, from the first.

    Twice as far apart as any choice of so many can be, at the worst (Gonzalez 1985). Ties go to
    the lower number.
    """
    chosen = [0]
    distance = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        step = np.square(points - points[chosen[-1]]).sum(axis=1)
        distance = np.minimum(distance, step)
        distance[chosen] = -1
        chosen.append(int(distance.argmax()))
    return chosen


def _spread(pool: Sequence[Picture], count: int, progress: Progress) -> list[Picture]:
    with watched(pool, progress, "choosing pictures") as looked_at:
        thumbnails = [picture.thumbnail() for picture in looked_at]
    # What cannot be read comes first, to be counted.
    broken = [picture for picture, small in zip(pool, thumbnails, strict=True) if small is None]
    readable = [
        picture for picture, small in zip(pool, thumbnails, strict=True) if small is not None
    ]
    if not readable:
        return broken
    points = features(np.stack([small for small in thumbnails if small is not None]))
    first = farthest_first(points, count)
    taken = set(first)
    others = [picture for number, picture in enumerate(readable) if number not in taken]
    return [*broken, *(readable[number] for number in first), *others]


def _rank(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()

"""What a student learns from: unlabelled pictures, and its teacher's masks of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.finetuning.graph_model import masks_of, teacher_of, weights_digest
from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.convert.graph import Graph
from portrait_tflite.errors import UsageError
from portrait_tflite.images import Bytes, Floats, fit_image, normalize, read_image
from portrait_tflite.progress import Progress, unwatched
from portrait_tflite.vocabulary import ModelSpec

FEWEST = 10
_MOST_BYTES = 1 << 30
_BYTES_PER_PIXEL = 5  # of a view: three colours, and the mask as float16
_HELD_OUT = 10  # one in so many
_VIEWS = 1000  # that is made of few pictures
_MOST_VIEWS = 4  # of one picture
_CLOSEST = 1.3  # zoom; never out, where there would be nothing to see


@dataclass(frozen=True, eq=False)
class Lessons:
    """Pictures with masks.

    Attributes:
        pictures: Bytes `[n, h, w, c]` as `fit_image` gives them.
        masks: Probabilities `[n, h', w', 1]` in float16.
        spec: What becomes of the bytes.
        teacher: Digest of the teacher's weights.
    """

    pictures: Bytes
    masks: NDArray[np.float16]
    spec: ModelSpec
    teacher: str

    def __len__(self) -> int:
        return len(self.pictures)

    def chunks(self, size: int) -> Iterator[tuple[Floats, Floats]]:
        """Yield all inputs and masks as they are, `size` at a time."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            inputs = normalize(self.pictures[part], self.spec)
            yield inputs, self.masks[part].astype(np.float32)

    def batches(self, options: FineTuningOptions, number: int) -> Iterator[tuple[Floats, Floats]]:
        """Yield the steps of a round, shuffled: every picture as often as the others, or nearly."""
        rng = np.random.default_rng((options.seed, number))
        needed = options.steps * options.batch_size
        passes = [rng.permutation(len(self)) for _ in range(-(-needed // len(self)))]
        for chosen in np.concatenate(passes)[:needed].reshape(options.steps, -1):
            inputs = normalize(self.pictures[chosen], self.spec)
            yield inputs, self.masks[chosen].astype(np.float32)


def read_pictures(
    paths: Sequence[Path],
    spec: ModelSpec,
    seed: int,
    source: Path,
    progress: Progress = unwatched,
) -> Bytes:
    """Read unlabelled pictures, as many as fit into 1 GiB with their masks.

    Args:
        paths: The pictures; which cannot be read are left out.
        spec: The network's input.
        seed: Same seed and files, same choice.
        source: Where they are from, for messages.
        progress: Shows how many are read.

    Raises:
        UsageError: Fewer than `FEWEST` can be read.
    """
    most = _MOST_BYTES // (spec.height * spec.width * _BYTES_PER_PIXEL)
    found: list[Bytes] = []
    with progress(min(most, len(paths)), "reading unlabelled pictures") as update:
        for path in sorted(paths, key=lambda path: _rank(path.name, seed)):
            image = read_image(path)
            if image is not None:
                found.append(fit_image(image, spec))
            update(len(found))
            if len(found) == most:
                break
    if len(found) < FEWEST:
        raise UsageError(
            f"--finetune must be a folder with {FEWEST} pictures or more, 500 are good. "
            f"Received: {source} with {len(found)} that can be read and are not scored on."
        )
    return np.stack(found)


def make_lessons(
    pictures: Bytes,
    spec: ModelSpec,
    teacher: Graph,
    options: FineTuningOptions,
    on_pictures: Callable[[int, int], None] | None = None,
) -> tuple[Lessons, Lessons]:
    """Ask the teacher for its masks, once for all that will learn from it.

    Few pictures are mirrored and zoomed to more. The teacher sees these too, since its mask of a
    mirrored picture need not be the mirrored mask.

    Args:
        pictures: Bytes `[n, h, w, c]`.
        teacher: The network as it came.
        on_pictures: Called with `(pictures done, pictures in all)`.

    Returns:
        What is trained on, and a tenth of the pictures that is held out to score on. The split is
        by what they hold, so that copies never lie on both sides.

    Raises:
        UsageError: They are all the same.
    """
    held = _held_out(pictures)
    views = _views(pictures[~held], options.seed)
    everything = np.concatenate([views, pictures[held]])
    model = teacher_of(teacher)
    masks = []
    for start in range(0, len(everything), options.batch_size):
        inputs = normalize(everything[start : start + options.batch_size], spec)
        masks.append(masks_of(model, inputs, options.batch_size).astype(np.float16))
        if on_pictures:
            on_pictures(start + len(inputs), len(everything))
    count, digest = len(views), weights_digest(teacher)
    found = np.concatenate(masks)
    return (
        Lessons(views, found[:count], spec, digest),
        Lessons(pictures[held], found[count:], spec, digest),
    )


def _held_out(pictures: Bytes) -> NDArray[np.bool_]:
    digests = np.array([hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures])
    wanted = max(1, round(len(digests) / _HELD_OUT))
    held: NDArray[np.bool_] = np.asarray(digests <= np.sort(digests)[wanted - 1])
    if held.all():
        raise UsageError(
            f"--finetune must be a folder of different pictures. Received: {len(pictures)} copies "
            "of one."
        )
    return held


def _rank(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _views(pictures: Bytes, seed: int) -> Bytes:
    """Return the pictures, and where they are few as many again, mirrored and zoomed."""
    rng = np.random.default_rng(seed)
    times = min(_MOST_VIEWS, max(1, round(_VIEWS / len(pictures))))
    others = [_view(rng, picture) for _ in range(times - 1) for picture in pictures]
    return np.concatenate([pictures, np.stack(others)]) if others else pictures


def _view(rng: np.random.Generator, picture: Bytes) -> Bytes:
    """Mirror every other picture, and zoom into it."""
    height, width, depth = picture.shape
    zoom = rng.uniform(1, _CLOSEST)
    left, top = rng.uniform(0, 1 - 1 / zoom, size=2) * (width, height)
    matrix = np.array([[zoom, 0, -zoom * left], [0, zoom, -zoom * top]])
    source = picture[:, ::-1] if rng.random() < 0.5 else picture
    warped = cv2.warpAffine(
        np.ascontiguousarray(source), matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped.reshape(height, width, depth), np.uint8)

"""What is scored on: pictures, where there are labels with a mask for each, or a video."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from portrait_tflite.errors import UsageError
from portrait_tflite.images import (
    Bytes,
    Floats,
    list_images,
    pair_with_masks,
    read_image,
    read_mask,
    reading_folder,
)
from portrait_tflite.video import VIDEOS, FrameReader

# Masks of a wrong size are mostly all of a wrong size: so many pairs are looked at before any work
# is begun, the others when their turn comes.
_PROBED = 8
MOST_FRAMES = 300


@dataclass(frozen=True)
class Sample:
    """A picture to score on.

    Attributes:
        label: Its mask, or None where there is none.
        pixels: RGB bytes `[h, w, 3]` where it is no file of its own.
        others: What a network takes besides, by the names of the inputs, `[1, …]` each.
    """

    name: str
    image: Path
    label: Path | None = None
    pixels: Bytes | None = field(default=None, compare=False, repr=False)
    others: Mapping[str, Floats] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Decoded:
    """A sample in memory: RGB bytes `[h, w, 3]` and its label `[h, w]` in 0–1, if it has one."""

    image: Bytes
    label: Floats | None


class VideoSamples(Collection[Sample]):
    """The frames of a video, decoded one after the other as they are asked for."""

    def __init__(self, path: Path) -> None:
        """Open a video, of which the first `MOST_FRAMES` frames are used.

        Raises:
            UsageError: It is none, or cannot be decoded.
        """
        self._path = path
        self._count = min(FrameReader(path).frames, MOST_FRAMES)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Sample]:
        for number, frame in zip(range(self._count), FrameReader(self._path), strict=False):
            place = self._path.with_name(f"{self._path.name}#{number}")
            yield Sample(place.name, place, pixels=frame)

    def __contains__(self, item: object) -> bool:
        return any(sample == item for sample in self)


def is_video(path: Path) -> bool:
    """Tell whether a path names a video file, by its suffix."""
    return path.suffix.lower() in VIDEOS and not path.is_dir()


def open_samples(path: Path) -> Collection[Sample]:
    """List the samples of a folder (see `load_validation`), or the frames of a video.

    Raises:
        UsageError: It is neither.
    """
    return VideoSamples(path) if is_video(path) else load_validation(path)


def load_validation(folder: Path) -> list[Sample]:
    """List the samples of a validation folder, sorted by name.

    `images/` with `masks/` of the same stems (any image suffix) is a labelled set; `images/` alone,
    or pictures directly in `folder`, an unlabelled one.

    Raises:
        UsageError: There is no picture, a picture lacks its mask, or a mask does not fit its
            picture (of the first ones; `read_sample` sees to the others).
    """
    images, masks = folder / "images", folder / "masks"
    with reading_folder(folder):
        nested, labelled = images.is_dir(), masks.is_dir()
    if labelled and not nested:
        raise UsageError(
            f"images/ beside masks/ is required. Received: {folder}, with masks/ only. "
            "Move the pictures to images/, under the stems of their masks."
        )
    pictures = list_images(images if nested else folder)
    if not pictures:
        raise UsageError(
            f"a validation folder with pictures is required, in images/ or directly in it. "
            f"Received: {folder}, without any."
        )
    if not labelled:
        return [Sample(path.name, path) for path in pictures]
    samples = _with_labels(pictures, masks)
    for sample in samples[:_PROBED]:
        read_sample(sample)
    return samples


def read_sample(sample: Sample) -> Decoded | None:
    """Decode a sample; None where its picture is none.

    Raises:
        UsageError: The label cannot be read or is not of its picture's size.
    """
    image = read_image(sample.image) if sample.pixels is None else sample.pixels
    if image is None:
        return None
    if sample.label is None:
        return Decoded(image, None)
    label = read_mask(sample.label)
    if label is None:
        raise UsageError(f"a mask that can be read is required. Received: {sample.label}.")
    if label.shape != image.shape[:2]:
        raise UsageError(
            f"a mask of its image's size is required, {_size(image)} here. "
            f"Received: {sample.label} of {_size(label)} for {sample.image.name}."
        )
    return Decoded(image, label)


def _with_labels(pictures: list[Path], masks: Path) -> list[Sample]:
    pairs, missing = pair_with_masks(pictures, masks)
    if missing:
        raise UsageError(
            f"a mask in {masks} for every image is required. Received: {len(missing)} of "
            f"{len(pictures)} images without one, first {missing[0].name}."
        )
    return [Sample(image.name, image, mask) for image, mask in pairs]


def _size(picture: Bytes | Floats) -> str:
    return f"{picture.shape[1]}×{picture.shape[0]}"

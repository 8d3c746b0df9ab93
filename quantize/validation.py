"""Validation sets on disk: pictures, and where there are labels, a mask for each."""

from __future__ import annotations

from dataclasses import dataclass
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

# Masks of a wrong size are mostly all of a wrong size: so many pairs are looked at before any work
# is begun, the others when their turn comes.
_PROBED = 8


@dataclass(frozen=True)
class Sample:
    """A picture to score on; `label` is its mask, or None where there is none."""

    name: str
    image: Path
    label: Path | None = None


@dataclass(frozen=True)
class Decoded:
    """A sample in memory: RGB bytes `[h, w, 3]` and its label `[h, w]` in 0–1, if it has one."""

    image: Bytes
    label: Floats | None


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
    image = read_image(sample.image)
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

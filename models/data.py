"""Portraits with masks as training batches, augmented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.errors import UsageError
from portrait_tflite.images import (
    Bytes,
    Floats,
    list_images,
    normalize,
    pair_with_masks,
    placement,
    read_image,
    read_mask,
    reading_folder,
)
from portrait_tflite.vocabulary import Channels, Fit, Interpolation, ModelSpec


@dataclass(frozen=True)
class Pair:
    """A picture and its mask on disk."""

    image: Path
    mask: Path


def find_pairs(folder: Path) -> list[Pair]:
    """Pair `folder/images/*` with the masks of the same stems in `folder/masks`, sorted by name.

    Pictures without a mask are left out: unlike a score, training does not need them all.

    Raises:
        UsageError: The folder has not that form, or no picture in it has a mask.
    """
    images, masks = folder / "images", folder / "masks"
    with reading_folder(folder):
        missing = [f"{place.name}/" for place in (images, masks) if not place.is_dir()]
    if missing:
        raise UsageError(
            f"a folder with images/ and masks/ of the same stems is required. Received: {folder}, "
            f"without {' and '.join(missing)}."
        )
    pairs, _ = pair_with_masks(list_images(images), masks)
    if not pairs:
        raise UsageError(
            "masks/STEM.png (or .jpg, .bmp, .tif …) for images/STEM.jpg is required. "
            f"Received: {folder}, where no image has a mask."
        )
    return [Pair(image, mask) for image, mask in pairs]


class PortraitBatches(keras.utils.PyDataset):
    """Batches of `(inputs [b, h, w, c], masks [b, h, w, 1])` for `Model.fit`.

    Args:
        pairs: What to read.
        spec: Size and normalization of the inputs.
        batch_size: Pictures per batch; the last one may be smaller.
        augment: Whether to shuffle, flip, move, scale and relight.
        seed: Same seed, same batches.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        spec: ModelSpec,
        batch_size: int,
        *,
        augment: bool,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=4)
        self._pairs = list(pairs)
        self._spec = spec
        self._batch_size = batch_size
        self._augment = augment
        self._seed = seed
        self._epoch = 0
        self._order = self._shuffled()

    def __len__(self) -> int:
        return -(-len(self._pairs) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Floats, Floats]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        inputs, masks = zip(*(self._read(int(i)) for i in chosen), strict=True)
        return np.stack(inputs), np.stack(masks)

    def start_epoch(self, epoch: int) -> None:
        """Set the epoch that shuffling and augmentation draw from, also when resuming."""
        self._epoch = epoch
        self._order = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        order = np.arange(len(self._pairs))
        if self._augment:
            np.random.default_rng((self._seed, self._epoch)).shuffle(order)
        return order

    def _read(self, index: int) -> tuple[Floats, Floats]:
        pair = self._pairs[index]
        image, mask = read_image(pair.image), read_mask(pair.mask)
        if image is None or mask is None:
            bad = pair.image if image is None else pair.mask
            raise UsageError(f"a readable picture is required. Received: {bad}.")
        rng = np.random.default_rng((self._seed, self._epoch, index))
        matrix = _random_affine(rng) if self._augment else np.eye(3)
        image, mask = _warp(image, mask, matrix, self._spec)
        if self._augment:
            image = _relight(image, rng)
        if self._spec.channels is Channels.GRAY:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.uint8)
        elif self._spec.channels is Channels.BGR:
            image = image[..., ::-1]
        return normalize(image, self._spec), mask[..., None]


def _random_affine(rng: np.random.Generator) -> NDArray[np.float64]:
    """Flip, scale, rotate and shift in coordinates of −1…1."""
    angle = np.deg2rad(rng.normal(0, 8))
    scale = np.exp(rng.uniform(np.log(0.7), np.log(1.35)))
    flip = rng.choice((-1.0, 1.0))
    stretch = np.exp(rng.normal(0, 0.06))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    dx, dy = rng.uniform(-0.2, 0.2, size=2)
    return np.array(
        [
            [flip * cos * stretch, -sin * stretch, dx],
            [flip * sin / stretch, cos / stretch, dy],
            [0, 0, 1],
        ]
    )


def _warp(
    image: Bytes, mask: Floats, matrix: NDArray[np.float64], spec: ModelSpec
) -> tuple[Bytes, Floats]:
    """Warp picture and mask straight to the place in the network's rectangle that `spec` says."""
    height, width = image.shape[:2]
    if mask.shape != (height, width):
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    at = placement(height, width, spec)
    to_unit = np.linalg.inv(_from_unit(at.left, at.right - at.left, at.top, at.bottom - at.top))
    to_net = _from_unit(at.inner_left, at.inner_width, at.inner_top, at.inner_height)
    affine = (to_net @ matrix @ to_unit)[:2]
    size = (spec.width, spec.height)
    # The border continues the person where the picture cuts them off, so the mask continues too.
    # A letterbox has black bars instead, here as everywhere.
    border = cv2.BORDER_CONSTANT if spec.fit is Fit.LETTERBOX else cv2.BORDER_REPLICATE
    nearest = spec.interpolation is Interpolation.NEAREST
    warped = cv2.warpAffine(
        image,
        affine,
        size,
        flags=cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR,
        borderMode=border,
    )
    label = cv2.warpAffine(mask, affine, size, flags=cv2.INTER_LINEAR, borderMode=border)
    return warped.astype(np.uint8), label.astype(np.float32)


def _from_unit(left: float, width: float, top: float, height: float) -> NDArray[np.float64]:
    """Map −1…1 to the pixels of a region, whose first pixel's centre is at `(left, top)`."""
    return np.array(
        [
            [width / 2, 0, left + (width - 1) / 2],
            [0, height / 2, top + (height - 1) / 2],
            [0, 0, 1],
        ]
    )


def _relight(image: Bytes, rng: np.random.Generator) -> Bytes:
    """Vary gamma, contrast, brightness, colour temperature; now and then gray, noise or blur."""
    values = np.arange(256, dtype=np.float32) / 255
    gamma, contrast = np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.2))
    brightness = rng.normal(0, 0.08)
    temperature = np.exp(rng.normal(0, 0.08, size=3))
    table = ((values**gamma - 0.5) * contrast + 0.5 + brightness)[:, None] * temperature
    lut = np.clip(table * 255, 0, 255).astype(np.uint8)
    image = np.stack([cv2.LUT(image[..., c], lut[:, c]) for c in range(3)], axis=-1)
    if rng.random() < 0.08:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB).astype(np.uint8)
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.5)).astype(np.uint8)
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(2, 12), size=image.shape).astype(np.float32)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image

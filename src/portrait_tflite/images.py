"""Pictures to network input and back: one implementation for every stage.

Calibration, verification, training and running all come through here, so that what the int8 file
was calibrated on is what it is later fed with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.errors import UsageError
from portrait_tflite.tensor_values import Array, to_stored
from portrait_tflite.vocabulary import Channels, Fit, Interpolation, ModelSpec, TensorInfo

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".avif", ".tif", ".tiff"})

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_LEAST_REDUCED = 64  # pixels of the short side, below which reducing changes how a picture looks

_INTERPOLATION = {
    Interpolation.BILINEAR: cv2.INTER_LINEAR,
    Interpolation.NEAREST: cv2.INTER_NEAREST,
    Interpolation.AREA: cv2.INTER_AREA,
}


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in the network's rectangle.

    The picture's region `[top:bottom, left:right]` (pixels of the picture) fills the rectangle's
    region of `inner_height × inner_width` at `(inner_top, inner_left)`.
    """

    top: int
    bottom: int
    left: int
    right: int
    inner_top: int
    inner_left: int
    inner_height: int
    inner_width: int


@contextmanager
def reading_folder(folder: Path) -> Iterator[None]:
    """Turn what the system refuses inside of the block into a `UsageError` about `folder`."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"a folder of images that can be read is required. Received: {folder} "
            f"({error.strerror})."
        ) from error


def list_images(folder: Path) -> list[Path]:
    """List the pictures directly in `folder`, by suffix, sorted by name.

    Raises:
        UsageError: The folder does not exist, is not a folder or cannot be read.
    """
    with reading_folder(folder):
        if not folder.is_dir():
            kind = "a file" if folder.exists() else "nothing there"
            raise UsageError(f"a folder of images is required. Received: {folder} ({kind}).")
        return sorted(
            p
            for p in folder.iterdir()
            if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()
        )


def pair_with_masks(
    images: Sequence[Path], masks: Path
) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Pair pictures with the masks in the folder `masks`: same stems, any image suffix.

    Returns:
        Each picture with its mask, in the order given, and the pictures that have none.

    Raises:
        UsageError: The folder cannot be read, or two masks are called as one picture is.
    """
    by_stem: dict[str, list[Path]] = {}
    for mask in list_images(masks):
        by_stem.setdefault(mask.stem, []).append(mask)
    pairs: list[tuple[Path, Path]] = []
    for image in images:
        found = by_stem.get(image.stem, [])
        if len(found) > 1:
            raise UsageError(
                f"one mask for {image.name} is required. "
                f"Received: {' and '.join(mask.name for mask in found)} in {masks}."
            )
        pairs += [(image, mask) for mask in found]
    return pairs, [image for image in images if image.stem not in by_stem]


def read_image(path: Path) -> Bytes | None:
    """Decode a picture to RGB bytes `[height, width, 3]`, upright; None where it is none."""
    image = _decode(path, cv2.IMREAD_COLOR)
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8)


def read_reduced(path: Path) -> Bytes | None:
    """Decode a large picture at an eighth of its size, a small one whole; None where it is none."""
    image = _decode(path, cv2.IMREAD_REDUCED_COLOR_8)
    if image is None or min(image.shape[:2]) < _LEAST_REDUCED:
        return read_image(path)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8)


def read_mask(path: Path) -> Floats | None:
    """Decode a label to `[height, width]` in 0–1; None where it is no picture.

    Masks of 0/255 and of 0/1 are both taken: a mask whose largest value is 1 is a binary one.
    """
    mask = _decode(path, cv2.IMREAD_GRAYSCALE)
    if mask is None:
        return None
    return mask.astype(np.float32) / np.float32(1 if mask.max() == 1 else 255)


def _decode(path: Path, mode: int) -> Bytes | None:
    """Decode a file; None where it cannot be read or is no picture."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
        # imdecode rather than imread: it takes any file name and prints no warning on a bad one.
        image = cv2.imdecode(data, mode) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else image.astype(np.uint8, copy=False)


def placement(height: int, width: int, spec: ModelSpec) -> Placement:
    """Place a picture of `height × width` pixels into the rectangle of `spec`, centred."""
    scale_y, scale_x = spec.height / height, spec.width / width
    if spec.fit is Fit.LETTERBOX:
        scale = min(scale_y, scale_x)
        inner_h = max(1, min(spec.height, round(height * scale)))
        inner_w = max(1, min(spec.width, round(width * scale)))
        inner_top, inner_left = (spec.height - inner_h) // 2, (spec.width - inner_w) // 2
        return Placement(0, height, 0, width, inner_top, inner_left, inner_h, inner_w)
    if spec.fit is Fit.CROP:
        scale = max(scale_y, scale_x)
        crop_h = max(1, min(height, round(spec.height / scale)))
        crop_w = max(1, min(width, round(spec.width / scale)))
        top, left = (height - crop_h) // 2, (width - crop_w) // 2
        return Placement(top, top + crop_h, left, left + crop_w, 0, 0, spec.height, spec.width)
    return Placement(0, height, 0, width, 0, 0, spec.height, spec.width)


def fit_image(image: Bytes, spec: ModelSpec) -> Bytes:
    """Bring RGB bytes `[h, w, 3]` to the network's rectangle and colour order.

    Returns:
        Bytes `[spec.height, spec.width, channels]`; letterbox bars are 0.
    """
    at = placement(image.shape[0], image.shape[1], spec)
    inner = cv2.resize(
        image[at.top : at.bottom, at.left : at.right],
        (at.inner_width, at.inner_height),
        interpolation=_INTERPOLATION[spec.interpolation],
    )
    if spec.channels is Channels.GRAY:
        inner = cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY)[..., None]
    elif spec.channels is Channels.BGR:
        inner = inner[..., ::-1]
    if inner.shape[:2] == (spec.height, spec.width):
        return np.ascontiguousarray(inner, dtype=np.uint8)
    canvas = np.zeros((spec.height, spec.width, spec.channels.depth), np.uint8)
    rows = slice(at.inner_top, at.inner_top + at.inner_height)
    columns = slice(at.inner_left, at.inner_left + at.inner_width)
    canvas[rows, columns] = inner
    return canvas


def normalize(pixels: Bytes | Floats, spec: ModelSpec) -> Floats:
    """Turn bytes `[..., channels]` into the network's float input of the same shape."""
    low, high = spec.input_range
    values = pixels.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
    if spec.mean:
        values -= np.asarray(spec.mean, np.float32)
    if spec.std:
        values /= np.asarray(spec.std, np.float32)
    return values


def affine_of_bytes(spec: ModelSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what multiplies a byte and what is added then, `[channels]` each, in float64."""
    low, high = spec.input_range
    mean, std = (
        np.broadcast_to(np.asarray(numbers or (neutral,), np.float64), (spec.channels.depth,))
        for numbers, neutral in ((spec.mean, 0.0), (spec.std, 1.0))
    )
    return (high - low) / 255 / std, (low - mean) / std


def normalizes_alike(spec: ModelSpec) -> bool:
    """Whether all channels are normalized by the same numbers, as far as float32 tells."""
    return all(len(np.unique(numbers.astype(np.float32))) == 1 for numbers in affine_of_bytes(spec))


def stored_pixels(spec: ModelSpec, info: TensorInfo) -> Array:
    """Return what an input holds for each byte of a picture: `[256, channels]` in its dtype.

    Args:
        spec: What the file takes.
        info: Its input.
    """
    pixels = np.arange(256, dtype=np.uint8)[:, None].repeat(spec.channels.depth, axis=1)
    return to_stored(normalize(pixels, spec), info)


def takes_raw_bytes(spec: ModelSpec, info: TensorInfo) -> bool:
    """Whether the bytes of a picture are an input as they are."""
    stored = stored_pixels(spec, info)
    return stored.dtype == np.uint8 and bool((stored == np.arange(256)[:, None]).all())


def denormalize(values: Floats, spec: ModelSpec) -> Floats:
    """Undo `normalize`: the whole numbers 0–255 that it was given, as floats."""
    low, high = spec.input_range
    if spec.std:
        values = values * np.asarray(spec.std, np.float32)
    if spec.mean:
        values = values + np.asarray(spec.mean, np.float32)
    pixels = np.rint((values - np.float32(low)) * np.float32(255 / (high - low)))
    return np.asarray(np.clip(pixels, 0, 255), np.float32)


def prepare(image: Bytes, spec: ModelSpec) -> Floats:
    """Turn RGB bytes `[h, w, 3]` of any size into the input `[1, height, width, channels]`.

    Where a previous mask is one of its channels, it is the one that a video begins with.
    """
    colours = normalize(fit_image(image, spec), spec)[None]
    if spec.state is None or spec.state.channel is None:
        return colours
    return np.insert(colours, spec.state.channel, np.float32(spec.state.initial), axis=-1)


def restore_mask(mask: Floats, height: int, width: int, spec: ModelSpec) -> Floats:
    """Bring a mask `[mask_h, mask_w]` of the network back to a picture of `height × width`.

    The mask may have another resolution than the input. Outside of a crop it is 0.
    """
    at = placement(height, width, spec)
    scale_y, scale_x = mask.shape[0] / spec.height, mask.shape[1] / spec.width
    rows = slice(round(at.inner_top * scale_y), round((at.inner_top + at.inner_height) * scale_y))
    columns = slice(
        round(at.inner_left * scale_x), round((at.inner_left + at.inner_width) * scale_x)
    )
    size = (at.right - at.left, at.bottom - at.top)
    region = cv2.resize(mask[rows, columns], size, interpolation=cv2.INTER_LINEAR)
    if region.shape == (height, width):
        return region.astype(np.float32)
    restored = np.zeros((height, width), np.float32)
    restored[at.top : at.bottom, at.left : at.right] = region
    return restored


def read_usable(paths: list[Path]) -> Iterator[tuple[Path, Bytes]]:
    """Yield each path that decodes, with its RGB bytes."""
    for path in paths:
        image = read_image(path)
        if image is not None:
            yield path, image

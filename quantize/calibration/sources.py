"""Where calibration pictures come from: a folder, an array file, a video, a manifest, drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.errors import UsageError
from portrait_tflite.images import list_images, reading_folder
from portrait_tflite.quantize.calibration.arrays import (
    ARRAYS,
    NPZ,
    array_names,
    list_arrays,
    required_arrays,
)
from portrait_tflite.quantize.calibration.manifest import Manifest, read_manifest
from portrait_tflite.quantize.calibration.picture import (
    SYNTHETIC,
    DrawnPicture,
    Picture,
    PictureFile,
    VideoPicture,
)
from portrait_tflite.video import VIDEOS, FrameReader, spread_over
from portrait_tflite.vocabulary import MANIFEST_FILE, ModelSpec

_MANIFEST = ".json"
# Frames of a video that are looked at, for each that is calibrated on: a fifth may be held out.
_MARGIN = 1.25


@dataclass(frozen=True)
class Source:
    """Pictures to choose from.

    Attributes:
        text: As the user gave it.
        path: What they lie in; None for drawn ones.
        pictures: In an order that does not depend on the machine.
        skipped: Names of what lies beside them and is none.
        ordered: Whether they are frames of a video, in their order.
        manifest: What says which of them to take, if anything does.
    """

    text: str
    path: Path | None
    pictures: tuple[Picture, ...]
    skipped: tuple[str, ...] = ()
    ordered: bool = False
    manifest: Manifest | None = None


def open_source(source: str | Path, spec: ModelSpec, count: int = 200, seed: int = 0) -> Source:
    """List the pictures of a source.

    Args:
        source: `synthetic`; a folder with pictures in `images/` or directly in it; an `.npy` or
            `.npz`; a video; or the `calibration.json` of an earlier conversion.
        count: Pictures to calibrate on: as many are drawn, and a quarter more taken of a video.

    Raises:
        UsageError: It cannot be read, or holds something else.
    """
    if str(source) == SYNTHETIC:
        # What they need besides is drawn, too.
        drawn = range(seed * count, seed * count + count)
        pictures = tuple(DrawnPicture(i, spec.height, spec.width) for i in drawn)
        return Source(SYNTHETIC, None, pictures)
    path = Path(source)
    suffix = path.suffix.lower()
    if spec.others and (path.is_dir() or suffix not in (NPZ, _MANIFEST)):
        raise UsageError(
            f"{required_arrays(spec)}, is required: the network takes more than pictures. "
            f"Received: {path}."
        )
    if path.is_dir() or suffix not in {*ARRAYS, *VIDEOS, _MANIFEST}:
        return _open_folder(path, str(source))
    if not path.is_file():
        raise UsageError(
            f"calibration pictures are required. Received: {path} (nothing there). Give a folder, "
            f"an .npy or .npz, a video, or the calibration.json of an earlier conversion."
        )
    if suffix == _MANIFEST:
        return _open_manifest(path, spec)
    if suffix in ARRAYS:
        return Source(str(source), path, tuple(list_arrays(path, spec)))
    return Source(str(source), path, tuple(_frames(path, count)), ordered=True)


def names_of_arrays(source: str | None) -> tuple[str, ...]:
    """Return the names of the arrays that a source brings; none where it brings no `.npz`."""
    if source is None or source == SYNTHETIC:
        return ()
    path = Path(source)
    if path.suffix.lower() == _MANIFEST and path.is_file():
        written = read_manifest(path)
        return () if written.source == SYNTHETIC else array_names(written.find_pictures(path))
    return array_names(path)


def calibration_images(folder: Path) -> list[Path]:
    """List the pictures of a calibration folder: of its `images/` where it has one.

    Raises:
        UsageError: It does not exist or cannot be read.
    """
    images = folder / "images"
    with reading_folder(folder):
        nested = images.is_dir()
    return list_images(images if nested else folder)


def _open_folder(folder: Path, text: str) -> Source:
    paths = calibration_images(folder)
    pictures = tuple(PictureFile(path) for path in paths)
    return Source(text, folder, pictures, tuple(_other_files(folder, paths)))


def _other_files(folder: Path, paths: list[Path]) -> list[str]:
    """Name what lies beside the pictures and is none; folders and hidden files do not count.

    Nor does a manifest: that is copied to its pictures.
    """
    inside = paths[0].parent if paths else folder
    known = {*paths, inside / MANIFEST_FILE}
    with reading_folder(inside):
        return sorted(
            path.name
            for path in inside.iterdir()
            if path not in known and path.is_file() and not path.name.startswith(".")
        )


def _frames(path: Path, count: int) -> list[VideoPicture]:
    reader = FrameReader(path)
    numbers = spread_over(reader.frames, math.ceil(count * _MARGIN))
    return [VideoPicture(path.with_name(f"{path.name}#{n}"), reader, n) for n in numbers]


def _open_manifest(path: Path, spec: ModelSpec) -> Source:
    """Open what a manifest was written of; which pictures to take stays the manifest's affair."""
    written = read_manifest(path)
    origin = SYNTHETIC if written.source == SYNTHETIC else written.find_pictures(path)
    opened = open_source(origin, spec, written.count, written.seed)
    skipped = tuple(name for name in opened.skipped if name != path.name)  # under another name
    return Source(str(path), opened.path, opened.pictures, skipped, opened.ordered, written)

"""Pictures to calibrate on, wherever they come from; each is read when it is asked for."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from portrait_tflite.images import (
    Bytes,
    Floats,
    denormalize,
    prepare,
    read_image,
    read_reduced,
)
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.quantize.checks.thumbnails import thumbnail
from portrait_tflite.video import FrameReader
from portrait_tflite.vocabulary import Channels, ModelSpec

SYNTHETIC = "synthetic"


class Picture(ABC):
    """One picture.

    Attributes:
        place: Where it lies: its file, or the file it is in with its number behind `#`.
        others: What a network takes besides, by the names of the inputs, `[1, …]` each.
    """

    place: Path
    others: Mapping[str, Floats] = MappingProxyType({})

    @property
    def name(self) -> str:
        return self.place.name

    @abstractmethod
    def digest(self) -> str:
        """Return the sha256 of what it is made from; "" where that cannot be read."""

    @abstractmethod
    def pixels(self) -> Bytes | None:
        """Return RGB bytes `[h, w, 3]`; None where it cannot be read or is no picture."""

    def prepared(self, spec: ModelSpec) -> Floats | None:
        """Return what the network is fed with, `[1, height, width, channels]`."""
        pixels = self.pixels()
        return None if pixels is None else prepare(pixels, spec)

    def thumbnail(self) -> Floats | None:
        """Return it very small, `[n, n, 3]` in 0–1."""
        pixels = self.pixels()
        return None if pixels is None else thumbnail(pixels)


@dataclass(frozen=True)
class PictureFile(Picture):
    """A file of its own."""

    place: Path

    def digest(self) -> str:
        try:
            return hashlib.sha256(self.place.read_bytes()).hexdigest()
        except OSError:
            return ""

    def pixels(self) -> Bytes | None:
        return read_image(self.place)

    def thumbnail(self) -> Floats | None:
        reduced = read_reduced(self.place)
        return None if reduced is None else thumbnail(reduced)


@dataclass(frozen=True)
class DrawnPicture(Picture):
    """A drawn portrait."""

    seed: int
    height: int
    width: int
    place: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", Path(f"portrait-{self.seed}"))

    def digest(self) -> str:
        return f"{SYNTHETIC}:{self.seed}"

    def pixels(self) -> Bytes:
        return draw_portrait(self.seed, self.height, self.width)[0]


@dataclass(frozen=True, eq=False)
class StoredPicture(Picture):
    """RGB bytes `[h, w, 3]` of an array file."""

    place: Path
    stored: Bytes
    others: Mapping[str, Floats] = field(default_factory=dict)

    def digest(self) -> str:
        return hashlib.sha256(np.ascontiguousarray(self.stored).tobytes()).hexdigest()

    def pixels(self) -> Bytes:
        return np.ascontiguousarray(self.stored)


@dataclass(frozen=True, eq=False)
class StoredInput(Picture):
    """What the network is fed with `[height, width, channels]`, of an array file."""

    place: Path
    stored: Floats
    spec: ModelSpec
    others: Mapping[str, Floats] = field(default_factory=dict)

    def digest(self) -> str:
        return hashlib.sha256(self._values().tobytes()).hexdigest()

    def pixels(self) -> Bytes:
        """Return the picture that it was prepared from, at the network's size."""
        colours = self._values()[..., : self.spec.channels.depth]
        finite = np.nan_to_num(colours, posinf=0.0, neginf=0.0)
        pixels = denormalize(finite, self.spec).astype(np.uint8)
        if self.spec.channels is Channels.GRAY:
            return np.repeat(pixels, 3, axis=-1)
        reverse = self.spec.channels is Channels.BGR
        return np.ascontiguousarray(pixels[..., ::-1] if reverse else pixels)

    def prepared(self, spec: ModelSpec) -> Floats:
        return self._values()[None]

    def _values(self) -> Floats:
        return np.ascontiguousarray(self.stored, np.float32)


@dataclass(frozen=True, eq=False)
class VideoPicture(Picture):
    """A frame of a video."""

    place: Path
    reader: FrameReader
    number: int

    def digest(self) -> str:
        frame = self.pixels()
        return "" if frame is None else hashlib.sha256(frame.tobytes()).hexdigest()

    def pixels(self) -> Bytes | None:
        return self.reader.read(self.number)

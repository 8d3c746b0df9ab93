"""Frames of a video file, by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.errors import UsageError
from portrait_tflite.quiet import quiet

VIDEOS = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".3gp"})

# Frames ahead up to which passing over them is quicker than seeking, which decodes from a key
# frame.
_NEAR = 60

Bytes = NDArray[np.uint8]


class FrameReader:
    """Reads frames of a video by their number; going forwards decodes each frame once at most.

    Attributes:
        frames: How many there are.
    """

    def __init__(self, path: Path) -> None:
        """Open a video.

        Raises:
            UsageError: It is none, or OpenCV cannot decode it.
        """
        with quiet():  # FFmpeg says on stderr what it misses
            self._capture = cv2.VideoCapture(str(path))
        self.frames = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._next = 0
        self._last: tuple[int, Bytes | None] = (-1, None)
        if not self._capture.isOpened() or self.read(0) is None:
            raise UsageError(
                f"a video that OpenCV can decode is required. Received: {path}. "
                "Convert it to MP4, or give a folder of its frames."
            )
        # Streams without an index do not say.
        self.frames = self.frames or self._count()

    def read(self, number: int) -> Bytes | None:
        """Return a frame as RGB bytes `[h, w, 3]`; None where it cannot be decoded."""
        if number != self._last[0]:
            self._last = (number, self._decode(number))
        return self._last[1]

    def __iter__(self) -> Iterator[Bytes]:
        """Yield all frames that can be decoded, up to the first that cannot."""
        for number in range(self.frames):
            frame = self.read(number)
            if frame is None:
                return
            yield frame

    def _decode(self, number: int) -> Bytes | None:
        if not 0 <= number - self._next <= _NEAR:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
            self._next = number
        while self._next < number:
            self._capture.grab()
            self._next += 1
        found, frame = self._capture.read()
        self._next += 1
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8) if found else None

    def _count(self) -> int:
        count = self._next
        while self._capture.grab():
            count += 1
        self._next = -1  # nobody knows: seek
        return count


def spread_over(length: int, count: int) -> list[int]:
    """Number `count` places spread evenly over `length`, or all of them."""
    if count >= length:
        return list(range(length))
    return [int((2 * place + 1) * length / (2 * count)) for place in range(count)]

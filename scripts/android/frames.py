"""Frames as an Android camera gives them: YUV_420_888, stored as the sensor lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.images import Bytes

Doubles = NDArray[np.float64]

# BT.601 with the full range 0–255 (JFIF 1.02, page 3).
_TO_YUV = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
_NEUTRAL = np.array([0, 128, 128])


@dataclass(frozen=True)
class Plane:
    """A plane's buffer; the sample (x, y) is at `y · row_stride + x · pixel_stride`."""

    data: Bytes
    row_stride: int
    pixel_stride: int


@dataclass(frozen=True)
class Layout:
    """How a camera stores its planes.

    Attributes:
        padding: Bytes behind each row.
        interleaved: Whether U and V lie in one buffer, V first (NV21).
    """

    padding: int = 0
    interleaved: bool = False


def split_planes(rgb: Bytes, layout: Layout) -> tuple[Plane, Plane, Plane]:
    """Turn RGB `[h, w, 3]` of even size into the planes Y, U and V; chroma at half the size."""
    yuv = rgb @ _TO_YUV.T + _NEUTRAL
    height, width = rgb.shape[:2]
    halved = yuv.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    y, u, v = (_to_bytes(each) for each in (yuv[..., 0], halved[..., 1], halved[..., 2]))
    if not layout.interleaved:
        return _plane(y, layout), _plane(u, layout), _plane(v, layout)
    both = _plane(np.stack([v, u], axis=2).reshape(len(v), -1), layout)
    # As Android hands them over: two views of one buffer, each ending with its last sample.
    step = both.row_stride
    return _plane(y, layout), Plane(both.data[1:], step, 2), Plane(both.data[:-1], step, 2)


def join_planes(planes: tuple[Plane, Plane, Plane], height: int, width: int) -> Bytes:
    """Turn planes into RGB `[h, w, 3]`: the four pixels of a square have its chroma."""
    y, u, v = (_samples(p, *size) for p, size in zip(planes, _sizes(height, width), strict=True))
    chroma = (each.repeat(2, axis=0).repeat(2, axis=1) for each in (u, v))
    return _to_bytes((np.dstack([y, *chroma]) - _NEUTRAL) @ _TO_RGB.T)


def set_upright(rgb: Bytes, rotation: int, *, mirror: bool) -> Bytes:
    """Turn a frame clockwise by `rotation` degrees, then swap left and right where `mirror`."""
    turned = np.rot90(rgb, -rotation // 90)
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)


def lay_down(upright: Bytes, rotation: int, *, mirror: bool) -> Bytes:
    """Undo `set_upright`."""
    plain = upright[:, ::-1] if mirror else upright
    return np.ascontiguousarray(np.rot90(plain, rotation // 90))


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    return [(height, width), *[(height // 2, width // 2)] * 2]


def _plane(samples: Bytes, layout: Layout) -> Plane:
    padded = np.pad(samples, ((0, 0), (0, layout.padding)), constant_values=77)
    # The last row has no padding, as the buffers of many phones.
    end = padded.size - layout.padding
    return Plane(padded.reshape(-1)[:end], padded.shape[1], 1)


def _samples(plane: Plane, height: int, width: int) -> Bytes:
    rows = np.arange(height)[:, None] * plane.row_stride
    return plane.data[rows + np.arange(width) * plane.pixel_stride]


def _to_bytes(values: Doubles) -> Bytes:
    return np.asarray(np.clip(np.floor(values + 0.5), 0, 255), np.uint8)

"""What each channel of a tensor holds on the calibration pictures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.tensor_ranges import Frames, observe_tensors


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """Figures of the channels of a tensor, `[c]` each.

    Attributes:
        low: The smallest numbers.
        high: The largest ones.
        mean: Their means.
        square: Means of their squares.
        nonzero: Shares that are not zero, which int8 holds exactly.
    """

    low: Floats
    high: Floats
    mean: Floats
    square: Floats
    nonzero: Floats


def channel_statistics(
    data: bytes,
    frames: Sequence[Frames],
    tensors: Collection[int],
    on_share: Callable[[float], None],
) -> dict[int, ChannelStatistics]:
    """Observe some tensors of a float file, channel by channel: their last dimension."""
    gathered: dict[int, list[Floats]] = {number: [] for number in tensors}
    for done, held in enumerate(observe_tensors(data, frames), start=1):
        for number, rows in gathered.items():
            rows.append(_figures(held[number]))
        on_share(done / len(frames))
    return {number: _over_pictures(np.stack(rows)) for number, rows in gathered.items()}


def _figures(values: Floats) -> Floats:
    flat = values.reshape(-1, values.shape[-1])
    return np.stack(
        [
            flat.min(0),
            flat.max(0),
            flat.mean(0, dtype=np.float64),
            np.square(flat).mean(0, dtype=np.float64),
            (flat != 0).mean(0),
        ]
    )


def _over_pictures(figures: Floats) -> ChannelStatistics:
    """Reduce figures `[pictures, 5, c]`."""
    low, high, *means = figures.transpose(1, 0, 2)
    return ChannelStatistics(low.min(0), high.max(0), *(mean.mean(0) for mean in means))

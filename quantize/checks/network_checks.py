"""What the float network itself says of calibration pictures: their channel order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from portrait_tflite.convert.network_inputs import Fed, beside
from portrait_tflite.images import Floats, denormalize, normalize
from portrait_tflite.metrics import iou
from portrait_tflite.quantize.accuracy.predictors import mask_predictor
from portrait_tflite.quantize.calibration import CalibrationSet
from portrait_tflite.quantize.previous_masks import Feeder
from portrait_tflite.vocabulary import Channels, Check, ModelSpec

_FEWEST = 16
MOST_ASKED = 100
# The gap of confidence, in its own standard errors, at which one order is taken for the better.
# Photographs in the right order gave 4.0 to 4.2 four times and 0.6 once (docs/calibration.md).
_DECIDED = 2.5
_SURE = 4.0  # behind which no more pictures are asked
# Where masks agree by more, the order of the channels is no matter.
_NO_MATTER = 0.99
_CAP = 6.0  # log-odds behind which a net is sure, whatever it says
_LEAST = 1e-6
_NAME = "channel order"


@dataclass(frozen=True)
class OrderGap:
    """How the masks of a network differ between pictures as they are and channels swapped.

    Attributes:
        images: Pictures that were looked at.
        t: How much surer the network is of pictures as they are, in standard errors.
        agreement: Mean IoU of the two masks.
    """

    images: int
    t: float
    agreement: float

    @property
    def swapped_is_better(self) -> bool:
        return self.images >= _FEWEST and self.t < -_DECIDED and self.agreement < _NO_MATTER


def check_channel_order(
    calibration: CalibrationSet, feeder: Feeder, on_picture: Callable[[int], None] | None = None
) -> Check:
    """Tell whether the network is surer of its masks when red and blue are swapped.

    That is no proof, so it is a warning only.

    Args:
        calibration: Prepared pictures, with the state as it begins where the net remembers.
        feeder: The float network.
        on_picture: Called with how many it was asked about.
    """
    spec = feeder.spec
    if spec.channels is Channels.GRAY:
        return Check(_NAME, True, "warn", "the network takes gray pictures")
    gap = measure_order(calibration.fed, feeder, on_picture)
    if gap.swapped_is_better:
        other = Channels.BGR if spec.channels is Channels.RGB else Channels.RGB
        detail = (
            f"the network is surer of its masks with red and blue swapped (t {-gap.t:.1f} on "
            f"{gap.images} pictures, the masks agree by {gap.agreement:.2f}): are they, or is the "
            f"network, {other}? See --channels"
        )
        return Check(_NAME, False, "warn", detail)
    return Check(_NAME, True, "warn", _described(gap, spec))


def measure_order(
    fed: Floats | Fed, feeder: Feeder, on_picture: Callable[[int], None] | None = None
) -> OrderGap:
    """Compare the masks of pictures `[n, h, w, channels]` with those of swapped ones.

    What the network takes besides stays as it is. Pictures are asked one by one, and no more than
    it takes to be sure.
    """
    predict = mask_predictor(feeder.outputs_of, feeder.spec)
    gaps: list[float] = []
    agreed: list[float] = []
    pictures, others = fed if isinstance(fed, Fed) else (fed, {})
    for number, picture in enumerate(pictures[:MOST_ASKED]):
        row = {name: rows[number : number + 1] for name, rows in others.items()}
        given = predict(beside(picture[None], row))
        swapped = predict(beside(_swapped(picture, feeder.spec)[None], row))
        gaps.append(_sureness(given) - _sureness(swapped))
        agreed.append(iou(given, swapped))
        if on_picture:
            on_picture(len(gaps))
        if len(gaps) >= _FEWEST and abs(_t(gaps)) > _SURE:
            break
    return OrderGap(len(gaps), _t(gaps), float(np.mean(agreed)))


def _described(gap: OrderGap, spec: ModelSpec) -> str:
    if gap.agreement >= _NO_MATTER:
        return f"no matter: the masks agree by {gap.agreement:.2f} with red and blue swapped"
    if gap.t > _DECIDED:
        return f"the network is surer of {spec.channels} than of swapped channels (t {gap.t:.1f})"
    return f"not decided: the network is as sure with red and blue swapped (t {gap.t:.1f})"


def _swapped(picture: Floats, spec: ModelSpec) -> Floats:
    """Swap red and blue; what lies beside the colours stays."""
    swapped = picture.copy()
    # Mean and deviation belong to the place of a channel, not to its colour.
    swapped[..., :3] = normalize(denormalize(picture[..., :3], spec)[..., ::-1], spec)
    return swapped


def _sureness(mask: Floats) -> float:
    """Return the mean log-odds of a mask's pixels, whichever side they are on."""
    odds = np.clip(np.nan_to_num(mask, nan=0.5), _LEAST, 1 - _LEAST)
    return float(np.minimum(np.abs(np.log(odds / (1 - odds))), _CAP).mean())


def _t(gaps: Sequence[float]) -> float:
    """Return the mean of differences in its own standard errors; 0 where they are all 0."""
    error = float(np.std(gaps, ddof=1)) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
    mean = float(np.mean(gaps))
    return mean / error if error else math.copysign(math.inf, mean) if mean else 0.0

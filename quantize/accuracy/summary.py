"""What the scores of all images come to: means, what is lost, and whether it passes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.quantize.accuracy.bootstrap import bootstrap_interval
from portrait_tflite.quantize.accuracy.scoring import MaskScore, SampleScores
from portrait_tflite.vocabulary import (
    Accuracy,
    Drop,
    DropInterval,
    ImageDetail,
    ImageScore,
    Interval,
)

MIN_AGREEMENT_IOU = 0.98
MIN_FLOAT_IOU = 0.5
WORST_IMAGES = 8
MEDIAN_IMAGES = 2
_FEWEST_DRAWN = 2  # images that an interval is drawn from


@dataclass(frozen=True)
class Gate:
    """What passes.

    Attributes:
        max_drop: Of mIoU with labels, in points.
        agreement: Least IoU with the reference's masks without.
        cause: Why the reference itself is below the floor, or "".
    """

    labelled: bool
    max_drop: float
    agreement: float
    cause: str


def summarize(name: str, scores: Sequence[SampleScores], gate: Gate) -> Accuracy:
    """Reduce one variant's scores of all images to its accuracy."""
    own = [score.variants[name] for score in scores]
    reference = [score.float_score for score in scores]
    lost = np.array([_lost(one, other) for one, other in zip(reference, own, strict=True)])
    drop = Drop(*(mean(column) for column in lost.T))
    drifts = [
        mine.foreground - other.foreground for other, mine in zip(reference, own, strict=True)
    ]
    agreement = mean(s.agreement_iou for s in own)
    reason = _finite_reason(reference, own)
    if not reason and gate.labelled:
        reason = _labelled_reason(mean(s.iou for s in reference), drop.miou, gate)
    elif not reason and agreement < gate.agreement:
        reason = (
            f"IoU with the float model's masks is {agreement:.3f}, "
            f"at least {gate.agreement:.3g} is required"
        )
    ranked = _by_loss(name, scores)
    return Accuracy(
        images=len(scores),
        labelled=gate.labelled,
        iou=mean(s.iou for s in own),
        miou=mean(s.miou for s in own),
        boundary_f=mean(s.boundary_f for s in own),
        mae=mean(s.mae for s in own),
        agreement_iou=agreement,
        drop=drop,
        worst=ranked[:WORST_IMAGES],
        passed=not reason,
        reason=reason,
        median=_middle(ranked),
        boundary_f_fine=mean(s.boundary_f_fine for s in own),
        sad=mean(s.sad for s in own),
        label_mae=_mean_or_none(s.label_mae for s in own),
        label_sad=_mean_or_none(s.label_sad for s in own),
        interval=_interval(lost),
        foreground_drift=100 * mean(drifts),
        images_scored=tuple(_detail(name, score) for score in scores),
    )


def needed_agreement(scores: Sequence[SampleScores], name: str, same_net: str) -> float:
    """Return the IoU with the reference that a variant needs, where that is another one's.

    It may be as far below as what 95 % of other draws of the pictures leave open.

    Args:
        same_net: Name of the reference itself, run by other kernels.
    """
    itself, own = (
        np.array([score.variants[each].agreement_iou for score in scores])
        for each in (same_net, name)
    )
    behind = itself - own
    least = bootstrap_interval(behind[:, None])[0, 0]
    open_ = max(0.0, float(behind.mean() - least)) if len(scores) >= _FEWEST_DRAWN else 0.0
    return min(MIN_AGREEMENT_IOU, float(itself.mean()) - open_)


def _lost(reference: MaskScore, own: MaskScore) -> list[float]:
    """Return what one image loses, in the order of `Drop`."""
    lost = [
        100 * (reference.iou - own.iou),
        100 * (reference.miou - own.miou),
        100 * (reference.boundary_f - own.boundary_f),
        100 * (reference.boundary_f_fine - own.boundary_f_fine),
        100 * own.mae,
        own.sad,
    ]
    to_label = (
        (100, own.label_mae, reference.label_mae),
        (1, own.label_sad, reference.label_sad),
    )
    return lost + [
        unit * (mine - other)
        for unit, mine, other in to_label
        if mine is not None and other is not None
    ]


def _interval(lost: NDArray[np.float64]) -> DropInterval | None:
    if len(lost) < _FEWEST_DRAWN:
        return None
    ends = bootstrap_interval(lost).T
    return DropInterval(*(Interval(float(low), float(high)) for low, high in ends))


def _detail(name: str, score: SampleScores) -> ImageDetail:
    reference, own = score.float_score, score.variants[name]
    return ImageDetail(
        image=score.name,
        iou_float=reference.iou,
        iou=own.iou,
        miou_float=reference.miou,
        miou=own.miou,
        boundary_f_float=reference.boundary_f,
        boundary_f=own.boundary_f,
        boundary_f_fine_float=reference.boundary_f_fine,
        boundary_f_fine=own.boundary_f_fine,
        mae=own.mae,
        sad=own.sad,
        agreement_iou=own.agreement_iou,
        foreground_float=reference.foreground,
        foreground=own.foreground,
        label_mae_float=reference.label_mae,
        label_mae=own.label_mae,
        label_sad_float=reference.label_sad,
        label_sad=own.label_sad,
    )


def _finite_reason(reference: Sequence[MaskScore], own: Sequence[MaskScore]) -> str:
    for whose, scores in (("the float model", reference), ("this variant", own)):
        broken = sum(not score.finite for score in scores)
        if broken:
            return f"masks of {whose} hold NaN or infinity on {broken} of {len(scores)} images"
    return ""


def _labelled_reason(float_iou: float, drop: float, gate: Gate) -> str:
    if float_iou < MIN_FLOAT_IOU:
        floor = f"IoU of the float model is {float_iou:.3f}, at least {MIN_FLOAT_IOU} is required"
        return f"{floor}: {gate.cause}" if gate.cause else floor
    if drop > gate.max_drop:
        return f"mIoU drops by {drop:.2f} points, at most {gate.max_drop:g} allowed"
    return ""


def _by_loss(name: str, scores: Sequence[SampleScores]) -> tuple[ImageScore, ...]:
    """Return the images by how much IoU they lose, worst first; names decide between equals."""
    images = [
        ImageScore(score.name, score.float_score.iou, score.variants[name].iou) for score in scores
    ]
    images.sort(key=lambda image: (image.iou - image.iou_float, image.image))
    return tuple(images)


def _middle(ranked: tuple[ImageScore, ...]) -> tuple[ImageScore, ...]:
    """Return the median of ranked images and the ones behind it, `MEDIAN_IMAGES` at most."""
    start = (len(ranked) - 1) // 2
    return ranked[start : start + MEDIAN_IMAGES]


def _mean_or_none(values: Iterable[float | None]) -> float | None:
    """Return the mean; None where there is nothing on any image."""
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def mean(values: Iterable[float]) -> float:
    """Return the mean; it does not depend on the order."""
    listed = list(values)
    return math.fsum(listed) / len(listed)

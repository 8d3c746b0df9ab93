"""The accuracy gate: what each variant loses against the float model, image by image."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from portrait_tflite.errors import UsageError
from portrait_tflite.quantize.predictors import Predictor
from portrait_tflite.quantize.scoring import (
    MaskScore,
    Prepared,
    SampleScores,
    prepare_sample,
    score_sample,
)
from portrait_tflite.quantize.validation import Sample
from portrait_tflite.vocabulary import Accuracy, Drop, ImageScore, ModelSpec

MIN_AGREEMENT_IOU = 0.98
MIN_FLOAT_IOU = 0.5
WORST_IMAGES = 8
MEDIAN_IMAGES = 2

# Decoding and scoring take about as long as inference does, so they run beside it; the depth
# bounds how many pictures are in memory.
_WORKERS = 2
_DEPTH = 8

T = TypeVar("T")
U = TypeVar("U")


def verify_variants(
    reference: Predictor,
    variants: Mapping[str, Predictor],
    spec: ModelSpec,
    samples: Sequence[Sample],
    max_drop: float,
    on_image: Callable[[int, int], None] | None = None,
    diagnose: Callable[[], str] | None = None,
    same_net: str | None = None,
) -> dict[str, Accuracy]:
    """Score every variant against the labels, or without labels against the float model.

    Every picture is decoded once; pictures that cannot be decoded are left out, and
    `Accuracy.images` counts the others. Predictors are called in the caller's thread, in a fixed
    order, and the results do not depend on timing.

    Args:
        reference: The float model.
        variants: By name; one that is `reference` itself is not run a second time.
        samples: All labelled, or none.
        max_drop: Largest mIoU drop that passes, in points.
        on_image: Called with `(images done, images in all)`.
        diagnose: Called once where the float model's IoU is below the floor; says what would score
            best (see `diagnose_low_iou`).
        same_net: Name of a variant that is the reference itself run by other kernels. Where even
            that agrees by less than `MIN_AGREEMENT_IOU`, the others need to agree as well only.

    Raises:
        UsageError: No picture can be decoded, or a label does not fit its picture.
    """
    scores = list(_score_all(reference, variants, spec, samples, on_image))
    if not scores:
        raise UsageError(
            f"validation pictures that can be decoded are required. "
            f"Received: {len(samples)} files, none of them readable."
        )
    labelled = all(sample.label is not None for sample in samples)
    float_scores = [score.float_score for score in scores]
    cause = ""
    if labelled and _mean(s.iou for s in float_scores) < MIN_FLOAT_IOU and diagnose:
        cause = diagnose()
    needed = MIN_AGREEMENT_IOU
    if same_net is not None:
        needed = min(needed, _mean(score.variants[same_net].agreement_iou for score in scores))
    gate = _Gate(labelled, max_drop, needed, cause)
    return {name: _summarize(name, scores, gate) for name in variants}


@dataclass(frozen=True)
class _Gate:
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


def _score_all(
    reference: Predictor,
    variants: Mapping[str, Predictor],
    spec: ModelSpec,
    samples: Sequence[Sample],
    on_image: Callable[[int, int], None] | None,
) -> Iterator[SampleScores]:
    pool = ThreadPoolExecutor(_WORKERS)
    scoring: deque[Future[SampleScores]] = deque()
    try:
        prepared = _map_ahead(pool, partial(prepare_sample, spec=spec), samples)
        for done, sample in enumerate(prepared, start=1):
            if sample is not None:
                scoring.append(_run_and_score(pool, sample, reference, variants, spec))
            if len(scoring) > _DEPTH:
                yield scoring.popleft().result()
            if on_image:
                on_image(done, len(samples))
        while scoring:
            yield scoring.popleft().result()
    finally:
        # After an error or Ctrl-C nothing that was queued is worth waiting for.
        pool.shutdown(cancel_futures=True)


def _run_and_score(
    pool: ThreadPoolExecutor,
    sample: Prepared,
    reference: Predictor,
    variants: Mapping[str, Predictor],
    spec: ModelSpec,
) -> Future[SampleScores]:
    float_mask = reference(sample.input)
    masks = {
        name: float_mask if predict is reference else predict(sample.input)
        for name, predict in variants.items()
    }
    return pool.submit(score_sample, sample, float_mask, masks, spec)


def _map_ahead(
    pool: ThreadPoolExecutor, function: Callable[[T], U], items: Iterable[T]
) -> Iterator[U]:
    """Like `map`, with up to `_DEPTH` results computed ahead."""
    waiting: deque[Future[U]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > _DEPTH:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _summarize(name: str, scores: Sequence[SampleScores], gate: _Gate) -> Accuracy:
    own = [score.variants[name] for score in scores]
    reference = [score.float_score for score in scores]
    drop = Drop(
        iou=_points_lost(reference, own, lambda s: s.iou),
        miou=_points_lost(reference, own, lambda s: s.miou),
        boundary_f=_points_lost(reference, own, lambda s: s.boundary_f),
    )
    agreement = _mean(s.agreement_iou for s in own)
    reason = _finite_reason(reference, own)
    if not reason and gate.labelled:
        reason = _labelled_reason(_mean(s.iou for s in reference), drop.miou, gate)
    elif not reason and agreement < gate.agreement:
        reason = (
            f"IoU with the float model's masks is {agreement:.3f}, "
            f"at least {gate.agreement:.3g} is required"
        )
    ranked = _by_loss(name, scores)
    return Accuracy(
        images=len(scores),
        labelled=gate.labelled,
        iou=_mean(s.iou for s in own),
        miou=_mean(s.miou for s in own),
        boundary_f=_mean(s.boundary_f for s in own),
        mae=_mean(s.mae for s in own),
        agreement_iou=agreement,
        drop=drop,
        worst=ranked[:WORST_IMAGES],
        passed=not reason,
        reason=reason,
        median=_middle(ranked),
    )


def _finite_reason(reference: Sequence[MaskScore], own: Sequence[MaskScore]) -> str:
    for whose, scores in (("the float model", reference), ("this variant", own)):
        broken = sum(not score.finite for score in scores)
        if broken:
            return f"masks of {whose} hold NaN or infinity on {broken} of {len(scores)} images"
    return ""


def _labelled_reason(float_iou: float, drop: float, gate: _Gate) -> str:
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


def _points_lost(
    reference: Sequence[MaskScore], own: Sequence[MaskScore], value: Callable[[MaskScore], float]
) -> float:
    return 100 * (_mean(map(value, reference)) - _mean(map(value, own)))


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)

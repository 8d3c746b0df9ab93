"""The accuracy gate: what each variant loses against the float model, image by image."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from portrait_tflite.convert.network_inputs import pictures_of
from portrait_tflite.errors import UsageError
from portrait_tflite.quantize.accuracy.flicker import FlickerMeter
from portrait_tflite.quantize.accuracy.predictors import Predictor
from portrait_tflite.quantize.accuracy.scoring import (
    Prepared,
    SampleScores,
    prepare_sample,
    score_sample,
)
from portrait_tflite.quantize.accuracy.summary import (
    MIN_AGREEMENT_IOU,
    MIN_FLOAT_IOU,
    Gate,
    mean,
    needed_agreement,
    summarize,
)
from portrait_tflite.quantize.accuracy.validation import Sample
from portrait_tflite.vocabulary import (
    Accuracy,
    ModelSpec,
)

_REFERENCE = ""  # the float model among the masks of a frame; no variant is called so

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
    samples: Collection[Sample],
    max_drop: float,
    on_image: Callable[[int, int], None] | None = None,
    diagnose: Callable[[], str] | None = None,
    same_net: str | None = None,
    video: bool = False,
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
            that agrees by less than `MIN_AGREEMENT_IOU`, the others need to agree as well only, as
            far as these pictures can tell.
        video: Whether the samples are frames of one video, and the predictors take them so.

    Raises:
        UsageError: No picture can be decoded, or a label does not fit its picture.
    """
    meter = FlickerMeter(spec) if video else None
    scores = list(_score_all(reference, variants, spec, samples, on_image, meter))
    if not scores:
        raise UsageError(
            f"validation pictures that can be decoded are required. "
            f"Received: {len(samples)} files, none of them readable."
        )
    labelled = all(score.labelled for score in scores)
    float_scores = [score.float_score for score in scores]
    cause = ""
    if labelled and mean(s.iou for s in float_scores) < MIN_FLOAT_IOU and diagnose:
        cause = diagnose()
    gate = Gate(labelled, max_drop, MIN_AGREEMENT_IOU, cause)
    gates = dict.fromkeys(variants, gate)
    if same_net is not None:
        gates = {
            name: replace(gate, agreement=needed_agreement(scores, name, same_net))
            for name in variants
        }
    return {
        name: replace(
            summarize(name, scores, gates[name]),
            flicker=meter.flicker(_REFERENCE, name) if meter else None,
        )
        for name in variants
    }


def _score_all(
    reference: Predictor,
    variants: Mapping[str, Predictor],
    spec: ModelSpec,
    samples: Collection[Sample],
    on_image: Callable[[int, int], None] | None,
    meter: FlickerMeter | None,
) -> Iterator[SampleScores]:
    pool = ThreadPoolExecutor(_WORKERS)
    scoring: deque[Future[SampleScores]] = deque()
    try:
        prepared = _map_ahead(pool, partial(prepare_sample, spec=spec), samples)
        for done, sample in enumerate(prepared, start=1):
            if sample is not None:
                scoring.append(_run_and_score(pool, sample, reference, variants, spec, meter))
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
    meter: FlickerMeter | None,
) -> Future[SampleScores]:
    float_mask = reference(sample.input)
    masks = {
        name: float_mask if predict is reference else predict(sample.input)
        for name, predict in variants.items()
    }
    if meter:
        meter.add(pictures_of(sample.input), {_REFERENCE: float_mask, **masks})
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

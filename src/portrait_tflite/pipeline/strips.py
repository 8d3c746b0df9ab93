"""The pictures of `report.html`: where the main variant loses most, and where as much as usual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import cv2
import numpy as np

from portrait_tflite.convert.network_inputs import beside
from portrait_tflite.images import Bytes, Floats, prepare, read_image, restore_mask
from portrait_tflite.pipeline.network import Network
from portrait_tflite.quantize.accuracy.predictors import Predictor
from portrait_tflite.quantize.accuracy.remembering import tflite_predictor
from portrait_tflite.quantize.accuracy.validation import Sample
from portrait_tflite.report.roles import main_variant
from portrait_tflite.report.strips import LONG_SIDE, Strip
from portrait_tflite.vocabulary import Accuracy, ImageScore, ModelSpec, Variant

_WORST = 4
_MEDIAN = 2

Kind = Literal["worst", "median"]


def make_strips(
    network: Network, samples: Sequence[Sample], variants: Mapping[str, Variant]
) -> list[Strip]:
    """Run the reference and the main variant again on a few of the scored pictures.

    Args:
        samples: What was scored; their pictures are read again.
        variants: With their accuracy, which names the pictures.
    """
    name = main_variant(network.files)
    accuracy = variants[name].accuracy if name else None
    if name is None or accuracy is None:
        return []
    reference = tflite_predictor(network.reference, network.spec, network.scored_with)
    candidate = network.predictor(name)
    by_name = {sample.name: sample for sample in samples}
    strips = (
        _strip(by_name[score.image], score, kind, name, (reference, candidate), network.spec)
        for score, kind in _chosen(accuracy)
    )
    return [strip for strip in strips if strip is not None]


def _chosen(accuracy: Accuracy) -> Iterator[tuple[ImageScore, Kind]]:
    worst = accuracy.worst[:_WORST]
    yield from ((score, "worst") for score in worst)
    # Of few pictures the median ones are among the worst.
    medians = [score for score in accuracy.median if score not in worst]
    yield from ((score, "median") for score in medians[:_MEDIAN])


def _strip(
    sample: Sample,
    score: ImageScore,
    kind: Kind,
    variant: str,
    predictors: tuple[Predictor, Predictor],
    spec: ModelSpec,
) -> Strip | None:
    """Return one strip; None where the picture is gone since it was scored."""
    image = read_image(sample.image)
    if image is None:
        return None
    inputs = beside(prepare(image, spec), sample.others)
    picture = _small(image)
    before, after = (_mask(predict(inputs), picture, spec) for predict in predictors)
    return Strip(score.image, kind, variant, picture, before, after, score.iou_float, score.iou)


def _mask(mask: Floats, picture: Bytes, spec: ModelSpec) -> Floats:
    # As in scoring, what is no number is no person.
    finite = np.nan_to_num(mask, nan=0.0, posinf=0.0, neginf=0.0)
    return restore_mask(finite, picture.shape[0], picture.shape[1], spec)


def _small(image: Bytes) -> Bytes:
    height, width = image.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

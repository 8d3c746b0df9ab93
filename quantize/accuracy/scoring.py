"""Scores of masks on one image, as `report.json` defines them.

IoU, mIoU and the fine boundary F are taken at the picture's own resolution; boundary F, the
differences of soft masks and the agreement with the float model at the network's, without the bars
of a letterbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait_tflite.convert.network_inputs import Fed, beside
from portrait_tflite.images import Floats, placement, prepare, restore_mask
from portrait_tflite.metrics import boundary_f, boundary_f_fine, mae, overlap, threshold
from portrait_tflite.quantize.accuracy.validation import Sample, read_sample
from portrait_tflite.vocabulary import ModelSpec

Binary = NDArray[np.bool_]


@dataclass(frozen=True)
class Prepared:
    """A sample ready for the network.

    Attributes:
        name: The sample's name.
        input: What the network is fed, `[1, h, w, c]`, with what else it takes.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
        label: The person at the picture's resolution `[height, width]`, or None.
        label_at_net: The label as it is, soft where it is, at the network's resolution, without
            letterbox bars.
    """

    name: str
    input: Floats | Fed
    height: int
    width: int
    label: Binary | None
    label_at_net: Floats | None


@dataclass(frozen=True)
class MaskScore:
    """One mask's score on one image; against the float model's mask where there is no label.

    Attributes:
        boundary_f: Within 2 px at the network's resolution.
        boundary_f_fine: Within 0.5 % of the diagonal at the picture's own.
        mae: Mean absolute difference to the float model's soft mask.
        sad: Sum of the same, in thousands of pixels.
        label_mae: Mean absolute difference to the label; None without.
        label_sad: Sum of the same, in thousands of pixels.
        agreement_iou: IoU with the float model's mask.
        foreground: Share of the picture that is person.
        finite: Whether the mask is free of NaN and infinity; such values are scored as 0.
    """

    iou: float
    miou: float
    boundary_f: float
    boundary_f_fine: float
    mae: float
    sad: float
    label_mae: float | None
    label_sad: float | None
    agreement_iou: float
    foreground: float
    finite: bool


@dataclass(frozen=True)
class SampleScores:
    """All masks' scores on one image; `labelled` says against what."""

    name: str
    labelled: bool
    float_score: MaskScore
    variants: dict[str, MaskScore]


def prepare_sample(sample: Sample, spec: ModelSpec) -> Prepared | None:
    """Decode a sample and prepare it for the network; None where its picture is none.

    Raises:
        UsageError: The label cannot be read or is not of its picture's size.
    """
    decoded = read_sample(sample)
    if decoded is None:
        return None
    height, width = decoded.image.shape[:2]
    label, label_at_net = decoded.label, None
    if label is not None:
        label_at_net = fit_label(label, spec)
    return Prepared(
        sample.name,
        beside(prepare(decoded.image, spec), sample.others),
        height,
        width,
        None if label is None else threshold(label),
        label_at_net,
    )


def score_sample(
    sample: Prepared, float_mask: Floats, masks: Mapping[str, Floats], spec: ModelSpec
) -> SampleScores:
    """Score the float model's mask and every variant's, each `[mask_h, mask_w]`, on one image."""
    cleaned = _finite(float_mask)
    reference = _Reference(
        fit_mask(cleaned, sample.height, sample.width, spec),
        sample.label if sample.label is not None else _restored(cleaned, sample, spec),
    )
    float_score = _score(float_mask, sample, reference, spec)
    scores = {
        # The float model may be one of the variants.
        name: float_score if mask is float_mask else _score(mask, sample, reference, spec)
        for name, mask in masks.items()
    }
    return SampleScores(sample.name, sample.label is not None, float_score, scores)


def fit_label(label: Floats, spec: ModelSpec) -> Floats:
    """Bring a label `[h, w]` to the network's resolution, without letterbox bars."""
    at = placement(label.shape[0], label.shape[1], spec)
    region = label[at.top : at.bottom, at.left : at.right]
    shrinks = region.shape[0] > at.inner_height or region.shape[1] > at.inner_width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return _resized(region, at.inner_height, at.inner_width, how)


def fit_mask(mask: Floats, height: int, width: int, spec: ModelSpec) -> Floats:
    """Bring a mask of the network for a picture `height × width` to what `fit_label` returns."""
    at = placement(height, width, spec)
    mask = _resized(mask, spec.height, spec.width, cv2.INTER_LINEAR)
    return mask[
        at.inner_top : at.inner_top + at.inner_height,
        at.inner_left : at.inner_left + at.inner_width,
    ]


@dataclass(frozen=True)
class _Reference:
    """What a mask is held against.

    Attributes:
        soft: The float model's mask at the network's resolution.
        truth: The label, or where there is none the float model's mask, at the picture's own.
    """

    soft: Floats
    truth: Binary


def _score(mask: Floats, sample: Prepared, reference: _Reference, spec: ModelSpec) -> MaskScore:
    cleaned = _finite(mask)
    at_net = fit_mask(cleaned, sample.height, sample.width, spec)
    binary, reference_binary = threshold(at_net), threshold(reference.soft)
    agreement = overlap(binary, reference_binary)
    restored = _restored(cleaned, sample, spec)
    label = sample.label_at_net
    overlapped = agreement if label is None else overlap(restored, reference.truth)
    difference = mae(at_net, reference.soft)
    from_label = None if label is None else mae(at_net, label)
    thousands = at_net.size / 1000
    return MaskScore(
        iou=overlapped.iou,
        miou=overlapped.mean_iou,
        boundary_f=boundary_f(binary, reference_binary if label is None else threshold(label)),
        boundary_f_fine=boundary_f_fine(restored, reference.truth),
        mae=difference,
        sad=difference * thousands,
        label_mae=from_label,
        label_sad=None if from_label is None else from_label * thousands,
        agreement_iou=agreement.iou,
        foreground=float(np.mean(binary)),
        finite=cleaned is mask,
    )


def _restored(mask: Floats, sample: Prepared, spec: ModelSpec) -> Binary:
    return threshold(restore_mask(mask, sample.height, sample.width, spec))


def _finite(mask: Floats) -> Floats:
    """Return the mask with 0 for NaN and infinity; itself where it has none."""
    known = np.isfinite(mask)
    return mask if known.all() else np.where(known, mask, np.float32(0))


def _resized(mask: Floats, height: int, width: int, how: int) -> Floats:
    if mask.shape == (height, width):
        return mask
    return cv2.resize(mask, (width, height), interpolation=how).astype(np.float32)

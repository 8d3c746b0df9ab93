"""Why a float model scores badly on labelled pictures: other readings of it, tried in turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from portrait_tflite.images import Bytes, Floats, prepare
from portrait_tflite.metrics import iou, threshold
from portrait_tflite.quantize.accuracy.predictors import Outputs, apply_activation
from portrait_tflite.quantize.accuracy.scoring import fit_label, fit_mask
from portrait_tflite.quantize.accuracy.validation import Sample, read_sample
from portrait_tflite.vocabulary import Activation, Channels, ModelSpec, OutputSpec

_IMAGES = 16
_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
# A network with more channels than the classes of any usual data set gives features, no masks.
_MAX_CHANNELS = 256
_GOOD_IOU = 0.5


@dataclass(frozen=True)
class _Reading:
    """One way to feed the network and to read its mask."""

    spec: ModelSpec
    output: OutputSpec
    inverted: bool


def diagnose_low_iou(outputs_of: Outputs, spec: ModelSpec, samples: Iterable[Sample]) -> str:
    """Say which input range, channel order and output would score best.

    Args:
        outputs_of: Runs the float model, and gives all of its outputs before any activation that
            the spec appends; or its one output, if it was reduced to that.
        spec: What scored badly.
        samples: Labelled ones, of which the first 16 that decode are used.

    Returns:
        One sentence without a full stop: the options to give, or that nothing helps.
    """
    pairs = _pairs(samples)
    labels = [threshold(fit_label(label, spec)) for _, label in pairs]
    scores: dict[_Reading, float] = {}
    for fed in _feeds(spec):
        runs = [outputs_of(prepare(image, fed)) for image, _ in pairs]
        for reading, masks in _readings(runs, fed):
            at_net = [
                fit_mask(mask, image.shape[0], image.shape[1], spec)
                for mask, (image, _) in zip(masks, pairs, strict=True)
            ]
            scores[reading] = float(
                np.mean([iou(*pair) for pair in zip(at_net, labels, strict=True)])
            )
    if not scores:
        return "none of its outputs is a mask; check the model"
    # An inverted mask is the last thing to think of; else the first of equals, nearest to the spec.
    best = max(scores, key=lambda reading: (round(scores[reading], 2), not reading.inverted))
    best_iou = scores[best]
    if best_iou < _GOOD_IOU:
        return (
            f"no other input range, channel order or output gets over {best_iou:.2f}; "
            "check weights and labels"
        )
    return f"best would be {_advice(best, spec)} (IoU {best_iou:.2f} on {len(pairs)} images)"


def _pairs(samples: Iterable[Sample]) -> list[tuple[Bytes, Floats]]:
    pairs: list[tuple[Bytes, Floats]] = []
    for sample in samples:
        decoded = read_sample(sample)
        if decoded is not None and decoded.label is not None:
            pairs.append((decoded.image, decoded.label))
        if len(pairs) == _IMAGES:
            break
    return pairs


def _feeds(spec: ModelSpec) -> list[ModelSpec]:
    """List the spec itself, then every other range and channel order, mean and std left out."""
    orders = [spec.channels]
    if spec.channels is not Channels.GRAY:
        orders = [Channels.RGB, Channels.BGR]
    others = [
        replace(spec, input_range=limits, channels=order, mean=(), std=())
        for limits in _RANGES
        for order in orders
    ]
    swapped = [replace(spec, channels=order) for order in orders]
    return list(dict.fromkeys([spec, *swapped, *others]))


def _readings(
    runs: Sequence[Sequence[Floats]], fed: ModelSpec
) -> Iterator[tuple[_Reading, list[Floats]]]:
    """Yield each reading with its mask per image, the spec's own first, inverted ones last.

    Args:
        runs: Per image all outputs of the network.
    """
    found: list[tuple[_Reading, list[Floats]]] = []
    for index, outputs in enumerate(zip(*runs, strict=True)):
        values = np.concatenate([o[..., None] if o.ndim == 3 else o for o in outputs])
        if values.ndim != 4 or values.shape[-1] > _MAX_CHANNELS or min(values.shape[1:3]) < 2:
            continue
        activation = _missing_activation(values)
        values = apply_activation(values, activation)
        named = fed.output.index if len(runs[0]) == 1 else index
        for channel in range(values.shape[-1]):
            chosen = OutputSpec(named, channel, activation)
            found.append((_Reading(fed, chosen, inverted=False), list(values[..., channel])))
    own = (fed.output.index, fed.output.channel)
    found.sort(key=lambda pair: (pair[0].output.index, pair[0].output.channel) != own)
    yield from found
    for reading, masks in found:
        yield replace(reading, inverted=True), [1 - mask for mask in masks]


def _missing_activation(values: Floats) -> Activation:
    if values.min() >= -1e-3 and values.max() <= 1 + 1e-3:
        return Activation.NONE
    return Activation.SIGMOID if values.shape[-1] == 1 else Activation.SOFTMAX


def _advice(best: _Reading, spec: ModelSpec) -> str:
    """Write the options that lead from the spec to the best reading."""
    fed, parts = best.spec, []
    if (fed.input_range, fed.mean, fed.std) != (spec.input_range, spec.mean, spec.std):
        parts.append(f"--input-range {fed.input_range[0]:g},{fed.input_range[1]:g}")
        parts += ["without --mean and --std"] if spec.mean or spec.std else []
    if fed.channels is not spec.channels:
        parts.append(f"--channels {fed.channels}")
    if best.output.index != spec.output.index:
        parts.append(f"--output {best.output.index}")
    if best.output.channel != spec.output.channel:
        parts.append(f"--output-channel {best.output.channel}")
    if best.output.activation not in (spec.output.activation, Activation.NONE):
        parts.append(f"--activation {best.output.activation}")
    if best.inverted:
        parts.append("the mask inverted (this output is the background)")
    return " ".join(parts) or "what was given"

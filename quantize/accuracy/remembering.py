"""Masks of networks that are fed with their last one, as they are scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from portrait_tflite.convert.network_inputs import Fed
from portrait_tflite.images import Floats
from portrait_tflite.quantize.accuracy.predictors import (
    Outputs,
    Predictor,
    mask_predictor,
    select_mask,
    tflite_outputs,
)
from portrait_tflite.vocabulary import Delegate, ModelSpec


def next_state(outputs: Sequence[Floats], spec: ModelSpec) -> Floats:
    """Return what the next picture is fed with `[h, w]`, of the outputs for this one."""
    assert spec.state is not None
    if spec.state.from_output == spec.output.index:
        return select_mask(outputs, spec.output)
    return outputs[spec.state.from_output][0, ..., 0]


def picture_predictor(outputs_of: Outputs, spec: ModelSpec) -> Predictor:
    """Return the mask that a network is scored by on single pictures.

    One that remembers is shown every picture twice, as the first two frames of a video, and its
    second mask counts: it shows what became of the state, by the network's own doing, too.
    """
    if spec.state is None:
        return mask_predictor(outputs_of, spec)

    def second(inputs: Floats | Fed) -> Floats:
        last = next_state(outputs_of(inputs), spec)
        return select_mask(outputs_of(inputs, last), spec.output)

    return second


def video_predictor(outputs_of: Outputs, spec: ModelSpec) -> Predictor:
    """Return the mask of each next frame of one video, fed with what is remembered of the last."""
    if spec.state is None:
        return mask_predictor(outputs_of, spec)
    last: Floats | None = None

    def following(inputs: Floats | Fed) -> Floats:
        nonlocal last
        outputs = outputs_of(inputs, last)
        last = next_state(outputs, spec)
        return select_mask(outputs, spec.output)

    return following


def tflite_predictor(
    model: Path | bytes, spec: ModelSpec, delegate: Delegate = Delegate.XNNPACK, threads: int = 1
) -> Predictor:
    """Return the mask that a `.tflite` is scored by on single pictures."""
    return picture_predictor(tflite_outputs(model, delegate, threads, spec), spec)

"""What is said where a float model scores badly: each cause is built and must be named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from portrait_tflite.quantize.accuracy.diagnosis import diagnose_low_iou
from portrait_tflite.quantize.accuracy.validation import load_validation
from portrait_tflite.vocabulary import Channels, ModelSpec, OutputSpec

Build = Callable[..., Path]
Floats = NDArray[np.float32]

SPEC = ModelSpec(height=24, width=32)


def sees_red(low: float, high: float, channel: int = 0) -> Callable[[Floats], Sequence[Floats]]:
    """A net trained on a range: right where red is at its top and blue at its bottom."""

    def outputs(inputs: Floats) -> Sequence[Floats]:
        high_red = np.abs(inputs[..., channel] - high) < 0.1
        low_blue = np.abs(inputs[..., 2 - channel] - low) < 0.1
        return [(high_red & low_blue).astype(np.float32)[..., None]]

    return outputs


@pytest.mark.parametrize(
    ("limits", "advice"), [((-1, 1), "--input-range -1,1"), ((0, 255), "--input-range 0,255")]
)
def test_names_the_input_range(red_folder: Build, limits: tuple[float, float], advice: str) -> None:
    sentence = diagnose_low_iou(sees_red(*limits), SPEC, load_validation(red_folder(3)))
    assert sentence == f"best would be {advice} (IoU 1.00 on 3 images)"


def test_names_the_channel_order(red_folder: Build) -> None:
    sentence = diagnose_low_iou(sees_red(0, 1, channel=2), SPEC, load_validation(red_folder(3)))
    assert "best would be --channels bgr (" in sentence


def test_names_range_and_order_together_and_drops_mean(red_folder: Build) -> None:
    spec = ModelSpec(height=24, width=32, mean=(0.5,), std=(0.25,), channels=Channels.BGR)
    sentence = diagnose_low_iou(sees_red(0, 255), spec, load_validation(red_folder(2)))
    assert "--input-range 0,255 without --mean and --std --channels rgb (" in sentence


def test_names_the_output_and_its_channel(red_folder: Build) -> None:
    def outputs(inputs: Floats) -> Sequence[Floats]:
        nothing = np.zeros_like(inputs[..., :1])
        return [nothing, np.concatenate([nothing, inputs[..., :1]], axis=-1)]

    sentence = diagnose_low_iou(outputs, SPEC, load_validation(red_folder(2)))
    assert "best would be --output 1 --output-channel 1 (" in sentence


def test_a_single_output_keeps_its_number_in_the_file(red_folder: Build) -> None:
    spec = ModelSpec(height=24, width=32, output=OutputSpec(index=2))
    sentence = diagnose_low_iou(sees_red(-1, 1), spec, load_validation(red_folder(2)))
    assert "--output" not in sentence


def test_says_that_the_mask_is_inverted(red_folder: Build) -> None:
    def background(inputs: Floats) -> Sequence[Floats]:
        return [(inputs < 0.2).astype(np.float32)]  # red is brighter than blue

    spec = ModelSpec(height=24, width=32, channels=Channels.GRAY)
    sentence = diagnose_low_iou(background, spec, load_validation(red_folder(2)))
    assert "mask inverted" in sentence


@pytest.mark.parametrize(("channels", "activation"), [(1, "sigmoid"), (2, "softmax")])
def test_says_that_logits_lack_their_activation(
    red_folder: Build, channels: int, activation: str
) -> None:
    def logits(inputs: Floats) -> Sequence[Floats]:
        person = (inputs[..., :1] - 0.5) * 0.9 - 0.1
        return [np.concatenate([-person, person], -1)[..., -channels:]]

    spec = ModelSpec(height=24, width=32, output=OutputSpec(channel=channels - 1))
    sentence = diagnose_low_iou(logits, spec, load_validation(red_folder(2)))
    assert f"--activation {activation}" in sentence


def test_says_that_nothing_helps(red_folder: Build) -> None:
    def noise(inputs: Floats) -> Sequence[Floats]:
        rng = np.random.default_rng(0)
        return [(rng.random((1, 24, 32, 1)) < 0.3).astype(np.float32)]

    sentence = diagnose_low_iou(noise, SPEC, load_validation(red_folder(2)))
    assert "check weights and labels" in sentence


def test_says_that_no_output_is_a_mask(red_folder: Build) -> None:
    def classes(inputs: Floats) -> Sequence[Floats]:
        return [np.zeros((1, 10), np.float32)]

    sentence = diagnose_low_iou(classes, SPEC, load_validation(red_folder(2)))
    assert "none of its outputs is a mask" in sentence

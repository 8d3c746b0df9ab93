"""Networks that are fed with their last mask: what is scored shows what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from portrait_tflite.images import Floats
from portrait_tflite.quantize.accuracy.predictors import Outputs
from portrait_tflite.quantize.accuracy.remembering import picture_predictor, video_predictor
from portrait_tflite.quantize.accuracy.validation import load_validation, open_samples
from portrait_tflite.quantize.accuracy.verify import verify_variants
from portrait_tflite.vocabulary import Accuracy, ModelSpec, OutputSpec, StateSpec

SIZE = 16
SPEC = ModelSpec(SIZE, SIZE, output=OutputSpec(0, 1), state=StateSpec(1))


def _network(of_state: float, seen: list[Floats | None] | None = None) -> Outputs:
    """Take red for the person, less `of_state` times what is remembered; two outputs."""

    def run(inputs: Floats, last: Floats | None = None) -> Sequence[Floats]:
        if seen is not None:
            seen.append(last)
        old = np.zeros((SIZE, SIZE), np.float32) if last is None else last
        person = inputs[0, ..., 0] - np.float32(of_state) * old
        return [np.stack([1 - person, person], -1)[None], person[None, ..., None] / 2]

    return run


def _red() -> Floats:
    picture = np.zeros((1, SIZE, SIZE, 3), np.float32)
    picture[0, 4:12, 4:12, 0] = 1
    return picture


@pytest.mark.parametrize(("from_output", "fed"), [(0, 1.0), (1, 0.5)])
def test_a_picture_is_shown_twice_and_the_second_mask_counts(from_output: int, fed: float) -> None:
    seen: list[Floats | None] = []
    spec = replace(SPEC, state=StateSpec(1, from_output=from_output))
    predict = picture_predictor(_network(0.5, seen), spec)
    for _ in range(2):  # what came before is forgotten
        assert predict(_red()).max() == 1 - 0.5 * fed
    assert [last is None for last in seen] == [True, False] * 2
    assert seen[1] is not None
    assert seen[1].max() == fed


def test_each_frame_of_a_video_follows_on_the_last() -> None:
    predict = video_predictor(_network(0.5), SPEC)
    assert [float(predict(_red()).max()) for _ in range(3)] == [1, 0.5, 0.75]


@pytest.mark.parametrize("predictor", [picture_predictor, video_predictor])
def test_what_remembers_nothing_is_run_once(
    predictor: Callable[..., Callable[..., Floats]],
) -> None:
    seen: list[Floats | None] = []
    predict = predictor(_network(0, seen), replace(SPEC, state=None))
    np.testing.assert_array_equal(predict(_red()), _red()[0, ..., 0])
    assert seen == [None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), (255 * _red()[0])[..., ::-1])
    mask = (255 * _red()[0, ..., 0]).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "masks" / "a.png"), mask)
    return tmp_path


def _score(folder: Path, of_state: float) -> Accuracy:
    masks = [picture_predictor(_network(share), SPEC) for share in (0.1, of_state)]
    return verify_variants(masks[0], {"int8": masks[1]}, SPEC, load_validation(folder), 1)["int8"]


def test_a_ruined_state_trips_the_gate(folder: Path) -> None:
    assert _score(folder, 0.2).passed
    ruined = _score(folder, 0.9)
    assert not ruined.passed
    assert ruined.drop.iou == pytest.approx(100)


def test_flicker_is_measured_with_the_state_of_each(film: Callable[..., Path]) -> None:
    def lit(inputs: Floats, last: Floats | None = None) -> Sequence[Floats]:
        """Take all for the person, and nothing where everything was a frame ago."""
        return [np.full((1, SIZE, SIZE, 1), last is None or last.max() < 0.5, np.float32)]

    spec = ModelSpec(SIZE, SIZE, state=StateSpec(1))
    steady = video_predictor(lambda inputs, _=None: lit(inputs), spec)
    variants = {"int8": video_predictor(lit, spec)}
    samples = open_samples(film(5))
    flicker = verify_variants(steady, variants, spec, samples, 1, video=True)["int8"].flicker
    assert flicker is not None
    assert (flicker.pairs, flicker.float_model, flicker.variant) == (4, 0, 1)

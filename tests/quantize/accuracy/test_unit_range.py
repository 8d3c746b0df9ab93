"""Masks of finished files that are no probabilities: what is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from portrait_tflite.errors import UsageError
from portrait_tflite.images import Floats
from portrait_tflite.quantize.accuracy.unit_range import require_probability
from portrait_tflite.vocabulary import ModelSpec

SPEC = ModelSpec(16, 16)


def _judge(low: float, high: float, *, whole: bool = False) -> None:
    values = np.random.default_rng(0).uniform(low, high, (1, 16, 16, 1)).astype(np.float32)
    values[0, 0, :2, 0] = low, high
    mask: Floats = np.round(values) if whole else values
    require_probability(lambda *_: [mask], SPEC, "net.tflite")


def test_probabilities_pass_with_what_rounding_adds() -> None:
    _judge(-0.004, 1.004)
    _judge(0, 1, whole=True)


@pytest.mark.parametrize(("low", "high", "tanh"), [(-7, 9, False), (-1, 1, True)])
def test_logits_need_an_activation(low: float, high: float, tanh: bool) -> None:
    with pytest.raises(UsageError, match="--activation sigmoid or softmax is required") as said:
        _judge(low, high)
    assert ("A tanh is brought" in str(said.value)) is tanh


def test_numbers_of_classes_need_the_class() -> None:
    with pytest.raises(UsageError, match="from 0 to 20 .* are numbers of classes: --output-ch"):
        _judge(0, 20, whole=True)

"""The order of the remedies, and choosing among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from portrait_tflite.images import Floats
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.remedies.order import remedies_for
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated
from portrait_tflite.quantize.remedies.remembered import remembered
from portrait_tflite.quantize.remedies.selective_float import SelectiveFloat
from portrait_tflite.vocabulary import OutputSpec, RemedyName


@dataclass(frozen=True)
class _FineTuning:
    """Named as the remedy that is made elsewhere."""

    name: str = "finetuning"

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | None:
        return None


FINETUNING = _FineTuning()


def test_every_name_has_its_remedy_in_the_order_of_the_names() -> None:
    made = remedies_for(OutputSpec(), finetuning=FINETUNING)
    assert [remedy.name for remedy in made] == list(RemedyName)
    assert [remedy.name for remedy in remedies_for(OutputSpec())] == list(RemedyName)[:-1]


def test_those_named_come_in_our_order() -> None:
    wanted = (RemedyName.ROUNDING, RemedyName.RANGES)
    made = remedies_for(OutputSpec(), wanted=wanted)
    assert [remedy.name for remedy in made] == ["ranges", "rounding"]
    assert remedies_for(OutputSpec(), wanted=()) == []
    assert remedies_for(OutputSpec(), wanted=(), finetuning=FINETUNING) == []
    wanted = (RemedyName.FINETUNING,)
    assert remedies_for(OutputSpec(), wanted=wanted, finetuning=FINETUNING) == [FINETUNING]


def test_layers_stay_in_float_until_less_is_lost_than_the_gate_allows() -> None:
    *_, usual = remedies_for(OutputSpec())
    *_, strict = remedies_for(OutputSpec(), max_drop=0.2)
    assert isinstance(usual, SelectiveFloat)
    assert isinstance(strict, SelectiveFloat)
    assert strict.enough == usual.enough / 5 < 0.2


def test_the_reference_is_run_once_for_each_picture() -> None:
    seen = []

    def predict(inputs: Floats) -> Floats:
        seen.append(inputs)
        return inputs[0, ..., 0]

    asked = remembered(predict)
    pictures = [np.full((1, 2, 2, 1), value, np.float32) for value in (1, 2, 1)]
    assert [float(asked(picture)[0, 0]) for picture in pictures] == [1, 2, 1]
    assert len(seen) == 2

"""The ladder, with remedies and judges whose effect is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.errors import ConversionError, UsageError
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.remedies.ladder import Judge, Rung, climb, loss
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated
from portrait_tflite.vocabulary import Accuracy, Drop, FloatLayer, RemedyStep

Climb = Callable[..., tuple[Rung, tuple[RemedyStep, ...]]]

GAINS = {"a": 1.0, "b": 2.0, "worse": -0.5, "even": 0.0, "afresh": 0.5, "afresh_worse": -1.0}


@dataclass(frozen=True)
class Fake:
    """Leaves its name on the network; the judge knows what each name is worth."""

    name: str

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | None:
        on_share(1.0)
        if self.name == "refused":
            raise ConversionError("the quantizer does not take it")
        if self.name == "unloadable":
            raise UsageError("a .tflite that the runtime loads is required")
        if self.name == "idle":
            return None
        afresh = self.name.startswith("afresh")
        before = frozenset() if afresh else network.in_float
        treated = replace(network, in_float=before | {self.name})
        layers = (FloatLayer("head", "why"),) if self.name == "a" else None
        return Treated(treated, f"did {self.name}", () if afresh else layers, afresh=afresh)


def _judge(max_drop: float, *, labelled: bool = True) -> Judge:
    def judge(built: Built) -> Accuracy:
        names = [name for name in read_model(built.data).description.decode().split() if name]
        lost = 5.0 - sum(GAINS[name] for name in names)
        drop = Drop(lost, lost, lost) if labelled else Drop(0.0, 0.0, 0.0)
        agreed = 1 - lost / 100
        return Accuracy(4, labelled, 0.9, 0.9, 0.9, 0.0, agreed, drop, (), lost <= max_drop)

    return judge


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def climb_with(float_net: Callable[..., bytes], shown: list[str]) -> Climb:
    def build(network: RangedNetwork) -> Built:
        model = read_model(float_net())
        model.description = " ".join(sorted(network.in_float)).encode()
        return Built(serialize(model))

    @contextmanager
    def show(name: str) -> Iterator[OnShare]:
        yield lambda share: shown.append(f"{name} {share:.0%}")

    def run(judge: Judge, *names: str) -> tuple[Rung, tuple[RemedyStep, ...]]:
        network = RangedNetwork(b"", {})
        start = Rung(network, build(network), judge(build(network)))
        return climb(start, [Fake(name) for name in names], [], build, judge, show)

    return run


def test_it_stops_at_the_first_success(climb_with: Climb, shown: list[str]) -> None:
    best, steps = climb_with(_judge(2.0), "a", "b", "worse")
    assert [(s.name, s.kept, s.passed) for s in steps] == [("a", True, False), ("b", True, True)]
    assert [s.gain for s in steps] == pytest.approx([1.0, 2.0])
    assert [s.loss for s in steps] == pytest.approx([4.0, 2.0])
    assert steps[0].detail == "did a"
    assert best.accuracy.passed
    assert best.network.in_float == {"a", "b"}
    assert shown == ["a 100%", "b 100%"]


def test_what_passes_already_is_left_alone(climb_with: Climb) -> None:
    best, steps = climb_with(_judge(9.0), "a")
    assert (steps, best.network.in_float) == ((), frozenset())


@pytest.mark.parametrize("name", ["worse", "even"])
def test_what_does_not_help_is_undone(climb_with: Climb, name: str) -> None:
    best, (undone, kept) = climb_with(_judge(0.0), name, "a")
    assert (undone.kept, kept.kept) == (False, True)
    assert undone.gain == pytest.approx(GAINS[name])
    assert undone.loss == pytest.approx(5.0 - GAINS[name])
    assert best.network.in_float == {"a"}
    assert read_model(best.built.data).description == b"a"


def test_the_best_is_returned_where_nothing_passes(climb_with: Climb) -> None:
    best, steps = climb_with(_judge(0.0), "b", "worse", "a")
    assert not best.accuracy.passed
    assert loss(best.accuracy) == pytest.approx(2.0)
    assert [s.kept for s in steps] == [True, False, True]


@pytest.mark.parametrize(
    ("name", "detail"),
    [("idle", "nothing for it"), ("refused", "does not take it"), ("unloadable", "loads")],
)
def test_a_remedy_that_cannot_is_passed_over(climb_with: Climb, name: str, detail: str) -> None:
    best, (over, kept) = climb_with(_judge(0.0), name, "a")
    assert (over.kept, over.gain, over.cost) == (False, 0.0, 0.0)
    assert detail in over.detail
    assert kept.kept
    assert best.network.in_float == {"a"}


def test_layers_in_float_stay_known_behind_other_steps(climb_with: Climb) -> None:
    best, _ = climb_with(_judge(2.0), "a", "b")
    assert [layer.layer for layer in best.float_layers] == ["head"]


def test_without_labels_agreement_counts(climb_with: Climb) -> None:
    best, (step,) = climb_with(_judge(3.0, labelled=False), "b")
    assert step.gain == pytest.approx(2.0)
    assert loss(best.accuracy) == pytest.approx(3.0)


def test_cost_is_that_of_the_files(climb_with: Climb) -> None:
    _, (step,) = climb_with(_judge(0.0), "a")
    assert step.mcycles_before == step.mcycles_after > 0
    assert step.partitions_before == step.partitions_after == 1
    assert step.minutes >= 0


def test_what_helped_before_is_applied_again_behind_what_begins_afresh(
    climb_with: Climb, shown: list[str]
) -> None:
    best, steps = climb_with(_judge(0.0), "a", "worse", "b", "afresh")
    assert [step.name for step in steps] == ["a", "worse", "b", "afresh"]
    assert steps[-1].kept
    assert steps[-1].gain == pytest.approx(0.5)
    assert steps[-1].detail == "did afresh; again behind it: a, b"
    assert best.network.in_float == {"afresh", "a", "b"}
    assert shown[-3:] == ["afresh 100%", "a 100%", "b 100%"]


def test_what_begins_afresh_and_passes_needs_nothing_behind_it(climb_with: Climb) -> None:
    best, steps = climb_with(_judge(4.5), "worse", "afresh")
    assert best.accuracy.passed
    assert best.network.in_float == {"afresh"}
    assert steps[-1].detail == "did afresh"
    assert best.float_layers == ()


def test_what_begins_afresh_and_is_worse_is_undone(climb_with: Climb) -> None:
    best, steps = climb_with(_judge(0.0), "a", "afresh_worse")
    assert not steps[-1].kept
    assert steps[-1].gain == pytest.approx(-1.0)
    assert best.network.in_float == {"a"}
    assert [layer.layer for layer in best.float_layers] == ["head"]

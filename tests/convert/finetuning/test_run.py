"""Fine-tuning from end to end: what it gains, when it stops, and that it survives a break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.convert.finetuning.run import FineTuned, fine_tune
from portrait_tflite.convert.finetuning.student import Score, Student
from portrait_tflite.errors import UsageError

OPTIONS = FineTuningOptions(rounds=3, steps=15, learning_rate=5e-3)


def _run(
    school: Any,
    folder: Path,
    options: FineTuningOptions = OPTIONS,
    on_step: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> FineTuned:
    return fine_tune(school.fitted, ["up"], school.lessons, options, folder, on_step, say=say)


def _masks(graph: Any, school: Any) -> Any:
    return np.asarray(graph(school.pictures.astype(np.float32) / 255))


def _weights(graph: Any, name: str) -> Any:
    return next(node.op for node in graph.nodes() if node.name == name).get_weights()


@pytest.fixture(scope="module")
def whole(school: Any, tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    """A run without a break."""
    return _run(school, tmp_path_factory.mktemp("whole"))


def test_it_comes_nearer_to_the_network_as_it_came(school: Any, tmp_path: Path) -> None:
    fitted, truth = _masks(school.fitted, school), _masks(school.teacher, school)
    told: list[tuple[int, int]] = []
    tuned = _run(school, tmp_path, on_step=lambda *steps: told.append(steps))
    before, after = (np.abs(m - truth).mean() for m in (fitted, _masks(tuned.graph, school)))
    assert after < 0.7 * before
    assert tuned.before + 0.2 < tuned.after <= 1
    assert tuned.rounds == 3
    assert told == [(step, 45) for step in range(1, 46)]
    # What it started from stays as it was.
    np.testing.assert_array_equal(_masks(school.fitted, school), fitted)
    np.testing.assert_array_equal(_masks(school.teacher, school), truth)


def test_the_same_seed_gives_the_same_weights(
    school: Any, whole: FineTuned, tmp_path: Path
) -> None:
    again, other = _run(school, tmp_path), _run(school, tmp_path, replace(OPTIONS, seed=1))
    np.testing.assert_array_equal(_masks(whole.graph, school), _masks(again.graph, school))
    assert np.abs(_masks(whole.graph, school) - _masks(other.graph, school)).max() > 1e-4


def test_what_stands_before_and_statistics_are_not_trained(school: Any, whole: FineTuned) -> None:
    pairs = zip(_weights(whole.graph, "down"), _weights(school.fitted, "down"), strict=True)
    for array, before in pairs:
        np.testing.assert_array_equal(array, before)
    gamma, _, mean, variance = _weights(whole.graph, "norm")
    old_gamma, _, old_mean, old_variance = _weights(school.fitted, "norm")
    np.testing.assert_array_equal(mean, old_mean)
    np.testing.assert_array_equal(variance, old_variance)
    assert np.abs(gamma - old_gamma).max() > 0
    names = [node.name for node in whole.graph.nodes()]
    assert names == [node.name for node in school.fitted.nodes()]


def test_it_stops_where_it_gets_no_better(school: Any, tmp_path: Path) -> None:
    ruinous = replace(OPTIONS, rounds=9, learning_rate=10.0, patience=2)
    said: list[str] = []
    tuned = _run(school, tmp_path, ruinous, say=said.append)
    assert tuned.rounds == len(said) == 3  # the first one, and two that are no better
    assert tuned.stopped_early
    assert tuned.after == tuned.before
    assert said[-1].startswith("fine-tuning, round 3/9: IoU with the network's own masks 0.")
    assert said[-1].endswith(f"before {tuned.before:.4f}, stopped: it gets no better")
    # The best weights are those it began with.
    np.testing.assert_array_equal(_masks(tuned.graph, school), _masks(school.fitted, school))


def test_a_good_start_does_not_stop_rounds_that_get_better(
    school: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter(Score(value, 0.0) for value in (0.9, 0.5, 0.6, 0.7, 0.95))
    monkeypatch.setattr(Student, "score", lambda *_: next(scores))
    tuned = _run(school, tmp_path, replace(OPTIONS, rounds=4, steps=1, patience=1))
    assert (tuned.rounds, tuned.stopped_early) == (4, False)
    assert (tuned.before, tuned.after) == (0.9, 0.95)


class _CutError(Exception):
    pass


def _cut(school: Any, folder: Path, step: int, options: FineTuningOptions = OPTIONS) -> None:
    def on_step(done: int, total: int) -> None:
        if done == step:
            raise _CutError

    with pytest.raises(_CutError):
        _run(school, folder, options, on_step)


@pytest.mark.parametrize("step", [1, 20])
def test_a_break_changes_nothing(school: Any, whole: FineTuned, tmp_path: Path, step: int) -> None:
    _cut(school, tmp_path, step)
    assert len(list(tmp_path.iterdir())) == (step > 15)
    told: list[int] = []
    said: list[str] = []
    resumed = _run(school, tmp_path, OPTIONS, lambda done, _: told.append(done), said.append)
    assert told[0] == step - (step - 1) % 15  # the round that was cut is made again
    behind = "fine-tuning, going on behind round 1 of 3 of an earlier run"
    assert (said[0] == behind) == (step > 15)
    assert replace(resumed, graph=whole.graph) == whole
    np.testing.assert_array_equal(_masks(resumed.graph, school), _masks(whole.graph, school))
    assert list(tmp_path.iterdir()) == []  # the checkpoint is gone when it is done


def test_every_run_has_a_checkpoint_of_its_own(school: Any, tmp_path: Path) -> None:
    short = replace(OPTIONS, steps=1)
    _cut(school, tmp_path, 2, short)
    train, held = school.lessons
    fewer = replace(train, pictures=train.pictures[1:], masks=train.masks[1:])
    others = replace(train, teacher="another"), replace(held, teacher="another")
    _cut(replace(school, lessons=(fewer, held)), tmp_path, 2, short)
    _cut(replace(school, lessons=others), tmp_path, 2, short)
    _cut(replace(school, fitted=school.teacher), tmp_path, 2, short)
    _cut(school, tmp_path, 2, replace(short, seed=1))
    assert len(list(tmp_path.iterdir())) == 5


def test_a_cache_that_cannot_be_written_is_named(school: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"needs a cache folder.*file.*PORTRAIT_TFLITE_CACHE"):
        _run(school, tmp_path / "file" / "finetuning", replace(OPTIONS, steps=1))

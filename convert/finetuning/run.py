"""Fine-tuning of an approximate graph against the masks of the network that it stands for.

No labels are needed: the teacher is the original itself.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras

from portrait_tflite.convert.finetuning.checkpoint import (
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from portrait_tflite.convert.finetuning.lessons import Lessons
from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.convert.finetuning.student import Score, Student
from portrait_tflite.convert.graph import Graph


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned graph.

    Attributes:
        graph: With the weights that agreed best on the held-out pictures.
        before: Mean IoU with the teacher's masks there as fitted, 0 to 1.
        after: The same with these weights.
        rounds: Rounds that were made.
        stopped_early: Whether the rounds got no better before all were made.
    """

    graph: Graph
    before: float
    after: float
    rounds: int
    stopped_early: bool = False


def fine_tune(
    graph: Graph,
    approximated: Collection[str],
    lessons: tuple[Lessons, Lessons],
    options: FineTuningOptions,
    folder: Path,
    on_step: Callable[[int, int], None] | None = None,
    played: Callable[[Graph], Graph] | None = None,
    say: Callable[[str], None] | None = None,
) -> FineTuned:
    """Train a copy of a graph until the rounds are over or it gets no better.

    A run that was interrupted goes on behind its last whole round when called again with the same
    arguments, and comes to the same weights.

    Args:
        graph: What to train; it stays as it is.
        approximated: Names of the layers that became other functions.
        lessons: To train on, and to score on.
        folder: Where the checkpoint is while it runs.
        on_step: Called with `(steps done, steps in all)`.
        played: Makes of the graph what is run in its place, on the same layers.
        say: Called with a line on how it stands, behind each round.

    Raises:
        UsageError: `folder` cannot be written.
    """
    train, held = lessons
    student = Student(graph, approximated, options, played)
    path = folder / f"{_key(played(graph) if played else graph, lessons, options)}.npz"
    state = read_checkpoint(path)
    if state is None:
        state = _start(student, student.score(held, options.batch_size))
    else:
        student.weights, student.optimizer_state = state.weights, state.optimizer
        _tell(say, f"going on behind round {state.rounds} of {options.rounds} of an earlier run")
    while state.rounds < options.rounds and state.stale < options.patience:
        for number, (inputs, masks) in enumerate(train.batches(options, state.rounds), start=1):
            student.learn(inputs, masks)
            if on_step:
                on_step(state.rounds * options.steps + number, options.total_steps)
        score = student.score(held, options.batch_size)
        state = _after_round(student, state, score)
        write_checkpoint(path, state)
        _tell(say, _standing(state, score, options))
    student.weights = state.best_weights
    path.unlink(missing_ok=True)
    return FineTuned(
        student.graph,
        state.before.agreement,
        state.best.agreement,
        state.rounds,
        stopped_early=state.rounds < options.rounds,
    )


def _start(student: Student, score: Score) -> Checkpoint:
    weights = student.weights
    none = Score(-math.inf, -math.inf)
    return Checkpoint(0, 0, score, none, score, weights, weights, student.optimizer_state)


def _after_round(student: Student, state: Checkpoint, score: Score) -> Checkpoint:
    weights = student.weights
    better = score > state.best
    return replace(
        state,
        rounds=state.rounds + 1,
        # Beside other rounds: fast steps throw a good start back, and slow ones make up for it.
        stale=0 if score > state.peak else state.stale + 1,
        peak=max(score, state.peak),
        best=max(score, state.best),
        weights=weights,
        best_weights=weights if better else state.best_weights,
        optimizer=student.optimizer_state,
    )


def _standing(state: Checkpoint, score: Score, options: FineTuningOptions) -> str:
    stopped = ", stopped: it gets no better" if state.stale >= options.patience else ""
    return (
        f"round {state.rounds}/{options.rounds}: IoU with the network's own masks "
        f"{score.agreement:.4f}, best {state.best.agreement:.4f}, "
        f"before {state.before.agreement:.4f}{stopped}"
    )


def _tell(say: Callable[[str], None] | None, text: str) -> None:
    if say:
        say(f"fine-tuning, {text}")


def _key(graph: Graph, lessons: tuple[Lessons, Lessons], options: FineTuningOptions) -> str:
    """Name a run: the network's form, the pictures, the teacher and the options.

    The weights it starts from are left out: they are fitted, and another time of fitting need not
    give the same last bit.
    """
    digest = hashlib.sha256(repr(sorted(asdict(options).items())).encode())
    for node in graph.nodes():
        config = node.op.get_config() if isinstance(node.op, keras.layers.Layer) else ""
        digest.update(f"{node.name} {type(node.op).__name__} {node.shapes} {config}".encode())
    for part in lessons:
        digest.update(part.teacher.encode() + part.pictures.tobytes())
    return digest.hexdigest()[:32]

"""Fine-tuning of an approximate graph against the masks of the network that it stands for.

No labels are needed: the teacher is the original itself.
"""

from __future__ import annotations

import hashlib
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
    """

    graph: Graph
    before: float
    after: float
    rounds: int


def fine_tune(
    graph: Graph,
    approximated: Collection[str],
    lessons: tuple[Lessons, Lessons],
    options: FineTuningOptions,
    folder: Path,
    on_step: Callable[[int, int], None] | None = None,
    played: Callable[[Graph], Graph] | None = None,
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
    while state.rounds < options.rounds and state.stale < options.patience:
        for number, (inputs, masks) in enumerate(train.batches(options, state.rounds), start=1):
            student.learn(inputs, masks)
            if on_step:
                on_step(state.rounds * options.steps + number, options.total_steps)
        state = _after_round(student, state, student.score(held, options.batch_size))
        write_checkpoint(path, state)
    student.weights = state.best_weights
    path.unlink(missing_ok=True)
    return FineTuned(student.graph, state.before.agreement, state.best.agreement, state.rounds)


def _start(student: Student, score: Score) -> Checkpoint:
    weights = student.weights
    return Checkpoint(0, 0, score, score, weights, weights, student.optimizer_state)


def _after_round(student: Student, state: Checkpoint, score: Score) -> Checkpoint:
    weights = student.weights
    better = score > state.best
    return replace(
        state,
        rounds=state.rounds + 1,
        stale=0 if better else state.stale + 1,
        best=max(score, state.best),
        weights=weights,
        best_weights=weights if better else state.best_weights,
        optimizer=student.optimizer_state,
    )


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

"""Training of any net of the zoo: `Model.fit` with augmentation, best checkpoint and resume."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from portrait_tflite.models.data import Pair, PortraitBatches
from portrait_tflite.models.losses import bce_dice, iou
from portrait_tflite.vocabulary import ModelSpec

BEST = "best.weights.h5"
LOG = "training.csv"


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes:
        epochs: Passes over the training pictures.
        batch_size: Pictures per step.
        learning_rate: Peak of the cosine schedule, reached after one epoch of warm-up.
        weight_decay: Of AdamW (Loshchilov and Hutter 2019).
        seed: Same seed, same batches and same initial weights.
        workers: Threads that read pictures.
    """

    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0
    workers: int = 1


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to; IoU is the mean over images at the net's resolution."""

    epoch: int
    epochs: int
    loss: float
    val_iou: float
    best_iou: float


@dataclass(frozen=True)
class TrainingResult:
    """Where the best weights lie and what they score."""

    weights: Path
    best_iou: float
    epochs: list[EpochResult] = field(default_factory=list)


def train_model(
    model: keras.Model,
    spec: ModelSpec,
    training: list[Pair],
    validation: list[Pair],
    out: Path,
    options: TrainingOptions,
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[EpochResult], None] | None = None,
) -> TrainingResult:
    """Train `model` and leave the weights that score best in `out / BEST`.

    A run that was interrupted goes on at its last finished epoch when called again with the same
    `out`.

    Args:
        model: Takes `[b, h, w, c]` of `spec`, gives `[b, h, w, 1]` probabilities.
        on_step: Called with `(steps done, steps in all)`.
        on_epoch: Called after every epoch.
    """
    out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(options.seed)
    batches = PortraitBatches(
        training, spec, options.batch_size, augment=True, seed=options.seed, workers=options.workers
    )
    held_out = PortraitBatches(validation, spec, options.batch_size, augment=False)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            _schedule(options, len(batches)), weight_decay=options.weight_decay, clipnorm=1.0
        ),
        loss=bce_dice,
        metrics=[iou],
    )
    follower = _Follower(batches, out, options.epochs, on_step, on_epoch)
    model.fit(
        batches,
        validation_data=held_out,
        epochs=options.epochs,
        shuffle=False,  # the batches shuffle themselves, reproducibly
        verbose=0,
        callbacks=[
            keras.callbacks.BackupAndRestore(str(out / "resume"), delete_checkpoint=False),
            keras.callbacks.CSVLogger(str(out / LOG), append=True),
            follower,
        ],
    )
    model.load_weights(out / BEST)
    return TrainingResult(out / BEST, follower.best, follower.results)


def _schedule(options: TrainingOptions, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    warmup = min(steps, steps * options.epochs // 10 + 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=options.learning_rate / 20,
        decay_steps=max(1, steps * options.epochs - warmup),
        warmup_target=options.learning_rate,
        warmup_steps=warmup,
    )


class _Follower(keras.callbacks.Callback):
    """Keeps the best weights, survives a restart, tells the caller how far it is."""

    def __init__(
        self,
        batches: PortraitBatches,
        out: Path,
        epochs: int,
        on_step: Callable[[int, int], None] | None,
        on_epoch: Callable[[EpochResult], None] | None,
    ) -> None:
        super().__init__()
        self._batches = batches
        self._out = out
        self._epochs = epochs
        self._on_step = on_step
        self._on_epoch = on_epoch
        self._epoch = 0
        self._score_file = out / "best_iou.txt"
        self.best = float(self._score_file.read_text()) if self._score_file.is_file() else -math.inf
        self.results: list[EpochResult] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._batches.start_epoch(epoch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._on_step:
            steps = len(self._batches)
            self._on_step(self._epoch * steps + batch + 1, self._epochs * steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        score = float(logs["val_iou"])
        if score > self.best:
            self.best = score
            self.model.save_weights(self._out / BEST)
            self._score_file.write_text(f"{score}\n")
        result = EpochResult(epoch + 1, self._epochs, float(logs["loss"]), score, self.best)
        self.results.append(result)
        if self._on_epoch:
            self._on_epoch(result)

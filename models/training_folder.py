"""The folder of a training run: whose it is, and the best weights so far in it."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from portrait_tflite.errors import UsageError
from portrait_tflite.models.data import PortraitBatches
from portrait_tflite.vocabulary import ModelSpec

NET = "net.json"
LOG = "training.csv"
BEST = "best_iou.txt"


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to; IoU is the mean over images at the net's resolution."""

    epoch: int
    epochs: int
    loss: float
    val_iou: float
    best_iou: float


def claim_folder(out: Path, model: keras.Model, spec: ModelSpec) -> None:
    """Make the run's folder, or see that the run in it is of the same net, so that it can go on."""
    net = {
        "name": model.name,
        "height": spec.height,
        "width": spec.width,
        "parameters": model.count_params(),
    }
    file = out / NET
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not file.is_file():
            file.write_text(json.dumps(net) + "\n")
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--out must be a folder that can be written. Received: {out} ({error})."
        ) from error
    if found != net:
        raise UsageError(
            f"--out must be a new folder or a run of {_described(net)}. "
            f"Received: {out}, a run of {_described(found)}."
        )


def _described(net: dict[str, Any]) -> str:
    return "{name} {height}x{width}, {parameters} parameters".format(**net)


def without_optimizer(model: keras.Model) -> keras.Model:
    """The same layers without optimizer, whose state would be saved beside the weights."""
    return keras.Model(model.inputs, model.outputs, name=model.name)


class Follower(keras.callbacks.Callback):
    """Keeps the best weights, survives a restart, tells the caller how far it is."""

    def __init__(
        self,
        batches: PortraitBatches,
        out: Path,
        name: str,
        epochs: int,
        on_step: Callable[[int, int], None] | None,
        on_epoch: Callable[[EpochResult], None] | None,
    ) -> None:
        super().__init__()
        self._batches = batches
        self._epochs = epochs
        self._on_step = on_step
        self._on_epoch = on_epoch
        self._epoch = 0
        self.weights = out / f"{name}.weights.h5"
        self._score_file = out / BEST
        self._log_file = out / LOG
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
        self._log(epoch, logs)
        if score > self.best:
            self.best = score
            without_optimizer(self.model).save_weights(self.weights)
            self._score_file.write_text(f"{score}\n")
        result = EpochResult(epoch + 1, self._epochs, float(logs["loss"]), score, self.best)
        self.results.append(result)
        if self._on_epoch:
            self._on_epoch(result)

    def _log(self, epoch: int, logs: dict[str, Any]) -> None:
        names = sorted(logs)
        new = not self._log_file.is_file()
        # Opened for each line: Keras's CSVLogger stays open where a run is interrupted.
        with self._log_file.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["epoch", *names])
            writer.writerow([epoch, *(logs[name] for name in names)])

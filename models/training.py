"""Training of any net of the zoo: `Model.fit` with augmentation, best checkpoint and resume.

Pure `keras.ops`: it runs on any Keras backend.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras

from portrait_tflite.errors import UsageError
from portrait_tflite.models.data import Pair, PortraitBatches, find_pairs
from portrait_tflite.models.losses import bce_dice, iou
from portrait_tflite.models.registry import find_net
from portrait_tflite.models.training_folder import (
    EpochResult,
    Follower,
    claim_folder,
    without_optimizer,
)
from portrait_tflite.vocabulary import ModelSpec

_HELD_OUT = 5  # every fifth portrait, where no validation folder is given


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
class TrainingResult:
    """What a run left behind: the best weights, the model with them, and what they score."""

    weights: Path
    model: Path
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
    """Train `model` and leave what scores best in `out` as NAME.weights.h5 and NAME.keras.

    A run that was interrupted goes on at its last finished epoch when called again with the same
    `out`.

    Args:
        model: Takes `[b, h, w, c]` of `spec`, gives `[b, h, w, 1]` probabilities.
        on_step: Called with `(steps done, steps in all)`.
        on_epoch: Called after every epoch.

    Raises:
        UsageError: `out` cannot be written or holds a run of another net, or a picture cannot be
            read.
    """
    claim_folder(out, model, spec)
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
    follower = Follower(batches, out, model.name, options.epochs, on_step, on_epoch)
    model.fit(
        batches,
        validation_data=held_out,
        epochs=options.epochs,
        shuffle=False,  # the batches shuffle themselves, reproducibly
        verbose=0,
        callbacks=[
            follower,  # first: an epoch that the backup counts as done must have been scored
            keras.callbacks.BackupAndRestore(str(out / "resume"), delete_checkpoint=False),
        ],
    )
    model.load_weights(follower.weights)
    model_path = out / f"{model.name}.keras"
    without_optimizer(model).save(model_path)
    return TrainingResult(follower.weights, model_path, follower.best, follower.results)


@dataclass(frozen=True)
class TrainingRun:
    """A run that is ready to start."""

    model: keras.Model
    spec: ModelSpec
    training: list[Pair]
    validation: list[Pair]
    out: Path
    options: TrainingOptions

    @property
    def training_images(self) -> int:
        return len(self.training)

    @property
    def validation_images(self) -> int:
        return len(self.validation)

    @property
    def steps(self) -> int:
        """Steps in all epochs."""
        return -(-len(self.training) // self.options.batch_size) * self.options.epochs

    def start(
        self, on_step: Callable[[int, int], None], on_epoch: Callable[[EpochResult], None]
    ) -> TrainingResult:
        """Train; see `train_model`."""
        return train_model(
            self.model,
            self.spec,
            self.training,
            self.validation,
            self.out,
            self.options,
            on_step,
            on_epoch,
        )


def train_net(
    name: str,
    folders: Sequence[Path],
    validation: Path | None,
    out: Path,
    options: TrainingOptions,
    *,
    size: tuple[int, int] | None = None,
    upsampling: str | None = None,
    initial: Path | None = None,
) -> TrainingRun:
    """Prepare the training of a net of the zoo.

    Args:
        folders: Each with images/ and masks/.
        validation: Likewise; without it every fifth portrait is held out.
        size: `(height, width)`; None for the net's own.
        upsampling: One of `blocks.UPSAMPLING`; None for the net's own.
        initial: Weights to start from.

    Raises:
        UsageError: Unknown net, unfit folders, or weights that do not fit.
    """
    net = find_net(name)
    spec = replace(net.spec, height=size[0], width=size[1]) if size else net.spec
    form = {"upsampling": upsampling} if upsampling else {}
    if form and "upsampling" not in inspect.signature(net.build).parameters:
        raise UsageError(f"{name} has one form: leave --upsampling out. Received: {upsampling!r}.")
    keras.utils.set_random_seed(options.seed)
    model = net.build_at(spec.height, spec.width, **form)
    if initial:
        load_initial(model, initial)
    pairs = [pair for folder in folders for pair in find_pairs(folder)]
    held = find_pairs(validation) if validation else pairs[::_HELD_OUT]
    held_paths = {pair.image for pair in held}
    training = [pair for pair in pairs if pair.image not in held_paths]
    if not training:
        raise UsageError(
            "portraits to train on beside those held out are required. "
            f"Received: {len(pairs)} by --data, all of them held out."
        )
    return TrainingRun(model, spec, training, held, out, options)


def load_initial(model: keras.Model, path: Path) -> None:
    """Load weights of the same net, or of the layers of a `.keras` model that match by name.

    Raises:
        UsageError: The file is missing or nothing in it fits.
    """
    if not path.is_file():
        raise UsageError(f"--initial must be a weights file or a .keras model. Received: {path}.")
    try:
        if path.suffix != ".keras":
            model.load_weights(path)
            return
        _take_shared(model, keras.models.load_model(path, compile=False), path)
    except (ValueError, OSError) as error:
        why = str(error).splitlines()[0]
        raise UsageError(f"--initial must fit {model.name}. Received: {path}: {why}") from error


def _take_shared(model: keras.Model, source: keras.Model, path: Path) -> None:
    """Take the weights of the layers that two models share by name."""
    shared = [
        layer
        for layer in model.layers
        if layer.weights and layer.name in {other.name for other in source.layers}
    ]
    if not shared:
        raise UsageError(
            f"--initial must share layer names with {model.name}. Received: {path}, with none."
        )
    for layer in shared:
        layer.set_weights(source.get_layer(layer.name).get_weights())


def _schedule(
    options: TrainingOptions, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    warmup = min(steps, steps * options.epochs // 10 + 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=options.learning_rate / 20,
        decay_steps=max(1, steps * options.epochs - warmup),
        warmup_target=options.learning_rate,
        warmup_steps=warmup,
    )

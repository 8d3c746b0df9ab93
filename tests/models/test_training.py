"""Training: it learns, goes on where it stopped, and leaves bare weights."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import h5py
import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.errors import UsageError
from portrait_tflite.images import fit_image
from portrait_tflite.models.data import PortraitBatches, _warp, find_pairs
from portrait_tflite.models.training import (
    TrainingOptions,
    TrainingResult,
    load_initial,
    train_model,
    train_net,
)
from portrait_tflite.models.training_folder import BEST, LOG
from portrait_tflite.vocabulary import Channels, Fit, ModelSpec

_SPEC = ModelSpec(height=32, width=24)


def tiny_net(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((32, 24, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", strides=2, name="down")(image)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.Conv2DTranspose(4, 3, padding="same", strides=2, activation="relu", name="up")(x)
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="mask")(x)
    return keras.Model(image, mask, name="tiny")


def train(portraits: Path, out: Path, epochs: int, seed: int = 0) -> TrainingResult:
    pairs = find_pairs(portraits)
    options = TrainingOptions(epochs, batch_size=3, learning_rate=0.02, seed=seed)
    return train_model(tiny_net(seed), _SPEC, pairs[:9], pairs[9:], out, options)


@pytest.fixture(scope="module")
def finished(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return train(portraits, tmp_path_factory.mktemp("finished") / "run", 2)


def test_two_epochs_improve_the_loss(finished: TrainingResult) -> None:
    first, second = finished.epochs
    assert second.loss < first.loss
    assert (first.epoch, second.epoch, second.epochs) == (1, 2, 2)
    assert finished.best_iou == max(first.val_iou, second.val_iou)
    assert second.best_iou == finished.best_iou


def test_the_best_weights_are_kept_without_optimizer_state(finished: TrainingResult) -> None:
    with h5py.File(finished.weights) as file:
        assert "optimizer" not in file
    model = tiny_net()
    model.load_weights(finished.weights)
    parameters = sum(np.asarray(weight).nbytes for weight in model.weights)
    assert finished.weights.stat().st_size < parameters + 40_000
    saved = keras.models.load_model(finished.model)
    assert getattr(saved, "optimizer", None) is None
    image = np.random.default_rng(0).random((1, 32, 24, 3), np.float32)
    assert np.array_equal(saved(image), model(image))


def test_the_model_can_be_converted(finished: TrainingResult) -> None:
    loaded = load_model(str(finished.model), LoadOptions(input_range=(0.0, 1.0)))
    assert (loaded.spec.height, loaded.spec.width) == (32, 24)
    assert loaded.name == "tiny"


def test_the_same_seed_gives_the_same_weights(
    finished: TrainingResult, portraits: Path, tmp_path: Path
) -> None:
    again = train(portraits, tmp_path / "again", 2)
    assert [epoch.loss for epoch in again.epochs] == [epoch.loss for epoch in finished.epochs]
    other = train(portraits, tmp_path / "other", 2, seed=1)
    assert other.epochs[0].loss != finished.epochs[0].loss


def test_resumes_at_the_last_finished_epoch(portraits: Path, tmp_path: Path) -> None:
    def stop(done: int, steps: int) -> None:
        if done == 5:  # in the middle of the second epoch, of three steps
            raise KeyboardInterrupt

    pairs = find_pairs(portraits)
    options = TrainingOptions(3, batch_size=3, learning_rate=0.02)
    with pytest.raises(KeyboardInterrupt):
        train_model(tiny_net(), _SPEC, pairs[:9], pairs[9:], tmp_path, options, stop)
    best = float((tmp_path / BEST).read_text())
    steps: list[int] = []
    result = train_model(
        tiny_net(1), _SPEC, pairs[:9], pairs[9:], tmp_path, options, lambda n, _: steps.append(n)
    )
    assert [epoch.epoch for epoch in result.epochs] == [2, 3]
    log = (tmp_path / LOG).read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["epoch", "0", "1", "2"]
    assert steps == [4, 5, 6, 7, 8, 9]
    assert result.best_iou >= best
    # Called once more there is nothing left to do, and the result stands.
    done = train_model(tiny_net(2), _SPEC, pairs[:9], pairs[9:], tmp_path, options)
    assert done.epochs == []
    assert done.best_iou == result.best_iou


def test_a_worse_epoch_does_not_replace_the_best(portraits: Path, tmp_path: Path) -> None:
    tmp_path.joinpath(BEST).write_text("2.0\n")  # better than can be
    tiny_net().save_weights(tmp_path / "tiny.weights.h5")
    before = (tmp_path / "tiny.weights.h5").read_bytes()
    result = train(portraits, tmp_path, 1)
    assert result.best_iou == 2.0
    assert (tmp_path / "tiny.weights.h5").read_bytes() == before


def test_a_folder_of_another_net_is_refused(finished: TrainingResult, portraits: Path) -> None:
    pairs = find_pairs(portraits)
    spec = ModelSpec(height=64, width=24)
    with pytest.raises(UsageError, match=r"run of tiny 64x24.* a run of tiny 32x24, \d+ param"):
        train_model(tiny_net(), spec, pairs, pairs, finished.weights.parent, TrainingOptions(1))


def test_a_folder_that_cannot_be_made(portraits: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--out must be a folder that can be written"):
        train(portraits, tmp_path / "file", 1)


def test_a_picture_that_cannot_be_read(portraits: Path, tmp_path: Path) -> None:
    pairs = find_pairs(portraits)
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    pairs[4] = type(pairs[4])(broken, pairs[4].mask)
    with pytest.raises(UsageError, match=r"readable picture .*broken\.png"):
        train_model(tiny_net(), _SPEC, pairs, pairs[:2], tmp_path / "out", TrainingOptions(1, 3))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("portriat", {}, "Did you mean 'portrait'"),
        ("portrait", {"upsampling": "subpixel"}, "leave --upsampling out"),
        ("hodzic_unet", {"upsampling": "magic", "size": (32, 32)}, "cannot be built.*'magic'"),
        ("hodzic_unet", {"size": (33, 32)}, "must be multiples of 8"),
        ("hodzic_unet", {"size": (32, 32), "initial": Path("none.h5")}, "--initial must be"),
    ],
)
def test_what_cannot_be_prepared(
    portraits: Path, tmp_path: Path, name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train_net(name, [portraits], None, tmp_path, TrainingOptions(), **options)  # type: ignore[arg-type]


def test_a_fifth_is_held_out(portraits: Path, tmp_path: Path) -> None:
    run = train_net("hodzic_unet", [portraits], None, tmp_path, TrainingOptions(2), size=(32, 32))
    assert (run.training_images, run.validation_images) == (9, 3)
    assert not {pair.image for pair in run.training} & {pair.image for pair in run.validation}
    assert run.steps == 2
    with pytest.raises(UsageError, match="Received: 12 by --data, all of them held out"):
        train_net("hodzic_unet", [portraits], portraits, tmp_path, TrainingOptions(), size=(32, 32))


def test_initial_weights_by_name(finished: TrainingResult) -> None:
    image = keras.Input((32, 24, 3))
    x = layers.Conv2D(8, 3, padding="same", strides=2, name="down")(image)
    other = keras.Model(image, layers.Conv2D(1, 3, name="elsewhere")(x), name="other")
    load_initial(other, finished.model)
    saved = keras.models.load_model(finished.model)
    kernels = (np.asarray(model.get_layer("down").kernel) for model in (other, saved))
    assert np.array_equal(*kernels)
    stranger = keras.Model(image, layers.Conv2D(1, 3, name="stranger")(image))
    with pytest.raises(UsageError, match="must share layer names"):
        load_initial(stranger, finished.model)
    wider = keras.Model(image, layers.Conv2D(9, 3, name="down")(image))
    with pytest.raises(UsageError, match="--initial must fit"):
        load_initial(wider, finished.model)


@pytest.mark.parametrize("fit", list(Fit))
def test_training_sees_what_the_phone_will_see(fit: Fit) -> None:
    picture = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (90, 60, 3), np.uint8), (9, 9), 0
    )
    spec = ModelSpec(48, 48, fit=fit)
    warped, _ = _warp(picture, np.zeros((90, 60), np.float32), np.eye(3), spec)
    difference = np.abs(warped.astype(int) - fit_image(picture, spec).astype(int))
    assert np.median(difference) <= 3
    assert difference.mean() < 4


def test_folders_that_hold_no_pairs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without images/ and masks/"):
        find_pairs(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(UsageError, match="without masks/"):
        find_pairs(tmp_path)
    (tmp_path / "masks").mkdir()
    with pytest.raises(UsageError, match="no image has a mask"):
        find_pairs(tmp_path)


def test_masks_of_any_image_format(portraits: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "images").symlink_to(portraits / "images")
    suffixes = (".png", ".bmp", ".tif")
    for number in range(6):  # the other pictures have no mask and are left out
        mask = cv2.imread(str(portraits / "masks" / f"{number:02}.png"), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        cv2.imwrite(str(tmp_path / "masks" / f"{number:02}{suffixes[number % 3]}"), mask)
    pairs = find_pairs(tmp_path)
    assert [pair.mask.suffix for pair in pairs] == [*suffixes, *suffixes]
    read, expected = (
        PortraitBatches(found, _SPEC, 6, augment=False)[0][1]
        for found in (pairs, find_pairs(portraits)[:6])
    )
    assert np.array_equal(read, expected)


@pytest.mark.parametrize("channels", list(Channels))
def test_batches(portraits: Path, channels: Channels) -> None:
    spec = ModelSpec(16, 24, channels, input_range=(-1.0, 1.0))
    batches = PortraitBatches(find_pairs(portraits), spec, 5, augment=True, seed=3)
    assert len(batches) == 3
    inputs, masks = batches[0]
    assert inputs.shape == (5, 16, 24, channels.depth)
    assert masks.shape == (5, 16, 24, 1)
    assert -1 <= inputs.min() < inputs.max() <= 1
    assert 0 <= masks.min() < masks.max() <= 1
    assert len(batches[2][0]) == 2
    again = PortraitBatches(find_pairs(portraits), spec, 5, augment=True, seed=3)
    assert np.array_equal(again[0][0], inputs)
    again.start_epoch(1)
    assert not np.array_equal(again[0][0], inputs)


def test_the_run_remembers_its_net(finished: TrainingResult) -> None:
    net = json.loads((finished.weights.parent / "net.json").read_text())
    assert net["name"] == "tiny"

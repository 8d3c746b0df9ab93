"""`portrait-tflite train` on a net small enough for a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers

from portrait_tflite.models import registry, training
from portrait_tflite.vocabulary import ModelSpec

Run = Callable[..., Any]


def _build(height: int, width: int) -> keras.Model:
    image = keras.Input((height, width, 3), name="image")
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="mask")(image)
    return keras.Model(image, mask, name="toy")


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a net of one layer to the zoo."""
    registry.all_nets()
    net = registry.Net("toy", _build, ModelSpec(16, 16), "none", multiple=1)
    monkeypatch.setitem(registry._nets, "toy", net)


@pytest.fixture
def portraits(shoot: Callable[..., Path], tmp_path: Path) -> Path:
    return shoot(tmp_path / "portraits", 10)


def test_trains_and_says_what_comes_next(run: Run, portraits: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["train", "toy", "--data", portraits, "--out", out, "--batch-size", "4"]
    said = run(*arguments, "--epochs", "2")
    assert said.code == 0, said.err
    assert "toy: 8 portraits to train on, 2 held out" in said.err
    assert "epoch 1/2: loss" in said.err
    assert "epoch 2/2: loss" in said.err
    assert "best IoU on held-out portraits: 0." in said.out
    assert f"portrait-tflite convert {out / 'toy.keras'} --input-range=0,1" in said.out
    assert (out / "toy.weights.h5").is_file()
    more = run(*arguments, "--epochs", "3")
    assert "epoch 3/3" in more.err
    assert "epoch 2/3" not in more.err


def test_json_and_nothing_else_on_stdout(run: Run, portraits: Path, tmp_path: Path) -> None:
    said = run(
        "-q", "train", "toy", "--data", portraits, "--validation", portraits / "..", "--json",
        "--out", tmp_path / "out", "--epochs", "1",
    )  # fmt: skip
    assert said.code == 2  # the folder above has no images/
    said = run(
        "-q", "train", "toy", "--data", portraits, "--json", "--out", tmp_path / "out", "--size",
        "8x24", "--epochs", "1",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.err == ""
    result = json.loads(said.out)
    assert set(result) == {"schema", "weights", "model", "best_iou", "epochs"}
    assert set(result["epochs"][0]) == {"epoch", "epochs", "loss", "val_iou", "best_iou"}
    assert keras.models.load_model(result["model"]).input_shape == (None, 8, 24, 3)


def test_an_interrupted_run_says_how_to_go_on(
    run: Run, portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training.TrainingRun, "start", interrupted)
    said = run("train", "toy", "--data", portraits, "--out", tmp_path / "out")
    assert said.code == 130
    assert "The same command goes on at the last finished epoch." in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toi"], "Did you mean 'toy'?"),
        (["toy", "--data", "nowhere"], "images/ and masks/ of the same stems is required"),
        (["toy", "--validation", "portraits"], "all of them held out"),
        (["toy", "--upsampling", "subpixel"], "toy has one form: leave --upsampling out."),
        (["toy", "--initial", "none.h5"], "--initial must be a weights file"),
        (["toy", "--initial", "portraits/images/00.png"], "--initial must fit toy"),
        (["toy", "--size", "0"], "--size must be H or HxW"),
        (["toy", "--epochs", "0"], "0 is not in the range x>=1"),
        (["toy", "--learning-rate", "0"], "0.0 is not in the range x>0"),
    ],
)
def test_bad_input(
    refuse: Callable[..., str],
    portraits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = [] if "--data" in arguments else ["--data", "portraits"]
    assert message in refuse("train", *arguments, *data)

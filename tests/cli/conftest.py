"""Small trained networks, pictures that they were trained on, and the command line to run them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

SIZE = 32


@dataclass(frozen=True)
class Said:
    """What a call came to."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Tiny:
    """A trained network in every format, and pictures to calibrate and to score on."""

    keras: Path
    h5: Path
    saved_model: Path
    calibration: Path
    validation: Path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Give the command line, in this process; what it prints is caught at the descriptors."""
    from portrait_tflite.cli.main import _run

    def call(*arguments: object) -> Said:
        capfd.readouterr()
        code = _run([str(argument) for argument in arguments], debug=False)
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def refuse(run: Callable[..., Said], tmp_path: Path) -> Callable[..., str]:
    """Give a function that runs what must be refused: a short error, and no file touched."""

    def refused(*arguments: object, code: int = 2, folder: Path = tmp_path) -> str:
        before = _contents(folder)
        said = run("-q", *arguments)
        assert said.code == code, said
        assert said.out == ""
        lines = said.err.strip().splitlines()
        assert 1 <= len(lines) <= 2, said.err
        assert lines[0].startswith("Error: ")
        assert len(said.err) < 700
        assert "Traceback" not in said.err
        assert "Error: unexpected" not in said.err
        assert _contents(folder) == before
        return said.err

    return refused


@pytest.fixture(scope="session")
def shoot() -> Callable[..., Path]:
    """Give a builder of picture folders: the person is a red rectangle on blue, in green noise."""
    return _shoot


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Train a network with all that rewriting is about: it finds the red rectangles."""
    import keras

    folder = tmp_path_factory.mktemp("tiny")
    calibration = _shoot(folder / "calibration", 12, seed=1, labelled=False)
    validation = _shoot(folder / "validation", 8, seed=2)
    keras.utils.set_random_seed(0)
    model = _tiny_net(keras)
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    images, masks = _arrays(_shoot(folder / "training", 16, seed=3))
    model.fit(images, masks, epochs=15, batch_size=4, verbose=0)
    keras_file, h5, saved_model = (folder / name for name in ("tiny.keras", "tiny.h5", "saved"))
    model.save(keras_file)
    model.save(h5)
    model.export(saved_model, verbose=False)
    return Tiny(keras_file, h5, saved_model, calibration, validation)


def _tiny_net(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), name="photo")
    stem = layers.Conv2D(16, 3, padding="same", bias_initializer="uniform", name="stem")(image)
    x = layers.Conv2D(32, 3, 2, padding="same", bias_initializer="uniform", name="down")(stem)
    y = layers.ReLU(name="before")(x)  # a ReLU of its own: what int8 is shattered by
    y = layers.SeparableConv2D(32, 3, padding="same", use_bias=False, name="separable")(y)
    y = layers.BatchNormalization(name="norm")(y)
    x = layers.Add(name="add")([x, y])
    up = {"strides": 2, "padding": "same", "activation": "relu", "bias_initializer": "uniform"}
    # Wide enough that a transposed convolution is the cheaper form on a CPU.
    x = layers.Conv2DTranspose(16, 4, name="up", **up)(x)
    x = layers.Add(name="skip")([x, stem])
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="head")(x)
    return keras.Model(image, mask, name="tiny")


def _shoot(folder: Path, count: int, *, seed: int = 0, labelled: bool = True) -> Path:
    rng = np.random.default_rng(seed)
    images = folder / "images" if labelled else folder
    images.mkdir(parents=True)
    for number in range(count):
        mask = np.zeros((SIZE, SIZE), np.uint8)
        top, left = rng.integers(2, SIZE // 2, 2)
        mask[top : top + SIZE // 2, left : left + SIZE // 2] = 255
        noise = rng.integers(0, 256, mask.shape).astype(np.uint8)
        cv2.imwrite(str(images / f"{number:02}.png"), np.dstack([255 - mask, noise, mask]))
        if labelled:
            (folder / "masks").mkdir(exist_ok=True)
            cv2.imwrite(str(folder / "masks" / f"{number:02}.png"), mask)
    return folder


def _arrays(folder: Path) -> tuple[Any, Any]:
    images = [cv2.imread(str(p))[..., ::-1] for p in sorted((folder / "images").iterdir())]
    masks = [cv2.imread(str(p), 0)[..., None] for p in sorted((folder / "masks").iterdir())]
    return np.stack(images) / np.float32(255), np.stack(masks) / np.float32(255)


def _contents(folder: Path) -> dict[str, str]:
    """Digest everything below `folder`, hidden files too."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="session")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that int8 ruins: red is the small difference of two large numbers."""
    import keras

    layers = keras.layers
    image = keras.Input((32, 32, 3))
    one, two = (layers.Conv2D(1, 1, name=name)(image) for name in ("one", "two"))
    scaled = layers.Conv2D(1, 1, activation="sigmoid", name="head")
    model = keras.Model(image, scaled(layers.Subtract(name="difference")([one, two])))
    for name, red in (("one", 1.0), ("two", 0.0)):
        kernel = np.array([[[[red], [300.0], [0.0]]]])
        model.get_layer(name).set_weights([kernel, np.array([0.7])])
    model.get_layer("head").set_weights([np.array([[[[20.0]]]]), np.array([-10.0])])
    path = tmp_path_factory.mktemp("fragile") / "fragile.keras"
    model.save(path)
    return path

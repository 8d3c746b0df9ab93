"""Models that `convert` must refuse: exit code, a line or two, nothing written, nothing run."""

from __future__ import annotations

import codecs
import json
import marshal
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

Refuse = Callable[..., str]
Make = Callable[[Path], object]


def save(path: Path, size: int | None = 16, channels: int = 3, masks: int = 1) -> Path:
    image = keras.Input((size, size, channels))
    heads = [layers.Conv2D(1, 1, activation="sigmoid", name=f"head{n}") for n in range(masks)]
    keras.Model(image, [head(image) for head in heads]).save(path)
    return path


def nothing(path: Path) -> None:
    assert not path.exists()


def truncated(path: Path) -> None:
    save(path)
    path.write_bytes(path.read_bytes()[:3000])


def escaping(path: Path) -> None:
    save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../evil.py", "raise SystemExit")


def classifier(path: Path) -> None:
    image = keras.Input((16, 16, 3))
    keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(image))).save(path)


def not_finite(path: Path) -> None:
    model = keras.models.load_model(save(path), compile=False)
    kernel = model.get_layer("head0").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    model.save(path)


def weights_only(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["layer/kernel"] = np.zeros(3)


# name of the file · what is in it · more options · what the message says
_MODELS: list[tuple[str, Make, list[str], str]] = [
    ("none.keras", nothing, [], r"none\.keras, where there is none"),
    ("text.keras", lambda path: path.write_text("no model"), [], "is no Keras file"),
    ("cut.keras", truncated, [], "truncated or damaged"),
    ("empty.keras", lambda path: path.touch(), [], r"is empty \(0 bytes\)"),
    ("escape.keras", escaping, [], r"'\.\./evil\.py' would be written outside"),
    ("weights.h5", weights_only, [], "weights only, no architecture"),
    ("any.keras", lambda path: save(path, size=None), [], "--size HxW is required"),
    ("four.keras", lambda path: save(path, channels=4), [], "with 4 channels"),
    ("gray.keras", lambda path: save(path, channels=1), ["--channels", "bgr"], "must be gray"),
    ("classes.keras", classifier, [], "a classifier or backbone is no segmentation network"),
    ("two.keras", lambda path: save(path, masks=2), ["--output", "7"], r"0 to 1 .*Received: 7"),
    ("two.keras", lambda path: save(path, masks=2), [], r"has 2 outputs .*--output N"),
    ("nan.keras", not_finite, [], "finite weights are required"),
    ("folder", lambda path: path.mkdir(), [], r"a SavedModel folder \(with saved_model\.pb\)"),
    ("none.tflite", nothing, [], r"none\.tflite"),
    ("noise.tflite", lambda path: path.write_bytes(bytes(range(256))), [], r"\.tflite"),
    ("empty.tflite", lambda path: path.touch(), [], r"\.tflite"),
    ("folder.tflite", lambda path: path.mkdir(), [], r"\.tflite"),
]


@pytest.mark.parametrize(
    ("name", "make", "options", "message"),
    _MODELS,
    ids=[" ".join([name, *options]) for name, _, options, _ in _MODELS],
)
def test_model_files(
    refuse: Refuse, tmp_path: Path, name: str, make: Make, options: list[str], message: str
) -> None:
    path = tmp_path / name
    make(path)
    said = refuse(
        "convert", path, "--input-range", "0,1", "--calibration", "synthetic",
        "--out", tmp_path / "out", *options,
    )  # fmt: skip
    assert re.search(message, said), said
    assert not (tmp_path.parent / "evil.py").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hodzic_unett", "--random-weights"], "Did you mean 'hodzic_unet'"),
        (["hodzic_unet"], "hodzic_unet has no packaged weights.*--random-weights"),
        (["hodzic_unet", "--random-weights", "--size", "50"], "cannot be built for --size 50x50"),
        (["hodzic_unet", "--random-weights", "--calibration-count", "7"], "must be 8 or more"),
    ],
)
def test_names_of_the_zoo(
    refuse: Refuse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    size = [] if "--size" in arguments else ["--size", "64"]
    assert re.search(message, refuse("convert", *arguments, *size))


def test_range_that_nobody_states(refuse: Refuse, tiny: Any, tmp_path: Path) -> None:
    said = refuse("convert", tiny.keras, "--calibration", "synthetic", "--out", tmp_path / "out")
    assert "--input-range is required" in said


def test_bytecode_is_never_run(refuse: Refuse, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "legacy.h5"
    _save_with_bytecode(path, marker)
    arguments = ["convert", path, "--input-range", "0,1", "--out", tmp_path / "out"]
    said = refuse(*arguments, "--calibration", "synthetic")
    assert "Lambda layers (halve)" in said
    assert 'LAMBDAS = {"halve": function}' in said
    assert "--custom-objects FILE.py" in said
    assert not marker.exists()


def test_the_users_function_takes_its_place(
    run: Callable[..., Any], tmp_path: Path, tiny: Any
) -> None:
    marker, path, code = tmp_path / "marker", tmp_path / "legacy.h5", tmp_path / "own.py"
    _save_with_bytecode(path, marker)
    code.write_text('LAMBDAS = {"halve": lambda x: x * 0.5}\n')
    said = run(
        "convert", path, "--int8", "--input-range", "0,1", "--custom-objects", code,
        "--calibration", tiny.calibration, "--no-benchmark", "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code in (0, 3), said.err
    assert list((tmp_path / "out").glob("legacy-int8*.tflite"))
    assert not marker.exists()


def _save_with_bytecode(path: Path, marker: Path) -> None:
    """Save a net as Keras 2 did: the Lambda holds bytecode, here one that writes `marker`."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, padding="same", bias_initializer="uniform")(image)
    x = layers.Lambda(lambda x: x * 0.5, output_shape=(32, 32, 4), name="halve")(x)
    keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x)).save(path)
    source = f"lambda x: [__import__('pathlib').Path({str(marker)!r}).touch(), x][1]"
    code = codecs.encode(marshal.dumps(eval(source).__code__), "base64").decode("ascii")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layer = next(x for x in config["config"]["layers"] if x["class_name"] == "Lambda")
        layer["config"].update(function=[code, None, None], function_type="lambda")
        file.attrs["model_config"] = json.dumps(config)

"""`convert --finetune` as the last remedy of an int8 file."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Run = Callable[..., Any]

_FACTOR = 200.0  # of two channels, whose tensor the others share


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Train a tiny network for seconds, faster than a large one that is good already."""
    from portrait_tflite.convert.finetuning.options import FineTuningOptions
    from portrait_tflite.pipeline import fine_tuning

    brief = functools.partial(FineTuningOptions, rounds=8, steps=40)
    monkeypatch.setattr(fine_tuning, "FineTuningOptions", brief)
    monkeypatch.setattr(fine_tuning, "LEARNING_RATE", 2e-3)
    monkeypatch.setenv("PORTRAIT_TFLITE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def uneven(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose small channels int8 has few steps for; in float it finds the rectangles."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    same = {"padding": "same", "bias_initializer": "uniform"}
    x = keras.Input((32, 32, 3))
    y = layers.Conv2D(8, 3, 2, activation="relu", name="first", **same)(x)
    y = layers.DepthwiseConv2D(3, name="uneven", **same)(y)
    y = layers.Conv2D(8, 1, activation="relu", name="mixed", **same)(y)
    y = layers.Conv2DTranspose(1, 2, 2, activation="sigmoid", name="mask", **same)(y)
    model = keras.Model(x, y)
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    training = tiny.keras.parent / "training"
    model.fit(*_arrays(training), epochs=30, batch_size=4, verbose=0)
    factors = np.array([1, 1, 1, 1, 1, 1, _FACTOR, _FACTOR], np.float32)
    kernel, bias = model.get_layer("uneven").get_weights()
    model.get_layer("uneven").set_weights([kernel * factors[:, None], bias * factors])
    kernel, bias = model.get_layer("mixed").get_weights()
    model.get_layer("mixed").set_weights([kernel / factors[:, None], bias])
    path = tmp_path_factory.mktemp("uneven") / "uneven.keras"
    model.save(path)
    return path


def _arrays(folder: Path) -> tuple[Any, Any]:
    images = [cv2.imread(str(p))[..., ::-1] for p in sorted((folder / "images").iterdir())]
    masks = [cv2.imread(str(p), 0)[..., None] for p in sorted((folder / "masks").iterdir())]
    return np.stack(images) / np.float32(255), np.stack(masks) / np.float32(255)


@pytest.fixture
def convert(run: Run, tiny: Any, tmp_path: Path) -> Run:
    """Give `convert` of a network to `tmp_path/NAME`, int8 alone, without timing."""

    def call(name: str, source: Path, *options: object) -> Any:
        return run(
            "convert", source, "--input-range", "0,1", "--no-benchmark", "--int8",
            "--calibration", tiny.calibration, "--validation", tiny.validation,
            "--out", tmp_path / name, "--finetune", tiny.calibration, *options,
        )  # fmt: skip

    return call


def _int8(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text("utf-8"))["variants"]["int8"]


@pytest.mark.parametrize("io", ["int8", "uint8"])
def test_it_brings_what_plain_int8_ruins_within_the_gate(
    convert: Run, uneven: Path, tmp_path: Path, io: str
) -> None:
    said = convert("out", uneven, "--remedies", "finetuning", "--io", io, "--mean", "0.1,0.2,0.3")
    assert said.code == 0, said.err
    variant = _int8(tmp_path / "out")
    (step,) = variant["remedies"]
    assert (step["name"], step["kept"], step["passed"]) == ("finetuning", True, True)
    assert step["loss"] + step["gain"] > 1.5  # what plain int8 lost
    assert step["loss"] == pytest.approx(variant["accuracy"]["drop"]["miou"])
    assert step["loss"] <= 1
    assert step["minutes"] > 0
    assert step["partitions_after"] == step["partitions_before"]
    assert step["mcycles_after"] == step["mcycles_before"] > 0
    assert "8 rounds on 11 pictures, 1 held out: IoU with float's masks" in step["detail"]
    assert "fewer than 50 pictures are learned by heart" in step["detail"]
    assert variant["input"]["dtype"] == io
    assert (tmp_path / "out" / "uneven-int8.tflite").is_file()
    assert "int8, finetuning: +" in said.out
    assert list((tmp_path / "cache").rglob("*.npz")) == []


def test_where_it_does_not_help_the_layers_to_blame_are_named(
    convert: Run, fragile: Path, tmp_path: Path
) -> None:
    said = convert("out", fragile, "--remedies", "finetuning")
    assert said.code == 3, said.err
    variant = _int8(tmp_path / "out")
    assert variant["file"] == "fragile-int8.failed.tflite"
    assert (tmp_path / "out" / "fragile-int8.failed.tflite").is_file()
    (step,) = variant["remedies"]
    assert (step["name"], step["passed"]) == ("finetuning", False)
    assert "harm most" in said.err
    written = (tmp_path / "out" / "sensitivity.csv").read_text("utf-8")
    assert f"{next(csv.DictReader(written.splitlines()))['layer']} (" in said.err


def test_what_holds_the_gate_already_is_not_fine_tuned(
    convert: Run, tiny: Any, tmp_path: Path
) -> None:
    said = convert("out", tiny.keras, "--max-drop", "5")
    assert said.code == 0, said.err
    (step,) = _int8(tmp_path / "out")["remedies"]
    assert (step["name"], step["ran"], step["kept"], step["minutes"]) == (
        "finetuning", False, False, 0.0,
    )  # fmt: skip
    assert "int8, finetuning: did not run; --finetune was not needed" in said.out
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "did not run: --finetune was not needed" in page
    assert ">undone<" not in page


def test_what_another_remedy_mends_is_not_fine_tuned(
    convert: Run, fragile: Path, tmp_path: Path
) -> None:
    said = convert("out", fragile)
    assert said.code == 0, said.err
    *before, last = _int8(tmp_path / "out")["remedies"]
    assert before[-1]["passed"]
    assert (last["name"], last["ran"]) == ("finetuning", False)
    assert not (tmp_path / "cache").exists()


def test_what_it_cannot_be_used_for_is_refused(refuse: Run, tiny: Any, tmp_path: Path) -> None:
    int8 = ("--int8", "--calibration", tiny.calibration)
    keras = ("convert", tiny.keras, "--input-range", "0,1", *int8)
    said = refuse(*keras, "--remedies", "finetuning")
    assert "--finetune DIR with unlabelled pictures is required for --remedies finetuning" in said
    said = refuse(*keras, "--remedies", "ranges", "--finetune", tiny.calibration)
    assert "or --int8 with the remedy finetuning is required. Received: none" in said
    released = tmp_path / "net.tflite"
    released.write_bytes(_float_file(tiny.keras))
    file = ("convert", released, "--input-range", "0,1", *int8)
    said = refuse(*file, "--remedies", "finetuning")
    assert "a Keras model is required for --remedies finetuning. Received: a .tflite" in said
    said = refuse(*file, "--finetune", tiny.calibration)
    assert "a Keras model is required for --finetune" in said
    saved = ("convert", tiny.saved_model, "--input-range", "0,1", *int8)
    said = refuse(*saved, "--finetune", tiny.calibration)
    assert "--finetune trains the convolutions of a Keras model. Received" in said


def _float_file(path: Path) -> bytes:
    import keras

    from portrait_tflite.convert.export import Export
    from portrait_tflite.convert.graph import trace
    from portrait_tflite.vocabulary import Precision

    return Export(trace(keras.saving.load_model(path))).float_model(Precision.FLOAT32)

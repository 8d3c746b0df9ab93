"""`convert --rewrite strided|relu6|channels8 --finetune`, from the loss to what is won back."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Run = Callable[..., Any]

_SIZE = 32
_MADE = {  # the rewrite, the layers that it takes, the form, and the kept form's name
    "strided": ("strided_pooling", ["pooled"], {"strided", "strided_wide"}, "max_pool"),
    "relu6": ("smooth_activation", ["smooth", "gate"], {"relu6"}, "silu"),
    "channels8": ("round_channels", ["odd"], {"pruned"}, "as_given"),
}


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PORTRAIT_TFLITE_CACHE", str(tmp_path / "cache"))
    _options(monkeypatch, rounds=4, steps=60, learning_rate=2e-3)


def _options(monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    from portrait_tflite.convert.finetuning.options import FineTuningOptions
    from portrait_tflite.pipeline import fine_tuning

    brief = functools.partial(FineTuningOptions, **options)
    monkeypatch.setattr(fine_tuning, "FineTuningOptions", brief)


@pytest.fixture(scope="module")
def touchy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network whose masks hang on a pooling, smooth activations and 10 channels.

    The last layer is scaled so that every mask is half person, and mostly sure of it.
    """
    import keras

    layers = keras.layers
    x = keras.Input((_SIZE, _SIZE, 3), name="photo")
    y = layers.Conv2D(8, 3, padding="same", activation="silu", name="smooth")(x)
    y = layers.Conv2D(12, 3, padding="same", activation="relu", name="pooled")(y)
    y = layers.MaxPooling2D(2, name="pool")(y)
    y = layers.Conv2D(10, 3, padding="same", activation="relu", name="odd")(y)
    y = layers.Conv2D(8, 3, padding="same", name="even")(y)
    y = layers.Activation("silu", name="gate")(y)
    y = layers.UpSampling2D(2, interpolation="bilinear", name="up")(y)
    logits = layers.Conv2D(1, 3, padding="same", name="logits")(y)
    model = keras.Model(x, layers.Activation("sigmoid", name="mask")(logits), name="touchy")
    rng = np.random.default_rng(5)
    for weight in model.weights:
        fan_in = max(1, int(np.prod(weight.shape[:-1])))
        weight.assign(rng.normal(0, (2 / fan_in) ** 0.5, weight.shape).astype(np.float32))
    values = np.asarray(keras.Model(x, logits)(_pictures(8, seed=9) / np.float32(255)))
    kernel, bias = model.get_layer("logits").get_weights()
    scale = 4 / values.std()
    model.get_layer("logits").set_weights([scale * kernel, scale * (bias - np.median(values))])
    folder = tmp_path_factory.mktemp("touchy")
    model.save(folder / "touchy.keras")
    # Forms are fitted to plain pictures: on others they are worse than they have to be.
    _write(folder / "calibration", _pictures(16, seed=7, blotches=2))
    _write(folder / "unlabelled", _pictures(60, seed=1))
    # What counts as right is what the network itself says.
    scored = _pictures(12, seed=2)
    _write(folder / "validation" / "images", scored)
    masks = np.asarray(model(scored / np.float32(255)))
    _write(folder / "validation" / "masks", (255 * (masks >= 0.5)).astype(np.uint8))
    return folder


def _pictures(count: int, seed: int, blotches: int = 8) -> Any:
    """Draw `blotches` × `blotches` colours, `[count, h, w, 3]`, no two pictures alike."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, blotches, blotches, 3))
    return np.stack([cv2.resize(one.astype(np.uint8), (_SIZE, _SIZE)) for one in colours])


def _write(folder: Path, pictures: Any) -> None:
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:02}.png"), picture[..., ::-1])


@pytest.fixture
def convert(run: Run, touchy: Path, tmp_path: Path) -> Run:
    """Give `convert --rewrite NAME` to `tmp_path/OUT`, without timing, and what its report says."""

    def call(out: str, name: str, *options: object, code: int = 0) -> tuple[Any, Any]:
        said = run(
            "convert", touchy / "touchy.keras", "--input-range", "0,1", "--no-benchmark",
            "--calibration", touchy / "calibration", "--validation", touchy / "validation",
            "--rewrite", name, "--fp32", "--max-drop", "100", "--out", tmp_path / out, *options,
        )  # fmt: skip
        assert said.code == code, said.err
        path = tmp_path / out / "report.json"
        return said, json.loads(path.read_text("utf-8")) if path.is_file() else None

    return call


def _miou(report: Any) -> float:
    return float(report["variants"]["float32"]["accuracy"]["miou"])


@pytest.mark.parametrize("name", _MADE)
def test_what_it_loses_is_told_and_won_back(
    convert: Run, touchy: Path, tmp_path: Path, name: str
) -> None:
    rewrite, layers, forms, kept = _MADE[name]
    said, before = convert("fitted", name)
    told = " ".join(said.out.split())
    records = [record for record in before["rewrites"] if not record["exact"]]
    assert [(r["rewrite"], r["layer"]) for r in records] == [(rewrite, at) for at in layers]
    for record in records:
        assert record["chosen"] in forms
        costs = {form["form"]: form["cost"] for form in record["candidates"]}
        assert costs[record["chosen"]] < costs[kept]
        assert record["max_rel_error"] > 0.01
        assert f"{record['layer']}: {record['chosen']} is another function, off by up to" in told
    count = "1 layer" if len(layers) == 1 else f"{len(layers)} layers"
    assert f"{count} became another function: fine-tune with --finetune DIR" in told
    assert "whole net before and after" in told
    page = (tmp_path / "fitted" / "report.html").read_text("utf-8")
    assert f"{', '.join(layers)}: another function than before, fitted to it; --finetune" in page

    said, after = convert("tuned", name, "--finetune", touchy / "unlabelled")
    assert (tmp_path / "tuned" / "touchy-float32.tflite").is_file()
    (record,) = after["fine_tuning"]
    assert (record["images"], record["held_out"], record["rounds"]) == (54, 6, 4)
    assert record["agreement_before"] < 0.98
    lost = [1 - record[f"agreement_{when}"] for when in ("before", "after")]
    assert lost[1] < 0.8 * lost[0]
    assert record["rewritten_before"]["max_rel_error"] > 0.05
    # On pictures that it has not seen, too.
    assert 1 - _miou(after) < 0.8 * (1 - _miou(before))
    maes = [report["variants"]["float32"]["accuracy"]["mae"] for report in (before, after)]
    assert maes[1] < 0.8 * maes[0]
    told = " ".join(said.out.split())
    agreement = f"{record['agreement_before']:.4f} → {record['agreement_after']:.4f}"
    assert f"IoU with the network's own masks {agreement}, 6 pictures held out" in told
    assert "of the largest value before fine-tuning" in told
    assert "before fine-tuning the whole net differed by" in told
    for number in (1, 2, 3, 4):
        assert f"fine-tuning, round {number}/4: IoU with the network's own masks 0." in said.err
    page = (tmp_path / "tuned" / "report.html").read_text("utf-8")
    assert agreement in page
    assert list((tmp_path / "cache").rglob("*.npz")) == []


def test_an_interrupted_run_goes_on_to_the_same_file(
    convert: Run, touchy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portrait_tflite.convert.finetuning.student import Student

    _options(monkeypatch, rounds=2, steps=6, learning_rate=5e-3)
    tune = ("--finetune", touchy / "unlabelled")
    convert("whole", "channels8", *tune)
    learn, steps = Student.learn, []

    def cut(student: Student, *arrays: Any) -> None:
        steps.append(1)
        if len(steps) == 9:  # in the second round
            raise KeyboardInterrupt
        learn(student, *arrays)

    monkeypatch.setattr(Student, "learn", cut)
    said, report = convert("resumed", "channels8", *tune, code=130)
    assert report is None
    assert "The same command goes on behind the last whole round." in said.err
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 1
    said, report = convert("resumed", "channels8", *tune)
    assert "fine-tuning, going on behind round 1 of 2 of an earlier run" in said.err
    assert len(steps) == 9 + 6
    assert report["fine_tuning"][0]["rounds"] == 2
    files = [tmp_path / out / "touchy-float32.tflite" for out in ("whole", "resumed")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_it_ends_early_where_it_gets_no_better(
    convert: Run, touchy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _options(monkeypatch, rounds=9, steps=4, learning_rate=10.0, patience=1)
    said, report = convert("out", "strided", "--finetune", touchy / "unlabelled")
    (record,) = report["fine_tuning"]
    assert record["stopped_early"]
    assert record["rounds"] < 9
    assert record["agreement_after"] == record["agreement_before"]
    ending = "the last ones no better; what was fitted agreed best, and stayed"
    assert ending in " ".join(said.out.split())
    assert "stopped: it gets no better" in said.err


@pytest.mark.parametrize(
    ("given", "fitted_to"),
    [
        (("--calibration", "calibration", "--finetune", "unlabelled"), "calibration"),
        (("--finetune", "unlabelled"), "unlabelled"),
        ((), "validation/images"),
    ],
)
def test_forms_are_fitted_to_others_than_are_scored_on(
    run: Run, touchy: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], fitted_to: str
) -> None:
    from portrait_tflite.pipeline import from_keras

    found: list[Any] = []

    def looked_at(*arguments: Any) -> None:
        found.append(arguments[3][0])
        raise KeyboardInterrupt

    monkeypatch.setattr(from_keras, "rewrite_graphs", looked_at)
    run(
        "convert", touchy / "touchy.keras", "--input-range", "0,1", "--rewrite", "strided",
        "--fp32", "--validation", touchy / "validation",
        *(touchy / word if not word.startswith("-") else word for word in given),
    )  # fmt: skip
    known = {cv2.imread(str(path))[..., ::-1].tobytes() for path in (touchy / fitted_to).iterdir()}
    pictures = np.round(found[0] * 255).astype(np.uint8)
    assert len(pictures) >= 12
    assert {picture.tobytes() for picture in pictures} <= known

"""`convert`, `verify` and `audit` of networks that are fed with their last mask."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.quantize.accuracy.predictors import run_in_real
from portrait_tflite.runtime import open_model

Run = Callable[..., Any]
SIZE = 32
KINDS = ("input", "swapped", "channel", "two")


@pytest.fixture(scope="session")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Save a network of each kind; red is the person, or what was one a picture ago."""
    folder = tmp_path_factory.mktemp("video")
    for kind in KINDS:
        _net(kind).save(folder / f"{kind}.keras")
    return {kind: folder / f"{kind}.keras" for kind in KINDS}


def _net(kind: str) -> keras.Model:
    """Build conv → ReLU → conv on colours and mask: a net that rewriting has to do with."""
    keras.utils.set_random_seed(0)
    photo = keras.Input((SIZE, SIZE, 3), name="photo")
    old = keras.Input((SIZE, SIZE, 1), name="old")
    whole = keras.Input((SIZE, SIZE, 4), name="photo_and_old")
    x = whole if kind == "channel" else layers.Concatenate(name="beside")([photo, old])
    stem = layers.Conv2D(8, 3, padding="same", bias_initializer="uniform", name="stem")
    x = layers.Add(name="skip")([stem(x), layers.Conv2D(8, 1, name="side")(x)])
    x = layers.ReLU(name="active")(layers.BatchNormalization(name="norm")(x))
    head = layers.Conv2D(1, 1, activation="sigmoid", name="head")
    outputs = [head(x)]
    if kind == "two":
        outputs.insert(0, layers.Conv2D(1, 1, activation="tanh", name="next_old")(x))
    inputs = {"channel": whole, "swapped": [old, photo]}.get(kind, [photo, old])
    model = keras.Model(inputs, outputs, name=kind)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            kernel, bias = layer.get_weights()
            kernel = 0.05 * kernel
            if layer.name in ("stem", "side"):
                # Channel 0 is red less the others, 1 is what was there a picture ago.
                kernel[kernel.shape[0] // 2, kernel.shape[1] // 2, :, 0] += [1, -0.5, -0.5, 0]
                kernel[kernel.shape[0] // 2, kernel.shape[1] // 2, :, 1] += [0, 0, 0, 1]
            else:
                kernel[0, 0, :2, 0] += [12, 2]
                bias = bias - 6
            layer.set_weights([kernel, bias])
    return model


@pytest.fixture(scope="session")
def converted(nets: dict[str, Path], tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give a function that converts a kind once and returns its folder and report."""
    from portrait_tflite.cli.main import _run

    done: dict[str, tuple[Path, Any]] = {}

    def convert(kind: str) -> tuple[Path, Any]:
        if kind not in done:
            out = tmp_path_factory.mktemp(kind) / "out"
            options = {"channel": ["--channels", "rgb"], "two": ["--output", "1"]}.get(kind, [])
            code = _run(
                ["-q", "convert", str(nets[kind]), "--input-range", "0,1", "--fp32", "--int8",
                 "--calibration", str(tiny.calibration), "--validation", str(tiny.validation),
                 "--no-benchmark", "--baseline", "--out", str(out), *options],
                debug=False,
            )  # fmt: skip
            assert code == 0, kind
            done[kind] = out, json.loads((out / "report.json").read_text("utf-8"))
        return done[kind]

    return convert


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_for_video_is_converted_and_named_so(converted: Run, kind: str) -> None:
    out, report = converted(kind)
    channel, own = (3, 0) if kind == "channel" else (None, 1)
    state = {"input": own, "channel": channel, "initial": 0.0, "from_output": int(kind == "two")}
    card = json.loads((out / "model.json").read_text("utf-8"))
    assert report["model"]["spec"]["state"] == card["spec"]["state"] == state
    checks = {check["name"]: check for check in report["calibration"]["checks"]}
    for check in ("previous masks", "stable ranges", "few values clipped"):
        assert checks[check]["passed"], checks[check]
    assert "For video:" in (out / "report.html").read_text("utf-8")
    for name in ("float32", "int8"):
        variant = report["variants"][name]
        assert variant["accuracy"]["passed"]
        assert variant["audit"]["xnnpack"]["partitions"] == 1
        assert variant["audit"]["xnnpack"]["outside"] == []
        assert variant["input"]["shape"] == [1, SIZE, SIZE, 4 if channel else 3]
        assert ("state_input" in variant) == (channel is None)
        assert ("state_output" in variant) == (kind == "two")
        assert card["variants"][name].get("state_input") == variant.get("state_input")
    assert report["rewrites"]
    assert report["rewritten"]["max_rel_error"] < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_remembers_as_the_model_does(
    converted: Run, nets: dict[str, Path], kind: str
) -> None:
    out, report = converted(kind)
    model = keras.models.load_model(nets[kind], compile=False)
    rng = np.random.default_rng(0)
    photo, old = (rng.random((1, SIZE, SIZE, n)).astype(np.float32) for n in (3, 1))
    whole = np.concatenate([photo, old], -1)
    given = {"channel": whole, "swapped": [old, photo]}.get(kind, [photo, old])
    *others, mask = keras.tree.flatten(model(given))
    expected = [mask, *others]
    frame = [whole] if kind == "channel" else [photo, old]
    empty = [np.concatenate([photo, 0 * old], -1)] if kind == "channel" else [photo, 0 * old]
    # int8 is a step or two off, of a sigmoid or tanh that is steep.
    for name, most in (("float32", 1e-5), ("int8", 0.02)):
        runner = open_model(out / report["variants"][name]["file"])
        for found, wanted in zip(run_in_real(runner, frame), expected, strict=True):
            assert float(np.abs(found - np.asarray(wanted)).mean()) < most
        # What was there a picture ago must tell: a state that goes nowhere would pass all else.
        told = run_in_real(runner, empty)[0] - np.asarray(mask)
        assert float(np.abs(told).mean()) > 0.05


def test_baselines_are_scored(converted: Run) -> None:
    for kind in KINDS:
        _, report = converted(kind)
        for name in ("naive", "naive_batch1"):
            assert name in report["variants"], report["skipped"]
            assert report["variants"][name]["accuracy"]["iou"] > 0.9


@pytest.mark.parametrize("kind", ["input", "channel", "two"])
def test_finished_files_are_verified_and_audited(
    converted: Run, nets: dict[str, Path], run: Run, tiny: Any, kind: str
) -> None:
    out, report = converted(kind)
    files = [out / report["variants"][name]["file"] for name in ("float32", "int8")]
    said = run("verify", *files, "--data", tiny.validation, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["spec"]["state"] == report["model"]["spec"]["state"]
    options = {"channel": ["--channels", "rgb"], "two": ["--output", "1"]}.get(kind, [])
    said = run("verify", nets[kind], files[1], "--data", tiny.validation, "--json", *options)
    assert said.code == 0, said.err
    assert json.loads(said.out)["accuracy"]["iou"] > 0.9
    assert run("audit", files[1]).code == 0


def test_a_ruined_state_fails_though_first_masks_are_the_same(
    nets: dict[str, Path], run: Run, tiny: Any, tmp_path: Path
) -> None:
    model = keras.models.load_model(nets["input"], compile=False)
    head = model.get_layer("head")
    kernel, bias = head.get_weights()
    kernel[0, 0, 1, 0] = -20  # what was the person once is none ever after
    head.set_weights([kernel, bias])
    model.save(tmp_path / "ruined.keras")
    data = ("--input-range", "0,1", "--data", tiny.validation, "--json")
    said = run("verify", nets["input"], tmp_path / "ruined.keras", *data)
    assert said.code == 3
    assert json.loads(said.out)["accuracy"]["drop"]["iou"] > 50


def test_flicker_of_a_video_is_measured(
    converted: Run, run: Run, film: Callable[..., Path]
) -> None:
    out, report = converted("two")
    files = [out / report["variants"][name]["file"] for name in ("float32", "int8")]
    said = run("verify", *files, "--data", film(6), "--json")
    assert json.loads(said.out)["accuracy"]["flicker"]["pairs"] == 5


def test_a_released_file_with_two_inputs_is_mended(
    converted: Run, run: Run, tiny: Any, tmp_path: Path
) -> None:
    out, report = converted("input")
    released = tmp_path / "released.tflite"
    # Of the plain conversion that has its inputs in the converter's own order, and names.
    released.write_bytes((out / report["variants"]["naive_batch1"]["file"]).read_bytes())
    said = run(
        "convert", released, "--input-range", "0,1", "--calibration", tiny.calibration,
        "--no-benchmark", "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    mended = json.loads(said.out)
    assert mended["model"]["spec"]["state"]["input"] == 1
    assert mended["rewrites"]
    assert mended["variants"]["int8"]["accuracy"]["agreement_iou"] == 1
    said = run("convert", released, "--input-range", "0,1", "--no-benchmark", "--out",
               tmp_path / "told")  # fmt: skip
    assert "takes the previous mask, 0 at first; it comes from output 0" in said.out

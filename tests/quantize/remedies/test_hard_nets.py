"""Networks that plain int8 ruins, and the step of the ladder that mends each."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.remedies.ladder import Rung, climb
from portrait_tflite.quantize.remedies.order import remedies_for
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Accuracy, Drop, OutputSpec

# Which step brings each within the gate of 1 point. What rounding leaves of `gated` is near that:
# on another machine, and by another seed, the next step may be needed.
MENDED_BY = {
    "uneven_depthwise": ("equalization",),
    "gated": ("rounding", "selective_float"),
    "unbounded": ("ranges",),
    "normalized_behind": ("selective_float",),
}
# Those that fit biases are left out for time: none of the four needs them.
STEPS = ("ranges", "equalization", "rounding", "selective_float")
_EVERY_SEED = "HARD_NETS_EVERY_SEED"
_LONG = pytest.mark.skipif(
    not os.environ.get(_EVERY_SEED), reason=f"takes a minute: set {_EVERY_SEED}=1"
)


@pytest.fixture(scope="module")
def hard() -> Any:
    path = Path(__file__).parents[1] / "hard_nets.py"
    spec = importlib.util.spec_from_file_location("hard_nets", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hard_nets"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["hard_nets"]


@contextmanager
def _silently(_: str) -> Any:
    yield lambda _: None


def _cases() -> list[Any]:
    first = [pytest.param(name, 0, STEPS, id=name) for name in MENDED_BY]
    short = [("uneven_depthwise", ("equalization",)), ("unbounded", ("ranges",))]
    others = [
        pytest.param(name, seed, steps, id=f"{name}-{seed}", marks=() if seed == 1 else _LONG)
        for name, steps in short
        for seed in (1, 2)
    ]
    long = [
        pytest.param(name, seed, STEPS, id=f"{name}-{seed}", marks=_LONG)
        for name in ("gated", "normalized_behind")
        for seed in (1, 2)
    ]
    return [*first, *others, *long]


@pytest.mark.parametrize(("name", "seed", "steps"), _cases())
def test_the_ladder_mends_what_plain_int8_ruins(
    name: str, seed: int, steps: tuple[Any, ...], hard: Any
) -> None:
    drawn = hard.draw(seed=seed)
    network = hard.build(name, drawn.frames, seed)
    exact = drawn.miou(network.data)
    assert exact > 70

    def build(tried: RangedNetwork) -> Built:
        with quiet():
            return Built(quantize_network(tried))

    def judge(built: Built) -> Accuracy:
        drop = exact - drawn.miou(built.data)
        scores = {"iou": 0.0, "miou": 0.0, "boundary_f": 0.0, "mae": 0.0, "agreement_iou": 0.0}
        return Accuracy(24, True, drop=Drop(drop, drop, 0.0), worst=(), passed=drop <= 1, **scores)

    plain = build(network)
    start = Rung(network, plain, judge(plain))
    assert start.accuracy.drop.miou >= 5
    best, made = climb(
        start, remedies_for(OutputSpec(), (), steps), drawn.frames, build, judge, _silently
    )
    assert best.accuracy.passed, made
    assert best.accuracy.drop.miou <= 1
    assert made[-1].name in MENDED_BY[name]
    assert made[-1].passed
    assert made[-1].mcycles_after <= 1.25 * made[-1].mcycles_before
    assert made[-1].partitions_after <= made[-1].partitions_before + 1
    assert bool(best.float_layers) == (made[-1].name == "selective_float")
    assert all(layer.layer and layer.reason for layer in best.float_layers)


def test_convert_mends_a_hard_network_from_end_to_end(
    hard: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from portrait_tflite.cli.main import _run

    drawn = hard.draw()
    source = tmp_path / "uneven.keras"
    hard.HARD["uneven_depthwise"](drawn.frames, 0).save(source)
    _save(tmp_path / "calibration", drawn.frames)
    _save(tmp_path / "validation" / "images", drawn.scored)
    masks = [255 * mask[None, ..., None].astype(np.uint8) for mask in drawn.masks]
    _save(tmp_path / "validation" / "masks", masks, lambda mask: mask[0])
    out = tmp_path / "out"
    command = [
        "convert", source, "--int8", "--input-range", "-1,1", "--no-benchmark", "--out", out,
        "--calibration", tmp_path / "calibration", "--validation", tmp_path / "validation",
        "--remedies", "equalization",
    ]  # fmt: skip
    code = _run([str(word) for word in command], debug=False)
    said = capfd.readouterr()
    assert code == 0, said.err
    variant = json.loads((out / "report.json").read_text("utf-8"))["variants"]["int8"]
    assert (out / "uneven-int8.tflite").is_file()
    assert variant["accuracy"]["passed"]
    assert variant["accuracy"]["labelled"]
    assert variant["accuracy"]["drop"]["miou"] <= 1
    (mended,) = variant["remedies"]
    assert mended["name"] == "equalization"
    assert mended["passed"]
    assert mended["gain"] >= 5
    assert mended["cost"] == pytest.approx(0, abs=0.05 * mended["mcycles_before"])
    assert "int8, equalization: +" in said.out


def _to_bytes(frame: Any) -> Any:
    return np.round((frame[0][0] + 1) * 127.5).astype(np.uint8)[..., ::-1]


def _save(folder: Path, pictures: Any, pixels: Callable[[Any], Any] = _to_bytes) -> None:
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:02}.png"), pixels(picture))

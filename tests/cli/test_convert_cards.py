"""The IO card of every variant, followed to the letter by another interpreter than ours.

What the card says to put in for a byte, and how it says to read the mask, is computed from its own
words; the file runs on LiteRT's interpreter, and the mask is held against the Keras network's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Run = Callable[..., Any]

_SIDE = 24
_SCORED = 4
# Probabilities that a variant's mask may be off by.
_FARTHEST = {"float32": 1e-4, "float16": 5e-3, "dynamic": 5e-3, "int16x8": 0.02, "int8": 0.04}
_LEAST_ALIKE = 0.99  # pixels that are on the same side
_VARIANTS = ("--fp32", "--fp16", "--int8", "--dynamic", "--int16x8")


@dataclass(frozen=True)
class Units:
    """What a network takes: its range, mean and std."""

    low: float
    high: float
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def of(self, unit: Floats) -> Floats:
        """Normalize colours in 0–1."""
        values = unit * (self.high - self.low) + self.low - np.array(self.mean or 0)
        return np.asarray(values / np.array(self.std or 1))

    @property
    def options(self) -> list[str]:
        given = [f"--input-range={self.low},{self.high}"]
        for name in ("mean", "std"):
            if numbers := getattr(self, name):
                given += [f"--{name}", ",".join(map(str, numbers))]
        return given


UNIT, SIGNED, BYTES = Units(0, 1), Units(-1, 1), Units(0, 255)
IMAGENET = Units(0, 1, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = Units(0, 255, (127.5,), (127.5,))

_HEADS: dict[str, tuple[int, tuple[str, ...]]] = {
    "sigmoid": (1, ()),
    "softmax": (2, ("--output-channel", "1")),
    "logit": (1, ("--activation", "sigmoid")),
    "logits": (2, ("--activation", "softmax", "--output-channel", "1")),
}


def _network(head: str, units: Units) -> keras.Model:
    """Build a network that finds red, with the same kernels for colours in 0–1 in any units."""
    rng = np.random.default_rng(1)
    channels, _ = _HEADS[head]
    kernel = rng.normal(0, 0.15, (3, 3, 3, 8))
    kernel[:, :, 0, :4] += 0.12
    kernel[:, :, 2, :4] -= 0.12
    black, white = units.of(np.zeros(3)), units.of(np.ones(3))
    scaled = kernel / (white - black)[:, None]
    bias = rng.normal(0, 0.1, 8) - (scaled * black[:, None]).sum(axis=(0, 1, 2))
    logit = 3 * np.concatenate([np.full(4, 1.2), rng.normal(-0.3, 1, 4)])[None, None, :, None]
    image = keras.Input((_SIDE, _SIDE, 3))
    body = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="body")
    end = keras.layers.Conv2D(channels, 1, name="end")
    x = end(body(image))
    activation = {"sigmoid": "sigmoid", "softmax": "softmax"}.get(head)
    x = keras.layers.Activation(activation)(x) if activation else x
    body.set_weights([scaled, bias])
    bias_of_end = np.array([-0.9])
    if channels == 2:  # logits whose difference is that of the one
        logit, bias_of_end = np.concatenate([-logit, logit], axis=-1) / 2, np.array([0.45, -0.45])
    end.set_weights([logit, bias_of_end])
    return keras.Model(image, x, name="net")


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)))


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _person(head: str, output: Floats) -> Floats:
    """Return the mask `[h, w]` of what the Keras network gives."""
    made = {"logit": _sigmoid, "logits": _softmax}.get(head, np.asarray)(output)
    return np.asarray(made[0, ..., -1])


def _computed(words: str, **values: Any) -> Any:
    """Compute what a card says, as arithmetic."""
    text = words.replace("·", "*").replace("−", "-")
    text = re.sub(r"\(((?:-?[\d.e+-]+, )+-?[\d.e+-]+)\)", r"array([\1])", text)  # per channel
    known = {"array": np.array, "round": np.rint, "sigmoid": _sigmoid, "softmax": _softmax}
    return eval(text, {"__builtins__": {}}, {**known, **values})


def _put(words: str, pixels: NDArray[np.uint8]) -> Floats:
    if words == "the byte v itself" or words.startswith("v as "):
        return pixels.astype(np.float64)
    steps = re.fullmatch(r"(.*) kept within (-?\d+) and (-?\d+)", words)
    values = _computed(steps[1] if steps else words, v=pixels.astype(np.float64))
    return np.asarray(np.clip(values, int(steps[2]), int(steps[3])) if steps else values)


def _read(words: str, stored: Floats) -> Floats:
    formula = words.removeprefix("probability = ")
    channel = re.search(r" in channel (\d+)$", formula)
    mask = _computed(formula[: channel.start()] if channel else formula, q=stored)
    return np.asarray(mask[0, ..., int(channel[1]) if channel else 0])


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Give smooth pictures to calibrate and to score on."""
    rng = np.random.default_rng(0)
    for name, count in (("photos", 24), ("scored", _SCORED)):
        (tmp_path / name).mkdir()
        for number in range(count):
            patches = rng.integers(0, 256, (5, 5, 3)).astype(np.uint8)
            picture = cv2.resize(patches, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), picture)
    return tmp_path / "photos", tmp_path / "scored"


@pytest.mark.parametrize(
    ("head", "units", "io", "rewrite"),
    [
        ("sigmoid", SIGNED, "uint8", "auto"),
        ("sigmoid", SIGNED, "int8", "auto"),
        ("sigmoid", IMAGENET, "int8", "auto"),
        ("softmax", IMAGENET, "uint8", "auto"),
        ("softmax", UNIT, "int8", "none"),
        ("logit", BYTES, "float32", "auto"),
        ("logits", HALVES, "int8", "none"),
    ],
)
def test_every_card_is_true(
    run: Run,
    folders: tuple[Path, Path],
    tmp_path: Path,
    head: str,
    units: Units,
    io: str,
    rewrite: str,
) -> None:
    network, (photos, scored), out = _network(head, units), folders, tmp_path / "out"
    network.save(tmp_path / "net.keras")
    said = run(
        "convert", tmp_path / "net.keras", *units.options, *_HEADS[head][1], *_VARIANTS,
        "--io", io, "--rewrite", rewrite, "--calibration", photos, "--validation", scored,
        "--no-benchmark", "--remedies", "none", "--out", out,
    )  # fmt: skip
    assert said.code in (0, 3), said.err  # without labels a network so small may just miss the gate
    model = json.loads((out / "model.json").read_text("utf-8"))
    assert set(model["variants"]) == set(_FARTHEST)
    for name, variant in model["variants"].items():
        given = io if name == "int8" else "float32"
        assert (variant["input"]["dtype"], variant["output"]["dtype"]) == (given, given), name
        _assert_card(network, head, units, out, name, variant, sorted(scored.iterdir()))
        assert f"{name}: put {variant['io']['input']['put']} into " in said.out
        assert f"{name}: read {variant['io']['output']['read']} from " in said.out


def _assert_card(
    network: keras.Model,
    head: str,
    units: Units,
    out: Path,
    name: str,
    variant: Any,
    pictures: list[Path],
) -> None:
    runner = Interpreter(str(out / variant["file"]), num_threads=1)
    runner.allocate_tensors()
    (source,), (target,) = runner.get_input_details(), runner.get_output_details()
    card = variant["io"]
    for side, tensor in (("input", source), ("output", target)):
        assert np.dtype(tensor["dtype"]).name == variant[side]["dtype"], name
        if scale := variant[side]["scale"]:
            assert tensor["quantization"] == (pytest.approx(scale), variant[side]["zero_point"])
    if units in (SIGNED, HALVES) and variant["input"]["dtype"] == "int8":
        steps = _put(card["input"]["put"], np.arange(256, dtype=np.uint8))
        assert len(np.unique(steps)) == 256
        assert "round" not in card["input"]["put"]
    for byte, meant in ((0, card["input"]["black"]), (255, card["input"]["white"])):
        stored = _put(card["input"]["put"], np.full((1, 1, 3), byte, np.uint8))
        np.testing.assert_allclose(np.broadcast_to(stored, (1, 1, 3))[0, 0], meant, atol=2e-3)
    alike = []
    for picture in pictures:
        pixels = cv2.imread(str(picture))[None, ..., ::-1]
        expected = _person(head, np.asarray(network(units.of(pixels / 255).astype(np.float32))))
        assert 0.05 < np.mean(expected >= 0.5) < 0.95
        runner.set_tensor(
            source["index"], _put(card["input"]["put"], pixels).astype(source["dtype"])
        )
        runner.invoke()
        stored = runner.get_tensor(target["index"]).astype(np.float64)
        mask = _read(card["output"]["read"], stored)
        assert np.abs(mask - expected).max() <= _FARTHEST[name], name
        alike.append((mask >= 0.5) == (expected >= 0.5))
        if (first := card["output"]["person_from"]) is not None:
            np.testing.assert_array_equal(stored[0, ..., 0] >= first, mask >= 0.5)
    assert np.mean(alike) >= _LEAST_ALIKE, name

"""`convert` of released files whose mask is no probability: that is asked for, never guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]


@pytest.fixture
def release(tmp_path: Path) -> Callable[[str], Path]:
    """Give a builder of float files: their logit is 10 at full red, −10 without any."""
    import keras

    from portrait_tflite.convert.export import Export
    from portrait_tflite.convert.graph import trace
    from portrait_tflite.vocabulary import Precision

    def build(activation: str) -> Path:
        x = keras.Input((32, 32, 3), name="photo")
        layer = keras.layers.Conv2D(1, 1, activation=activation, name="mask")
        model = keras.Model(x, layer(x))
        layer.set_weights([np.array([[[[20.0], [0.0], [0.0]]]]), np.array([-10.0])])
        path = tmp_path / f"{activation}.tflite"
        path.write_bytes(Export(trace(model)).float_model(Precision.FLOAT32))
        return path

    return build


@pytest.fixture
def arguments(tiny: Any, tmp_path: Path) -> tuple[object, ...]:
    return (
        *("--input-range", "0,1", "--validation", tiny.validation, "--no-benchmark"),
        *("--out", tmp_path / "out"),
    )


def test_logits_are_refused(
    refuse: Callable[..., str], release: Callable[[str], Path], arguments: tuple[object, ...]
) -> None:
    said = refuse("convert", release("linear"), *arguments)
    assert "linear.tflite goes from -10 to " in said
    assert "on drawn portraits, which is no probability: --activation sigmoid or softmax" in said
    assert "tanh" not in said
    said = refuse("convert", release("tanh"), *arguments)
    assert "tanh.tflite goes from -1 to " in said
    assert "A tanh is brought to 0 to 1 where its Keras model is converted." in said


@pytest.mark.parametrize(
    ("ending", "said"), [("linear", "sigmoid"), ("linear", "none"), ("sigmoid", "")]
)
def test_what_is_said_is_believed(
    run: Run,
    release: Callable[[str], Path],
    arguments: tuple[object, ...],
    tmp_path: Path,
    ending: str,
    said: str,
) -> None:
    options = ("--activation", said) if said else ()
    called = run("convert", release(ending), *arguments, *options)
    assert called.code == 0, called.err
    model = json.loads((tmp_path / "out" / "model.json").read_text("utf-8"))
    assert model["spec"]["output"]["activation"] == (said or "none")
    # Its own model.json says what it is, from then on.
    file = tmp_path / "out" / model["variants"]["float32"]["file"]
    again = run("convert", file, *arguments[:-1], tmp_path / "again")
    assert again.code == 0, again.err

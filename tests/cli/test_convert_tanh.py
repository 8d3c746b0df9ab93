"""`convert` of networks whose mask is a tanh."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]


def _save(path: Path, head: Callable[[Any], Any]) -> Path:
    """Write a network that finds red: its logit is 10 at full red, −10 without any."""
    import keras

    x = keras.Input((32, 32, 3), name="photo")
    y = keras.layers.Conv2D(1, 1, name="logits")(x)
    model = keras.Model(x, head(y))
    model.get_layer("logits").set_weights([np.array([[[[20.0], [0.0], [0.0]]]]), np.array([-10.0])])
    model.save(path)
    return path


def _halved(y: Any) -> Any:
    import keras

    return (keras.ops.tanh(y) + 1.0) / 2


def _raw(y: Any) -> Any:
    import keras

    return keras.layers.Activation("tanh", name="mask")(y)


@pytest.mark.parametrize("head", [_halved, _raw])
def test_a_tanh_becomes_a_sigmoid(
    run: Run, tiny: Any, tmp_path: Path, head: Callable[[Any], Any]
) -> None:
    said = run(
        "convert", _save(tmp_path / "net.keras", head), "--input-range", "0,1",
        "--no-benchmark", "--calibration", tiny.calibration, "--validation", tiny.validation,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    for name in ("float32", "float16", "int8"):
        variant = report["variants"][name]
        assert "LOGISTIC" in variant["ops"]
        assert not {"TANH", "MUL", "ADD", "DIV"} & set(variant["ops"])
        assert variant["accuracy"]["iou"] > 0.99
        assert variant["audit"]["xnnpack"]["partitions"] == 1
        assert variant["audit"]["xnnpack"]["outside"] == []
    assert report["variants"]["float16"]["audit"]["gpu"]["complete"]
    assert report["model"]["spec"]["output"]["activation"] == "none"
    (record,) = (r for r in report["rewrites"] if r["rewrite"] == "sigmoid_by_hand")
    assert record["reason"] == "(tanh(x) + 1) / 2 is sigmoid(2 x)"
    assert "1 × sigmoid_by_hand → sigmoid in the Keras graph" in said.out

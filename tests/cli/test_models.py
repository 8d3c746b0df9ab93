"""`portrait-tflite models`: the zoo, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portrait_tflite.models.registry import all_nets


def test_lists_every_net(run: Callable[..., Any]) -> None:
    said = run("models")
    assert said.code == 0
    assert said.err == ""
    for name in all_nets():
        assert name in said.out
    assert "none: train it" in said.out
    assert "WEIGHTS_LICENSE" in said.out


def test_json_and_nothing_else(run: Callable[..., Any]) -> None:
    nets = {net["name"]: net for net in json.loads(run("models", "--json").out)["nets"]}
    assert list(nets) == list(all_nets())
    for net in nets.values():
        assert set(net) == {
            "name", "paper", "height", "width", "input_range", "parameters", "macs", "weights",
            "licence",
        }  # fmt: skip
    assert Path(nets["portrait"]["weights"]).is_file()
    assert nets["hodzic_unet"]["weights"] == nets["hodzic_unet"]["licence"] == ""

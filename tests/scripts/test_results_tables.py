"""The scripts that write the tables of the docs, on a tiny network and a page of their own."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from click.testing import CliRunner

from portrait_tflite.benchmarks.arm import setup
from portrait_tflite.cli.main import _run
from portrait_tflite.vocabulary import ModelSpec

_SCRIPTS = Path(__file__).parents[2] / "scripts" / "results"
_SIDE = 16


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Give what imports a script of `scripts/results`."""
    monkeypatch.syspath_prepend(str(_SCRIPTS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(_SCRIPTS)):
            del sys.modules[name]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Give pictures of red rectangles where the portraits lie, with masks to score on."""
    rng = np.random.default_rng(0)
    portraits = tmp_path / "shared" / "data" / "portraits"
    for part in ("train/images", "val/images", "val/masks"):
        (portraits / part).mkdir(parents=True)
    for number in range(12):
        mask = np.zeros((_SIDE, _SIDE), np.uint8)
        top, left = rng.integers(1, 7, 2)
        mask[top : top + 8, left : left + 8] = 255
        light = rng.integers(0, 256, mask.shape).astype(np.uint8)
        picture = np.dstack([255 - mask, light, mask])
        part, name = "train" if number < 8 else "val", f"{number:02}.png"
        cv2.imwrite(str(portraits / part / "images" / name), picture)
        if part == "val":
            cv2.imwrite(str(portraits / part / "masks" / name), mask)
    return tmp_path / "shared"


@pytest.fixture
def page(tmp_path: Path) -> Callable[[str], Path]:
    """Give a page with a place for a table."""

    def write(place: str) -> Path:
        path = tmp_path / "page.md"
        path.write_text(f"before\n<!-- {place} -->\nold\n<!-- end -->\nbehind\n", "utf-8")
        return path

    return write


def _written(page: Path) -> list[str]:
    text = page.read_text("utf-8")
    assert text.startswith("before\n<!-- ")
    assert text.endswith("\n<!-- end -->\nbehind\n")
    assert "old" not in text
    return [line for line in text.splitlines() if line.startswith("|")]


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def _red_net(graph: Any) -> bytes:
    """Build a float network that finds red, with a mask by LOGISTIC."""
    shape = (1, _SIDE, _SIDE, 1)
    picture = graph.tensor("image", (1, _SIDE, _SIDE, 3), "float32")
    kernel = np.array([8.0, 0.0, -8.0]).reshape(1, 1, 1, 3)
    weights = graph.tensor("w", kernel.shape, "float32", data=kernel)
    bias = graph.tensor("b", (1,), "float32", data=[0.0])
    logits = graph.tensor("logits", shape, "float32")
    mask = graph.tensor("mask", shape, "float32")
    options = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
    graph.op("CONV_2D", [picture, weights, bias], logits, 1, options)
    graph.op("LOGISTIC", [logits], mask, 1)
    data: bytes = graph.build([picture], [mask])
    return data


def test_both_quantizers_are_compared(
    script: Callable[[str], Any],
    tiny_graph: Callable[[], Any],
    shared: Path,
    page: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, place = script("quantizers_table"), page("quantizers table")
    out = tmp_path / "work" / "red"
    out.mkdir(parents=True)
    (out / "red-float32.tflite").write_bytes(_red_net(tiny_graph()))
    files = {"float32": {"file": "red-float32.tflite"}}
    spec = asdict(ModelSpec(_SIDE, _SIDE))
    (out / "model.json").write_text(json.dumps({"schema": 1, "spec": spec, "variants": files}))
    monkeypatch.setattr(table, "_NETS", ("red",))
    monkeypatch.setattr(table, "_PAGE", place)
    given = ["--shared", str(shared), "--work", str(tmp_path / "work")]
    said = CliRunner().invoke(table.main, given, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    header, _, row = _written(place)
    assert len(_cells(header)) == 3
    name, *both = _cells(row)
    assert name == "red"
    for cell in both:
        figures = re.fullmatch(r"(\d\.\d{4}), (\d+\.\d) Mcyc, (\d+)", cell)
        assert figures, cell
        assert float(figures[1]) > 0.99
        assert figures[3] == "1"


def test_the_results_are_converted_measured_and_written(
    script: Callable[[str], Any],
    shared: Path,
    page: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    require_or_skip: Callable[[str], NoReturn],
) -> None:
    import keras

    if not setup.status().ready:
        require_or_skip(setup.status().reason)
    table, place = script("results_table"), page("results table")
    image = keras.Input((_SIDE, _SIDE, 3))
    mask = keras.layers.Conv2D(1, 1, activation="sigmoid")
    network = keras.Model(image, mask(image))
    mask.set_weights([np.array([[[[8.0], [0.0], [-8.0]]]]), np.zeros(1)])
    (shared / "models").mkdir()
    network.save(shared / "models" / "red.keras")
    ended = []

    def run(*arguments: str) -> None:
        ended.append(_run(list(arguments), debug=False))

    net = table.Net("red", "{shared}/models/red.keras", ("--input-range", "0,1"))
    for name, value in {"_NETS": (net,), "_PAGE": place, "_run": run, "_RUNS": 2}.items():
        monkeypatch.setattr(table, name, value)
    given = ["--shared", str(shared), "--trained", str(tmp_path), "--work", str(tmp_path / "work")]
    for _ in range(2):  # the second time from what is there
        said = CliRunner().invoke(table.main, given, catch_exceptions=False)
        assert said.exit_code == 0, said.output
    assert ended == [0, 0]
    rows = [_cells(row) for row in _written(place)]
    assert [row[1] for row in rows[2:]] == ["float32", "naive_batch1", "ours, int8"]
    assert {len(row) for row in rows} == {9}
    assert rows[2][0] == "red"
    assert rows[2][7] == "complete"
    assert rows[3][3] == rows[3][5] == "1.00"  # the plain one beside itself
    assert rows[4][8].endswith("(4)")

"""The packaged default net, converted as the README's first command does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.cli.main import _run
from portrait_tflite.errors import UnavailableError
from portrait_tflite.images import prepare
from portrait_tflite.metrics import iou
from portrait_tflite.models.registry import DEFAULT_NET, find_net
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.runtime import open_model
from portrait_tflite.runtime_worker import run_on_tflite_runtime
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.tflite_runtime_python import find_tflite_runtime
from portrait_tflite.vocabulary import Delegate

_LARGEST = 2 * 1024 * 1024


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("default") / "out"
    assert _run(["-q", "convert", "--int8", "--fp16", "--out", str(out)], debug=True) == 0
    return out


def test_it_passes_in_one_partition_and_wholly_on_the_gpu_list(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report["passed"]
    int8, float16 = report["variants"]["int8"], report["variants"]["float16"]
    assert int8["audit"]["xnnpack"]["partitions"] == 1
    assert int8["audit"]["xnnpack"]["outside"] == []
    assert float16["audit"]["gpu"]["complete"]
    assert int8["output"]["scale"] == pytest.approx(1 / 256)


def test_its_weights_are_packaged_small_with_a_card() -> None:
    weights = find_net(DEFAULT_NET).weights_path
    assert weights is not None
    assert weights.stat().st_size <= _LARGEST
    assert weights.with_name("portrait.md").is_file()


def test_the_last_tflite_runtime_gives_the_same_mask(folder: Path, require_or_skip: Any) -> None:
    """Not the same bytes: 3×3 depthwise near-ties differ by a step, which later layers widen.

    `test_tflite_runtime.py` holds the bytes of single ops.
    """
    try:
        find_tflite_runtime()
    except UnavailableError as error:
        require_or_skip(str(error))
    path = folder / "portrait-int8.tflite"
    runner = open_model(path, Delegate.CPU)
    output = runner.outputs[0]
    inputs = []
    for seed in range(3):
        image, _ = draw_portrait(seed, 256, 256)
        inputs.append(to_stored(prepare(image, find_net(DEFAULT_NET).spec), runner.inputs[0]))
    for array in inputs:
        ours = runner.run(array)[0]
        theirs = run_on_tflite_runtime(path, [array])[0]
        assert iou(to_real(ours, output)[0, ..., 0], to_real(theirs, output)[0, ..., 0]) > 0.99

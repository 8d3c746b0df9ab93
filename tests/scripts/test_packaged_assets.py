"""The model that the Android app carries is the packaged one of today, and its goldens hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from portrait_tflite.benchmarks.arm import setup
from portrait_tflite.benchmarks.arm.count import run_on_arm
from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.images import prepare, read_image
from portrait_tflite.metrics import iou
from portrait_tflite.models.registry import find_net
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import Delegate

_ASSETS = (
    Path(__file__).parents[2] / "android_demo" / "app" / "src" / "main" / "assets" / "portrait"
)
CASES = range(3)


@pytest.fixture(scope="module")
def model() -> dict[str, Any]:
    """Read `model.json` as the app does."""
    data: dict[str, Any] = json.loads((_ASSETS / "model.json").read_text("utf-8"))
    return data


def test_it_was_made_from_the_packaged_weights(
    android_script: Callable[[str], Any], model: dict[str, Any]
) -> None:
    script = android_script("packaged_assets")
    record = json.loads(script.RECORD.read_text("utf-8"))
    hint = "run `python scripts/android/packaged_assets.py`"
    assert record == json.loads(json.dumps(script.made_from())), hint
    assert model["spec"] == record["spec"], hint
    assert script.ASSETS == _ASSETS


def test_the_folder_is_whole(model: dict[str, Any]) -> None:
    named = {each["file"]: each for each in _files([model["variants"], model["golden"]])}
    assert {path.name for path in _ASSETS.iterdir()} == {"model.json", *named}
    for name, each in named.items():
        data = (_ASSETS / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (each["bytes"], each["sha256"])
    assert list(model["variants"]) == ["float16", "int8"]
    assert model["licence"].startswith("CC-BY-NC")


def _files(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, dict) and {"file", "bytes", "sha256"} <= data.keys():
        yield data
    children = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for child in children:
        yield from _files(child)


@pytest.mark.parametrize("name", ["int8", "float16"])
def test_the_goldens_hold_on_xnnpack(model: dict[str, Any], name: str) -> None:
    runner = open_model(_ASSETS / model["variants"][name]["file"])
    spec = find_net("portrait").spec
    for number in CASES:
        array, expected = _golden(model, name, number)
        picture = read_image(_ASSETS / model["golden"][number]["picture"]["file"])
        assert picture is not None
        np.testing.assert_array_equal(to_stored(prepare(picture, spec), runner.inputs[0]), array)
        _assert_within(runner.run(array)[0], expected, model["variants"][name])


def test_the_masks_are_those_of_the_packaged_network(model: dict[str, Any]) -> None:
    network = load_model("portrait", LoadOptions()).model
    for number in CASES:
        array, expected = _golden(model, "float16", number)
        ours = np.asarray(network(array))[0, ..., 0]
        assert np.abs(ours - expected[0, ..., 0]).max() < 0.05
        stored = _golden(model, "int8", number)[1]
        info = open_model(_ASSETS / model["variants"]["int8"]["file"]).outputs[0]
        assert iou(to_real(stored, info)[0, ..., 0], ours) > 0.98


def test_the_int8_goldens_hold_on_arm(
    model: dict[str, Any], require_or_skip: Callable[[str], NoReturn]
) -> None:
    """Under qemu, by LiteRT's own aarch64 build: the same bytes as on this machine."""
    if not setup.status().ready:
        require_or_skip(setup.status().reason)
    for number in CASES:
        array, expected = _golden(model, "int8", number)
        card = model["variants"]["int8"]
        (found,) = run_on_arm(_ASSETS / card["file"], [array], Delegate.XNNPACK)
        assert card["tolerance"]["xnnpack"] == {"max_step": 0}
        _assert_within(found, expected, card)


def test_a_mask_that_is_off_by_a_step_trips_the_comparison(model: dict[str, Any]) -> None:
    _, expected = _golden(model, "int8", 0)
    off = expected.copy()
    off[0, 0, 0, 0] += 1
    with pytest.raises(AssertionError):
        _assert_within(off, expected, model["variants"]["int8"])


def _assert_within(found: Any, expected: Any, card: dict[str, Any]) -> None:
    """Hold a mask by the tolerance that `model.json` promises for XNNPACK."""
    tolerance = card["tolerance"]["xnnpack"]
    assert len(np.unique(expected)) > 20
    if "max_step" in tolerance:
        apart = np.abs(found.astype(np.int32) - expected)
        assert apart.max() <= tolerance["max_step"]
    else:
        assert iou(found[0, ..., 0], expected[0, ..., 0]) >= tolerance["least_iou"]


def _golden(model: dict[str, Any], name: str, number: int) -> tuple[Any, Any]:
    card, case = model["variants"][name], model["golden"][number]["variants"][name]
    given, mask = case["inputs"][card["input"]["name"]], case["mask"]
    return _read(given, card["input"]), _read(mask, card["output"])


def _read(file: dict[str, Any], tensor: dict[str, Any]) -> Any:
    return np.fromfile(_ASSETS / file["file"], tensor["dtype"]).reshape(tensor["shape"])

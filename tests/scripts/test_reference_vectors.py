"""The committed vectors and tiny networks are what our code gives today, and small."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portrait_tflite.cli.known_spec import specs_beside
from portrait_tflite.metrics import iou
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real

Script = Callable[[str], Any]
LARGEST = 3_000_000
FEW = 0.01  # of the numbers may differ by a step: other machines sum up in another order

_ANDROID = Path(__file__).parents[2] / "android_demo"
VECTORS = _ANDROID / "core" / "src" / "test" / "resources" / "vectors"
NETS = _ANDROID / "engine" / "src" / "test" / "resources" / "nets"
NET_NAMES = sorted(path.name for path in NETS.iterdir())


def test_the_vectors_are_todays(android_script: Script, tmp_path: Path) -> None:
    android_script("reference_vectors").write_vectors(tmp_path)
    index = (tmp_path / "index.json").read_text("utf-8")
    assert json.loads(index) == json.loads((VECTORS / "index.json").read_text("utf-8"))
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in VECTORS.iterdir()}
    floats = _float_files(json.loads(index))
    for path in tmp_path.glob("*.bin"):
        dtype = np.float32 if path.name in floats else np.uint8
        _assert_alike(np.fromfile(path, dtype), np.fromfile(VECTORS / path.name, dtype))


def _float_files(index: dict[str, Any]) -> set[str]:
    """Name the files of floats; the others are bytes, of which int8 differs by steps as well."""
    found: set[str] = set()
    for case in index["cases"]:
        found.add(case["expected_mask"])
        found |= {case["expected_input"]} if case["input"]["dtype"] == "float32" else set()
        found |= {case["net_output"]} if case["output"]["dtype"] == "float32" else set()
    for case in index["edges"]:
        found |= {case["matte"], case["expected"]}
    for case in index["smoothing"]:
        found |= {name for frame in case["frames"] for name in frame.values()}
    return found


def _assert_alike(found: Any, committed: Any) -> None:
    """Hold stored numbers within a step; -1 and 0 of int8 are 255 and 0 as bytes."""
    assert found.shape == committed.shape
    apart = np.abs(found.astype(np.float64) - committed)
    if found.dtype == np.uint8:
        apart = np.minimum(apart, 256 - apart)
        assert apart.max() <= 1
        assert np.mean(apart > 0) <= FEW
    else:
        assert apart.max() <= 1e-4 * max(1.0, float(np.abs(committed).max()))


def test_what_was_changed_trips_the_comparison() -> None:
    stored = np.arange(256, dtype=np.uint8)
    with pytest.raises(AssertionError):
        _assert_alike(stored + np.uint8(1), stored)
    with pytest.raises(AssertionError):
        _assert_alike(np.ones(4, np.float32) * 1.01, np.ones(4, np.float32))
    _assert_alike(stored, stored)


def test_they_cover_what_an_app_meets() -> None:
    index = json.loads((VECTORS / "index.json").read_text("utf-8"))
    cases = index["cases"]
    assert {case["spec"]["fit"] for case in cases} == {"stretch", "letterbox", "crop"}
    assert {case["spec"]["channels"] for case in cases} == {"rgb", "bgr", "gray"}
    assert {case["spec"]["interpolation"] for case in cases} == {"bilinear", "nearest", "area"}
    assert {case["frame"]["rotation"] for case in cases} == {0, 90, 180, 270}
    assert {case["input"]["dtype"] for case in cases} == {"int8", "uint8", "float32"}
    activations = {case["spec"]["output"]["activation"] for case in cases}
    assert activations == {"none", "sigmoid", "softmax"}
    effects = {case["effect"] for case in index["effects"]}
    assert effects == {"mask", "cutout", "blur", "background", "color"}


@pytest.mark.parametrize("name", NET_NAMES)
def test_the_goldens_of_the_tiny_networks_hold(name: str) -> None:
    folder = NETS / name
    model = json.loads((folder / "model.json").read_text("utf-8"))
    named = {"model.json": ""} | {each["file"]: each["sha256"] for each in _files(model)}
    assert {path.name for path in folder.iterdir()} == set(named)
    for variant, card in model["variants"].items():
        path = folder / card["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == named[path.name]
        assert specs_beside(path)[1] is not None
        runner = open_model(path)
        for case in model["golden"]:
            golden = case["variants"][variant]
            inputs = [
                np.fromfile(folder / golden["inputs"][info.name]["file"], info.dtype).reshape(
                    info.shape
                )
                for info in runner.inputs
            ]
            (found,), (info,) = runner.run(*inputs), runner.outputs
            expected = np.fromfile(folder / golden["mask"]["file"], info.dtype)
            _assert_golden(found, expected.reshape(info.shape), info, variant)


@pytest.mark.parametrize("name", [name for name in NET_NAMES if name.startswith("previous_mask")])
def test_the_last_mask_matters(name: str) -> None:
    """Fed with the first frame's state, a later frame's golden must not come out."""
    folder = NETS / name
    model = json.loads((folder / "model.json").read_text("utf-8"))
    card, state = model["variants"]["int8"], model["spec"]["state"]
    runner = open_model(folder / card["file"])
    golden = model["golden"][1]["variants"]["int8"]
    inputs = [
        np.fromfile(folder / golden["inputs"][info.name]["file"], info.dtype).reshape(info.shape)
        for info in runner.inputs
    ]
    if state["channel"] is None:
        inputs[state["input"]][:] = runner.inputs[state["input"]].zero_point
    else:
        inputs[0][..., state["channel"]] = runner.inputs[0].zero_point
    expected = np.fromfile(folder / golden["mask"]["file"], card["output"]["dtype"])
    assert np.mean(runner.run(*inputs)[0].ravel() != expected) > 0.1


def _assert_golden(found: Any, expected: Any, info: Any, variant: str) -> None:
    masks = [to_real(each, info)[0, ..., 0] for each in (found, expected)]
    assert 0.05 < np.mean(masks[1] >= 0.5) < 0.95
    if variant == "int8":
        np.testing.assert_array_equal(found, expected)
    assert iou(*masks) >= 0.995


def _files(data: Any) -> Iterator[dict[str, Any]]:
    """Yield every record of a file."""
    if isinstance(data, dict) and {"file", "sha256"} <= data.keys():
        yield data
    children = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for child in children:
        yield from _files(child)


def test_a_tiny_network_is_made_again(android_script: Script, tmp_path: Path) -> None:
    nets = android_script("tiny_nets")
    assert sorted(net.name for net in nets.NETS) == NET_NAMES
    net = next(net for net in nets.NETS if net.name == "gray_letterbox_uint8")
    nets.write_net(net, tmp_path)
    made, committed = (
        json.loads((folder / "model.json").read_text("utf-8"))
        for folder in (tmp_path, NETS / net.name)
    )
    for key in ("schema", "name", "spec", "labels", "person_channel"):
        assert made[key] == committed[key]
    for variant, card in made["variants"].items():
        assert card["tolerance"] == committed["variants"][variant]["tolerance"]
        for case in range(3):
            file = made["golden"][case]["variants"][variant]["mask"]["file"]
            dtype = np.float32 if variant == "float16" else np.uint8
            _assert_alike(
                np.fromfile(tmp_path / file, dtype), np.fromfile(NETS / net.name / file, dtype)
            )


def test_all_of_it_is_small() -> None:
    files = [path for place in (VECTORS, NETS) for path in place.rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) < LARGEST

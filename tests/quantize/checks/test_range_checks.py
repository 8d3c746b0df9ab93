"""Ranges that hold and ranges that do not, on a net of two convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.images import Floats
from portrait_tflite.quantize.checks.range_checks import (
    MOST_MEASURED,
    check_saturation,
    check_stability,
)
from portrait_tflite.video import spread_over

_OPTIONS = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}


def _net(graph: Any, dtype: str, scale: float = 0.0, *, sigmoid: bool = False) -> bytes:
    """Build stem → head: 1×1 convolutions 1 → 1 that double their input."""
    int8 = dtype == "int8"
    source = graph.tensor("image", (1, 4, 4, 1), dtype, scale or None, 0)
    value = source
    for name, factor in (("stem", 2), ("head", 4)):
        kernel = np.full((1, 1, 1, 1), 127 if int8 else 2)
        weights = graph.tensor(
            f"{name}/w", kernel.shape, dtype, 2 / 127 if int8 else None, data=kernel
        )
        bias_type = "int32" if int8 else "float32"
        bias = graph.tensor(
            f"{name}/b", (1,), bias_type, scale * factor / 127 if int8 else None, data=[0]
        )
        target = graph.tensor(f"net/{name}/out", (1, 4, 4, 1), dtype, scale * factor or None, 0)
        graph.op("CONV_2D", [value, weights, bias], target, 3 if int8 else 1,
                 schema.Conv2DOptionsT(**_OPTIONS))  # fmt: skip
        value = target
    if sigmoid:
        value = graph.tensor("mask", (1, 4, 4, 1), dtype)
        graph.op("LOGISTIC", [target], value, 1)
    return bytes(graph.build([source], [value]))


@pytest.fixture
def float_file(tiny_graph: Callable[[], Any]) -> bytes:
    return _net(tiny_graph(), "float32")


def _frames(count: int, scale: float = 1.0, seed: int = 0) -> list[tuple[Floats]]:
    rng = np.random.default_rng(seed)
    values = scale * rng.uniform(-1, 1, (count, 1, 4, 4, 1))
    return [(each.astype(np.float32),) for each in values]


def test_alike_halves_are_stable(float_file: bytes) -> None:
    seen: list[int] = []
    check = check_stability(float_file, _frames(40), seen.append)
    assert check.passed
    assert check.detail == (
        "0 of 3 ranges differ by more than 20% between two halves of 40 pictures"
    )
    assert seen == list(range(1, 41))


def test_one_picture_of_a_kind_makes_ranges_unstable(float_file: bytes) -> None:
    frames = _frames(40)
    frames[4] = (frames[4][0] * 9,)
    check = check_stability(float_file, frames)
    assert (check.passed, check.level) == (False, "warn")
    assert check.detail.startswith("3 of 3 ranges differ by more than 20%")
    assert "stem" in check.detail
    assert "head" in check.detail


def test_pictures_of_the_whole_set_are_looked_at(float_file: bytes) -> None:
    frames = _frames(200)
    last = spread_over(len(frames), MOST_MEASURED)[-1]
    assert last > 190
    frames[last] = (frames[last][0] * 9,)
    check = check_stability(float_file, frames)
    assert not check.passed
    assert check.detail.split(":")[0].endswith("two halves of 64 pictures")


def test_pictures_that_begin_a_video_are_in_both_halves(float_file: bytes) -> None:
    frames = [(0 * frame,) if n % 2 == 0 else (frame,) for n, (frame,) in enumerate(_frames(40))]
    assert check_stability(float_file, frames).passed


def test_too_few_pictures_tell_nothing_of_stability(float_file: bytes) -> None:
    check = check_stability(float_file, _frames(7))
    assert (check.passed, check.detail) == (False, "7 pictures are too few to tell")


def test_ranges_that_hold_clip_nothing(float_file: bytes, tiny_graph: Callable[[], Any]) -> None:
    int8 = _net(tiny_graph(), "int8", 1 / 127)
    check = check_saturation(float_file, int8, _frames(12))
    assert check.passed
    assert check.detail.startswith("0 of 3 tensors that float and int8 both name")
    assert check.detail.endswith("on 12 pictures, at most 0.00%")


def test_ranges_that_are_too_small_are_named(
    float_file: bytes, tiny_graph: Callable[[], Any]
) -> None:
    int8 = _net(tiny_graph(), "int8", 0.8 / 127)
    check = check_saturation(float_file, int8, _frames(50))
    assert (check.passed, check.level) == (False, "warn")
    share = float(check.detail.split("at most ")[1].split("%")[0]) / 100
    assert share == pytest.approx(0.2, abs=0.03)
    assert "image" in check.detail
    assert "stem" in check.detail


def test_a_probability_of_one_is_not_clipped(
    float_file: bytes, tiny_graph: Callable[[], Any]
) -> None:
    int8 = _net(tiny_graph(), "int8", 1 / 128)  # reaches 127/128
    ones = [(np.ones((1, 4, 4, 1), np.float32),)] * 3
    assert check_saturation(float_file, int8, ones).passed


@pytest.mark.parametrize("sigmoid", [False, True])
def test_what_a_sigmoid_does_not_tell_apart_is_not_clipped(
    tiny_graph: Callable[[], Any], sigmoid: bool
) -> None:
    frames = _frames(12, 10.0)
    int8 = _net(tiny_graph(), "int8", 7 / 4 / 127)  # logits up to 7, of 40
    model = read_model(int8)
    model.subgraphs[0].tensors[0].name = b"x"  # only the logits are looked at
    model.subgraphs[0].tensors[3].name = b"y"
    check = check_saturation(
        _net(tiny_graph(), "float32", sigmoid=sigmoid), serialize(model), frames
    )
    assert check.detail.startswith(f"{0 if sigmoid else 1} of 1 tensors")

"""Which pictures the report shows, and that both networks are really run on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from portrait_tflite.convert.files.describe import describe_variant
from portrait_tflite.pipeline.network import Network
from portrait_tflite.pipeline.strips import make_strips
from portrait_tflite.quantize.accuracy.remembering import tflite_predictor
from portrait_tflite.quantize.accuracy.validation import Sample, load_validation
from portrait_tflite.quantize.accuracy.verify import verify_variants
from portrait_tflite.report.strips import LONG_SIDE
from portrait_tflite.vocabulary import ModelSpec, Precision, Variant

SPEC = ModelSpec(height=8, width=8)


@pytest.fixture
def net(tiny_graph: Callable[[], Any]) -> Network:
    """A float network that takes red for a person, and an int8 one that takes everything."""

    def one(op: str) -> bytes:
        graph = tiny_graph()
        source = graph.tensor("x", (1, 8, 8, 3), "float32")
        target = graph.tensor("y", (1, 8, 8, 3), "float32")
        graph.op(op, [source], target)
        return graph.build([source], [target])  # type: ignore[no-any-return]

    red, everything = one("RELU"), one("LOGISTIC")
    files = {Precision.FLOAT32.value: red, Precision.INT8.value: everything}
    return Network("net", SPEC, 0, "", red, files, {}, None)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Ten pictures, their upper part red, of growing height and without labels."""
    for number in range(10):
        image = np.zeros((300, 200, 3), np.uint8)
        image[: 30 * (number + 1), :, 2] = 255
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    return load_validation(tmp_path)


def scored(net: Network, samples: list[Sample]) -> dict[str, Variant]:
    reference = tflite_predictor(net.reference, net.spec)
    predictors = {name: tflite_predictor(data, net.spec) for name, data in net.files.items()}
    scores = verify_variants(reference, predictors, net.spec, samples, 1.0)
    return {
        name: replace(describe_variant(f"{name}.tflite", data), accuracy=scores[name])
        for name, data in net.files.items()
    }


def test_worst_and_median_pictures(net: Network, samples: list[Sample]) -> None:
    strips = make_strips(net, samples, scored(net, samples))
    # The less of a picture is red, the more the int8 network takes wrongly.
    assert [(s.kind, s.image) for s in strips] == [
        *(("worst", f"{number}.png") for number in range(4)),
        *(("median", f"{number}.png") for number in (4, 5)),
    ]
    assert {strip.variant for strip in strips} == {"int8"}
    assert [strip.iou for strip in strips] == sorted(strip.iou for strip in strips)


def test_both_networks_are_run_at_the_pictures_shape(net: Network, samples: list[Sample]) -> None:
    strip = make_strips(net, samples, scored(net, samples))[3]  # red to 120 of 300
    assert strip.picture.shape == (LONG_SIDE, 171, 3)
    assert strip.float_mask.shape == strip.mask.shape == (LONG_SIDE, 171)
    assert tuple(strip.picture[10, 10]) == (255, 0, 0)
    assert (strip.mask >= 0.5).all()
    assert np.mean(strip.float_mask >= 0.5) == pytest.approx(0.4, abs=0.07)


def test_small_pictures_are_not_enlarged(net: Network, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((12, 20, 3), 255, np.uint8))
    few = load_validation(tmp_path)
    (strip,) = make_strips(net, few, scored(net, few))
    assert strip.picture.shape == (12, 20, 3)


def test_no_picture_is_shown_twice(net: Network, samples: list[Sample]) -> None:
    few = samples[:3]
    strips = make_strips(net, few, scored(net, few))
    assert [strip.kind for strip in strips] == ["worst"] * 3


def test_a_picture_that_is_gone_is_left_out(net: Network, samples: list[Sample]) -> None:
    variants = scored(net, samples)
    samples[0].image.unlink()
    assert len(make_strips(net, samples, variants)) == 5


def test_nothing_scored_is_nothing_shown(net: Network, samples: list[Sample]) -> None:
    variants = {name: describe_variant(f"{name}.tflite", data) for name, data in net.files.items()}
    assert make_strips(net, samples, variants) == []

"""What tensors of a float file hold."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.quantize.int8 import tensor_ranges
from portrait_tflite.quantize.int8.tensor_ranges import (
    Range,
    activation_tensors,
    measure_ranges,
    observe_tensors,
)
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Precision

SHAPE = (8, 8, 3)


def _pictures(count: int = 4) -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(1)
    return [(rng.random((1, *SHAPE), np.float32),) for _ in range(count)]


@pytest.fixture(scope="module")
def in_place() -> bytes:
    """A network whose second op the built-in kernels compute in the place of the first."""
    keras.utils.set_random_seed(3)
    x = keras.Input(SHAPE)
    y = layers.Conv2D(4, 3, padding="same", bias_initializer="uniform")(x)
    z = layers.ReLU()(y) * np.array([9.0, 10.0, 11.0, 12.0], np.float32)
    y = z + y  # read twice, so that the ReLU is an op of its own
    y = layers.DepthwiseConv2D(3, padding="same", bias_initializer="uniform")(y)
    return Export(trace(keras.Model(x, y))).float_model(Precision.FLOAT32)


def _tensor(data: bytes, op: str) -> int:
    return next(node.outputs[0].index for node in list_nodes(read_model(data)) if node.op == op)


def test_every_tensor_that_depends_on_the_picture_is_observed(in_place: bytes) -> None:
    model = read_model(in_place)
    nodes = list_nodes(model)
    found = activation_tensors(model)
    assert found == [nodes[0].inputs[0].index, *(node.outputs[0].index for node in nodes)]
    held = list(observe_tensors(in_place, _pictures()))
    assert len(held) == 4
    assert all(list(tensors) == found for tensors in held)
    assert np.array_equal(held[2][found[0]], _pictures()[2][0])


def test_a_tensor_that_is_overwritten_keeps_its_own_range(in_place: bytes) -> None:
    relu, product = (_tensor(in_place, op) for op in ("RELU", "MUL"))
    ranges = measure_ranges(in_place, _pictures())
    largest = max(held[relu].max() for held in observe_tensors(in_place, _pictures()))
    assert ranges[relu] == Range(0.0, float(largest))
    assert ranges[product].high > 8 * ranges[relu].high


def test_the_calibrator_of_the_converter_reads_what_was_overwritten(in_place: bytes) -> None:
    """Why the ranges are measured here: should TFLite mend this, the docs must say so."""
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    with quiet():
        calibrated = read_model(
            bytes(Calibrator(in_place).calibrate(lambda: map(list, _pictures())))
        )
    relu = _tensor(in_place, "RELU")
    theirs = calibrated.subgraphs[0].tensors[relu].quantization.max[0]
    assert theirs > 8 * measure_ranges(in_place, _pictures())[relu].high


def test_little_memory_changes_nothing(in_place: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    once = measure_ranges(in_place, _pictures())
    monkeypatch.setattr(tensor_ranges, "_GROUP_BYTES", 1)
    assert measure_ranges(in_place, _pictures()) == pytest.approx(once)


def test_progress_counts_pictures(in_place: bytes) -> None:
    seen: list[int] = []
    measure_ranges(in_place, _pictures(3), seen.append)
    assert seen == [1, 2, 3]

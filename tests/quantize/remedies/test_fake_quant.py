"""Fine-tuning with int8 played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.finetuning.lessons import make_lessons
from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.convert.graph import Graph, trace
from portrait_tflite.metrics import mae
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Range, measure_ranges
from portrait_tflite.quantize.remedies.fake_quant_graph import (
    measured_places,
    with_fake_quantization,
)
from portrait_tflite.quantize.remedies.fake_quant_tuning import fine_tune_for_int8
from portrait_tflite.quantize.remedies.fake_quantization import (
    fake_quantize,
    fake_quantize_kernel,
)
from portrait_tflite.quantize.sensitivity.mask_harm import masks_of_file
from portrait_tflite.vocabulary import ModelSpec, OutputSpec, Precision

SIZE = 16
SPEC = ModelSpec(SIZE, SIZE)


@pytest.fixture(scope="module")
def pictures() -> Any:
    coarse = np.random.default_rng(3).integers(0, 256, (40, 4, 4, 3))
    return coarse.repeat(SIZE // 4, 1).repeat(SIZE // 4, 2).astype(np.uint8)


@pytest.fixture(scope="module")
def graph(pictures: Any) -> Graph:
    """Two channels are a hundred times as large as the others, whose tensor they share."""
    keras.utils.set_random_seed(4)
    x = keras.Input((SIZE, SIZE, 3))
    uniform = {"bias_initializer": "uniform"}
    y = layers.Conv2D(8, 3, 2, "same", use_bias=False, name="first")(x)
    y = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(y))
    y = layers.DepthwiseConv2D(3, padding="same", name="uneven", **uniform)(y)
    y = layers.Conv2D(8, 1, activation="relu", name="mixed", **uniform)(y)
    y = layers.Conv2DTranspose(1, 2, 2, "same", name="logits", **uniform)(y)
    model = keras.Model(x, layers.Activation("sigmoid", name="mask")(y))
    uneven, mixed, logits = (model.get_layer(n) for n in ("uneven", "mixed", "logits"))
    factors = np.array([1, 1, 1, 1, 1, 1, 60, 60], np.float32)
    kernel, bias = uneven.get_weights()
    uneven.set_weights([kernel * factors[:, None], bias * factors])
    kernel, bias = mixed.get_weights()
    mixed.set_weights([kernel / factors[:, None], bias])
    found = np.asarray(keras.Model(x, logits.output)(pictures.astype(np.float32) / 255))
    kernel, bias = logits.get_weights()
    scale = 3 / found.std()
    logits.set_weights([scale * kernel, scale * (bias - np.median(found))])
    return trace(model)


def _batches(pictures: Any) -> list[Any]:
    return [picture[None].astype(np.float32) / 255 for picture in pictures]


def _int8(graph: Graph, pictures: Any) -> bytes:
    data = Export(graph).float_model(Precision.FLOAT32)
    frames = [(batch,) for batch in _batches(pictures)]
    return quantize_network(RangedNetwork(data, measure_ranges(data, frames)))


def _masks(data: bytes, pictures: Any) -> Any:
    return masks_of_file(data, [(batch,) for batch in _batches(pictures)], OutputSpec())


def test_values_are_rounded_to_256_steps() -> None:
    x = np.linspace(-2, 3, 1001, dtype=np.float32)
    found = ops.convert_to_numpy(fake_quantize(x, Range(-1.0, 1.55)))
    assert len(np.unique(found)) == 256
    assert (found.min(), found.max()) == (pytest.approx(-1.0), pytest.approx(1.55))
    inside = (x >= -1) & (x <= 1.55)
    assert np.abs(found - x)[inside].max() <= 0.005 + 1e-6
    assert 0.0 in found


def test_kernels_are_rounded_per_channel() -> None:
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(3, 3, 2, 4)).astype(np.float32) * [1, 10, 100, 0]
    found = ops.convert_to_numpy(fake_quantize_kernel(kernel.astype(np.float32), (3,)))
    largest = np.abs(kernel).max(axis=(0, 1, 2))
    assert (np.abs(found - kernel).max(axis=(0, 1, 2)) <= largest / 254 * 1.001).all()
    assert np.abs(found - kernel)[..., :3].max() > 0


def test_gradients_pass_but_for_what_is_clipped() -> None:
    import tensorflow as tf

    x = tf.Variable([-2.0, -0.3, 0.3, 2.0])
    kernel = tf.Variable(np.random.default_rng(1).normal(size=(1, 1, 2, 2)).astype(np.float32))
    with tf.GradientTape() as tape:
        total = ops.sum(fake_quantize(x, Range(-1.0, 1.0))) + ops.sum(
            fake_quantize_kernel(kernel, (3,))
        )
    by_x, by_kernel = tape.gradient(total, [x, kernel])
    assert np.array_equal(by_x, [0, 1, 1, 0])
    assert np.array_equal(by_kernel, np.ones((1, 1, 2, 2)))


def test_tensors_within_an_op_are_not_rounded(graph: Graph, pictures: Any) -> None:
    names = {name for name, _ in measured_places(graph, _batches(pictures)[:2])}
    assert names == {"image", "relu", "uneven", "mixed", "logits", "mask"}


def test_what_is_played_is_what_the_file_does(graph: Graph, pictures: Any) -> None:
    ranges = measured_places(graph, _batches(pictures))
    played = with_fake_quantization(graph, ranges)
    exact = [np.asarray(graph(batch))[0, ..., 0] for batch in _batches(pictures)]
    guessed = [np.asarray(played(batch))[0, ..., 0] for batch in _batches(pictures)]
    real = _masks(_int8(graph, pictures), pictures)
    lost = np.mean([mae(a, b) for a, b in zip(exact, real, strict=True)])
    missed = np.mean([mae(a, b) for a, b in zip(guessed, real, strict=True)])
    assert lost > 0.01
    assert missed < lost / 4


def test_it_lowers_what_int8_loses(graph: Graph, pictures: Any, tmp_path: Path) -> None:
    options = FineTuningOptions(rounds=3, steps=60, learning_rate=2e-3)
    lessons = make_lessons(pictures, SPEC, graph, options)
    steps: list[tuple[int, int]] = []
    weights = [w.copy() for node in graph.nodes() for w in getattr(node.op, "get_weights", list)()]
    tuned = fine_tune_for_int8(
        graph, _batches(pictures), lessons, options, tmp_path, lambda *done: steps.append(done)
    )
    assert steps[-1][1] == 180
    assert tuned.after > tuned.before
    kept = [w for node in graph.nodes() for w in getattr(node.op, "get_weights", list)()]
    assert all(np.array_equal(a, b) for a, b in zip(weights, kept, strict=True))
    exact = [np.asarray(graph(batch))[0, ..., 0] for batch in _batches(pictures)]
    before, after = (
        np.mean(
            [mae(a, b) for a, b in zip(exact, _masks(_int8(g, pictures), pictures), strict=True)]
        )
        for g in (graph, tuned.graph)
    )
    assert after < 0.7 * before

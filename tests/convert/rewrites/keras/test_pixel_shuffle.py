"""Sub-pixel upsampling that is spelled by reshapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers, ops

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.choice import CheapestForm
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.graph import Value, apply_op, trace
from portrait_tflite.convert.rewriter import rewrite_graph
from portrait_tflite.convert.rewrites.keras import pixel_shuffle
from portrait_tflite.convert.rewrites.keras.pixel_shuffle import PixelShuffle
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
REWRITE = PixelShuffle()


def _by_layers(x: Any, rows: int, columns: int) -> Any:
    _, height, width, depth = x.shape
    channels = depth // (rows * columns)
    x = layers.Permute((1, 3, 2, 4, 5))(layers.Reshape((height, width, rows, columns, channels))(x))
    return layers.Reshape((height * rows, width * columns, channels))(x)


def _by_operations(x: Any, rows: int, columns: int) -> Any:
    _, height, width, depth = x.shape
    channels = depth // (rows * columns)
    x = ops.transpose(
        ops.reshape(x, (-1, height, width, rows, columns, channels)), (0, 1, 3, 2, 4, 5)
    )
    return ops.reshape(x, (-1, height * rows, width * columns, channels))


def _as_pytorch_has_it(x: Any, rows: int, columns: int) -> Any:
    _, height, width, depth = x.shape
    channels = depth // (rows * columns)
    x = layers.Permute((1, 4, 2, 5, 3))(layers.Reshape((height, width, channels, rows, columns))(x))
    return layers.Reshape((height * rows, width * columns, channels))(x)


def _net(
    shuffle: Build, height: int = 4, width: int = 5, block: tuple[int, int] = (2, 2), depth: int = 3
) -> keras.Model:
    x = keras.Input((height, width, 3))
    y = shuffle(layers.Conv2D(depth * block[0] * block[1], 1)(x), *block)
    return keras.Model(x, layers.Conv2D(1, 3, name="head")(y))


@settings(
    deadline=None,
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    shuffle=st.sampled_from([_by_layers, _by_operations, _as_pytorch_has_it]),
    height=st.integers(2, 6),
    width=st.integers(2, 6),
    block=st.integers(2, 4),
    depth=st.integers(1, 4),
)
def test_it_is_one_op(
    rewrite_with: Build, shuffle: Build, height: int, width: int, block: int, depth: int
) -> None:
    outcome = rewrite_with(_net(shuffle, height, width, (block, block), depth), [REWRITE])
    assert outcome.forms == ["depth_to_space"]
    assert outcome.error <= 1e-6


@pytest.mark.parametrize("shuffle", [_by_layers, _as_pytorch_has_it])
def test_the_gpu_takes_it(randomized: Build, shuffle: Build) -> None:
    graph = trace(randomized(_net(shuffle)))
    picture = np.random.default_rng(0).random((1, 4, 5, 3), np.float32)
    rewritten = rewrite_graph(graph, picture, CheapestForm(Delegate.GPU), [REWRITE]).graph
    complete = [audit_model(Export(each).convert()).gpu.complete for each in (graph, rewritten)]
    assert complete == [False, True]


@pytest.mark.parametrize("block", [(2, 3), (1, 1)])
def test_other_blocks_stay(randomized: Build, rewrite_with: Build, block: tuple[int, int]) -> None:
    outcome = rewrite_with(randomized(_net(_by_layers, block=block)), [REWRITE])
    assert outcome.forms == []


def test_channels_that_no_convolution_gives_stay(randomized: Build, rewrite_with: Build) -> None:
    x = keras.Input((4, 5, 12))
    model = keras.Model(x, layers.Conv2D(1, 3)(_as_pytorch_has_it(x, 2, 2)))
    outcome = rewrite_with(randomized(model), [REWRITE])
    assert outcome.forms == []
    assert "no convolution gives the channels" in outcome.reasons[0]


def test_channels_in_another_order_are_caught(
    randomized: Build, rewrite_with: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = pixel_shuffle.depth_to_space
    monkeypatch.setattr(
        pixel_shuffle, "depth_to_space", lambda name, x, block: _turned(right(name, x, block))
    )
    outcome = rewrite_with(randomized(_net(_by_layers)), [REWRITE])
    assert outcome.forms == []
    assert outcome.reasons[0].startswith("verification failed: depth_to_space differs by ")


def _turned(value: Value) -> Value:
    return apply_op("turned", layers.Lambda(lambda x: ops.flip(x, -1)), value)

"""The network before and after all rewrites: rounding, and faults that no single place shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.graph import Graph, trace
from portrait_tflite.convert.plan import RewriteRequest, rewrite_for
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.convert.whole_net import require_same_net, whole_net_error
from portrait_tflite.errors import ConversionError
from portrait_tflite.vocabulary import Approximation, Delegate, Level, RewriteRecord

Build = Callable[..., Any]
GPU = Delegate.GPU
RESIZE = RewriteRequest(approximate=frozenset({Approximation.RESIZE}))


def _net(randomized: Build) -> keras.Model:
    x = keras.Input((6, 6, 3))
    return randomized(keras.Model(x, layers.Conv2DTranspose(1, 4, strides=2, padding="same")(x)))


def _scaled(*factors: float) -> Graph:
    x = keras.Input((8, 8, 3))
    y = x
    for factor in factors:
        y = layers.Rescaling(factor)(y)
    return trace(keras.Model(x, y))


def _record(*, exact: bool) -> RewriteRecord:
    return RewriteRecord(
        rewrite="halve",
        level=Level.KERAS,
        layer="a",
        exact=exact,
        max_abs_error=0.0,
        max_rel_error=0.0,
        chosen="half",
        candidates=(),
        reason="",
    )


def _require(before: Graph, after: Graph, images: Any, *exact: bool) -> None:
    rewritten = Rewritten(after, tuple(_record(exact=one) for one in exact), ())
    require_same_net(before, rewritten, images, whole_net_error(before, after, images))


def test_another_network_is_refused_by_the_names_of_its_rewrites(images_for: Build) -> None:
    images = images_for(keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1.0)]), 3)
    with pytest.raises(ConversionError, match=r"from halve: .* 5\.0e-01 .*on 3 pictures.*-NAME"):
        _require(_scaled(1.0), _scaled(1.0, 0.5), images, True)
    # What was asked for as an approximation is judged by accuracy.
    _require(_scaled(1.0), _scaled(1.0, 0.5), images, True, False)


def test_rounding_and_single_pixels_are_no_other_network(images_for: Build) -> None:
    images = images_for(keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1.0)]), 3)
    _require(_scaled(1.0), _scaled(1.001), images, True)
    x = keras.Input((64, 64, 1))
    steps = [layers.Rescaling(1.0, -at)(x) for at in (0.5, 0.5 + 1e-6)]
    before, after = (trace(keras.Model(x, keras.ops.sign(step))) for step in steps)
    noise = np.random.default_rng(0).random((2, 64, 64, 1), np.float32) * 0.4
    noise[0, 5, 5] = 0.5 + 5e-7
    assert whole_net_error(before, after, noise).max_rel_error == 2
    _require(before, after, noise, True)


def test_a_network_that_float32_does_not_hold_is_not_blamed_on_rewrites(images_for: Build) -> None:
    x = keras.Input((8, 8, 3))
    lossy = layers.Rescaling(1.0, -3e6)(layers.Rescaling(1.0, 3e6)(x))
    before, after = trace(keras.Model(x, lossy)), _scaled(1.0)
    images = images_for(keras.Model(x, lossy), 3)
    error = whole_net_error(before, after, images)
    assert error.max_rel_error > 1e-2
    _require(before, after, images, True)
    # Without the proof by float64 it would be.
    unproved = dataclasses.replace(error, rounding=None)
    with pytest.raises(ConversionError):
        require_same_net(before, Rewritten(after, (_record(exact=True),), ()), images, unproved)


def test_the_whole_network_is_compared_on_every_image(randomized: Build, images_for: Build) -> None:
    model = _net(randomized)
    graph, images = trace(model), images_for(model, 3)
    assert whole_net_error(graph, graph, images).max_abs_error == 0
    exact = rewrite_for(graph, GPU, RewriteRequest(), images)
    error = whole_net_error(graph, exact.graph, images)
    assert error.images == 3
    assert error.max_rel_error <= 1e-5
    fitted = rewrite_for(graph, GPU, RESIZE, images)
    assert whole_net_error(graph, fitted.graph, images).max_rel_error > 1e-3


@pytest.mark.parametrize(("scale", "wrong"), [(1.0, False), (1.01, True)])
def test_rounding_is_told_from_a_fault(images_for: Build, scale: float, wrong: bool) -> None:
    x = keras.Input((8, 8, 3))
    lossy = layers.Rescaling(1.0, -1e4)(layers.Rescaling(1.0, 1e4)(x))
    model = keras.Model(x, lossy)
    graph, images = trace(model), images_for(model, 3)
    other = trace(keras.Model(x, layers.Rescaling(scale)(x)))
    error = whole_net_error(graph, other, images)
    assert error.max_rel_error > 1e-5
    assert error.rounding is not None
    assert 1e-5 < error.rounding.original < 1e-3
    assert (error.rounding.rewritten > error.rounding.original) == wrong


def test_what_is_alike_is_not_computed_in_float64(images_for: Build) -> None:
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, layers.Rescaling(2.0)(x))
    assert whole_net_error(trace(model), trace(model), images_for(model)).rounding is None

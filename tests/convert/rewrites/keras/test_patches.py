"""Patches of a picture, alone and with the product behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.graph import apply_op, trace
from portrait_tflite.convert.rewriter import TOLERANCE
from portrait_tflite.convert.rewrites.keras import patches as patches_module
from portrait_tflite.convert.rewrites.keras.dense_as_convolution import DenseAsConvolution
from portrait_tflite.convert.rewrites.keras.patches import MergePatches, PatchesAsDepth
from portrait_tflite.vocabulary import ModelSpec

from ...arm_ratio import int8_of

Build = Callable[..., Any]
MERGE, DEPTH = MergePatches(), PatchesAsDepth()


def _net(*stack: Any, side: tuple[int, int] = (12, 16), **patches: Any) -> keras.Model:
    """Patches of a picture and what is behind them; a tuple is a reshape."""
    x = keras.Input((*side, 3))
    y = ops.image.extract_patches(x, **{"size": 4, **patches})
    for layer in stack:
        y = ops.reshape(y, layer) if isinstance(layer, tuple) else layer(y)
    return keras.Model(x, y)


def _tokens(net: keras.Model) -> int:
    return int(np.prod(net.output.shape[1:3]))


@pytest.mark.parametrize("layer", [layers.Dense(5, "relu"), layers.Conv2D(5, 1, use_bias=False)])
def test_a_product_with_patches_is_one_convolution(
    randomized: Build, rewrite_with: Build, layer: Any
) -> None:
    outcome = rewrite_with(randomized(_net(layer)), [DenseAsConvolution(), MERGE])
    assert outcome.forms[-1] == "convolution"
    assert outcome.ops == ["Conv2D"]
    assert outcome.error <= TOLERANCE


@pytest.mark.parametrize("row", [layers.Reshape((-1, 48)), (-1, 12, 48)])
def test_patches_may_stand_in_a_row(randomized: Build, rewrite_with: Build, row: Any) -> None:
    outcome = rewrite_with(randomized(_net(row, layers.Dense(5, "gelu"))), [MERGE])
    assert outcome.ops == ["Conv2D", "Reshape"]
    assert outcome.error <= TOLERANCE


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    side=st.tuples(st.integers(10, 13), st.integers(10, 13)),
    step=st.sampled_from(["of_size", "strides", "dilation_rate"]),
    number=st.integers(1, 3),
    padding=st.sampled_from(["same", "valid"]),
    bias=st.booleans(),
    row=st.booleans(),
    seed=st.integers(0, 1 << 16),
)
def test_whatever_the_patches_are(
    every_form: Build, size: Any, side: Any, step: str, number: int, padding: str, bias: bool,
    row: bool, seed: int,
) -> None:  # fmt: skip
    options: dict[str, Any] = {"size": size, "padding": padding}
    if step != "of_size":
        options["strides"] = number if step == "strides" else 1
        options["dilation_rate"] = number if step == "dilation_rate" else 1
    patches = _net(side=side, **options)
    assert _error(every_form(patches, DEPTH)) <= TOLERANCE
    channels = 3 * size[0] * size[1]
    product = layers.Dense(5, "relu", use_bias=bias) if row else layers.Conv2D(5, 1, use_bias=bias)
    net = _net(
        *([layers.Reshape((_tokens(patches), channels))] * row), product, side=side, **options
    )
    rng = np.random.default_rng(seed)
    product.set_weights([rng.normal(size=weight.shape) for weight in product.weights])
    assert _error(every_form(net, MERGE)) <= TOLERANCE


def _error(errors: dict[str, float | None]) -> float:
    (error,) = errors.values()
    assert error is not None
    return error


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({}, "space_to_depth"),
        ({"strides": 2}, "convolution"),
        ({"size": (2, 4)}, "convolution"),
        ({"size": 5}, "convolution"),
    ],
)
def test_patches_alone(rewrite_with: Build, options: Any, form: str) -> None:
    outcome = rewrite_with(_net(**options), [DEPTH])
    assert outcome.forms == [form]
    assert outcome.error == 0


def test_int8_takes_patches_alone_as_they_are() -> None:
    x = keras.Input((16, 16, 3))
    y = layers.MaxPooling2D(2)(ops.image.extract_patches(x, 2))
    model = keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(layers.UpSampling2D(4)(y)))
    pictures = np.random.default_rng(1).uniform(0, 1, (4, 16, 16, 3)).astype(np.float32)
    data = int8_of(model, ModelSpec(16, 16), pictures)
    assert op_names(read_model(data))[0] == "SPACE_TO_DEPTH"
    audit = audit_model(data).xnnpack
    assert (audit.partitions, audit.outside) == (1, ())


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (_net(layers.Conv2D(5, 3)), "it looks at several patches"),
        (_net(layers.Conv2D(4, 1, groups=2)), "it does not look at the whole patch"),
        (_net(layers.ReLU(), layers.Dense(4)), "something is between"),
        (_net(data_format="channels_first", size=2), "channels come first"),
    ],
)
def test_another_product_stays(net: keras.Model, why: str) -> None:
    graph = trace(net)
    assert MERGE.match(graph.output, graph.uses()) is None, why


def test_patches_that_are_read_twice_stay(refusal_of: Build) -> None:
    x = keras.Input((8, 8, 3))
    y = ops.image.extract_patches(x, 4)
    graph = trace(keras.Model(x, layers.Add()([layers.Conv2D(48, 1)(y), y])))
    product = graph.output.node.inputs[0]
    found = MERGE.match(product, graph.uses())
    assert "also used elsewhere" in getattr(found, "reason", "")
    assert "takes patches apart" in refusal_of(_net((-1, 24), layers.Dense(4)), MERGE)


class ExtractPatches(keras.Operation):
    """The user's own, under the same name."""

    def call(self, x: Any) -> Any:
        return 2 * ops.image.extract_patches(x, 4)

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor((x.shape[0], x.shape[1] // 4, x.shape[2] // 4, 48))


def test_an_operation_of_the_users_own_stays() -> None:
    x = keras.Input((8, 8, 3))
    graph = trace(keras.Model(x, ExtractPatches()(x)))
    assert DEPTH.match(graph.output, graph.uses()) is None


@pytest.mark.parametrize("fault", ["mixed", "no_bias"])
def test_a_broken_product_is_undone(
    randomized: Build, rewrite_with: Build, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def broken(layer: Any) -> tuple[Any, Any]:
        kernel, bias = (np.asarray(weight) for weight in layer.get_weights())
        return (kernel[:, :, ::-1], bias) if fault == "mixed" else (kernel, None)

    monkeypatch.setattr(patches_module, "weights_of", broken)
    outcome = rewrite_with(randomized(_net(layers.Conv2D(4, 1))), [MERGE])
    assert "verification failed" in outcome.reasons[0]
    assert outcome.error == 0


def test_patches_in_another_order_are_undone(
    rewrite_with: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def channels_first(name: str, source: Any, block: int) -> Any:
        def moved(x: Any) -> Any:
            parts = ops.reshape(ops.space_to_depth(x, block), (-1, 3, 4, block * block, 3))
            return ops.reshape(ops.swapaxes(parts, 3, 4), (-1, 3, 4, 3 * block * block))

        return apply_op(name, moved, source)

    monkeypatch.setattr(patches_module, "space_to_depth", channels_first)
    outcome = rewrite_with(_net(), [DEPTH])
    assert "verification failed" in outcome.reasons[0]

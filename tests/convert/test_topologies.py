"""Networks of every build are rewritten throughout: nested, shared, subclassed, many-ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from portrait_tflite.convert.choice import CheapestForm, EveryExactForm
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.describe import count_parameters
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.convert.plan import mask_graph
from portrait_tflite.convert.rewriter import rewrite_graph
from portrait_tflite.convert.rewrites.keras.order import REWRITES
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Activation, Delegate, ModelSpec

Build = Callable[..., Any]
SIZE = (8, 8, 3)


def _block(x: Any, name: str, filters: int = 4) -> Any:
    """Convolution, normalization, ReLU: both rewrites have to do here."""
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_conv")(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def _model(channels: int = 4, name: str = "inner") -> keras.Model:
    x = keras.Input((8, 8, channels))
    return keras.Model(x, _block(x, name), name=name)


def _mask(x: Any) -> Any:
    return layers.Conv2D(1, 1, name="mask")(x)


def _nested_twice_deep() -> keras.Model:
    x = keras.Input((8, 8, 4))
    outer = keras.Model(x, _block(_model()(x), "outer"), name="outer_net")
    y = keras.Input(SIZE)
    return keras.Model(y, _mask(outer(_block(y, "stem"))))


def _nested_called_twice() -> keras.Model:
    inner, x = _model(), keras.Input(SIZE)
    y = _block(x, "stem")
    # On two tensors, of which one is what the first call gave.
    return keras.Model(x, _mask(layers.Add()([inner(y), inner(inner(y))])))


def _nested_with_outputs() -> keras.Model:
    x = keras.Input((8, 8, 4))
    inner = keras.Model(x, [_block(x, "unused"), _block(x, "used")])
    y = keras.Input(SIZE)
    return keras.Model(y, _mask(inner(_block(y, "stem"))[1]))


def _nested_with_inputs() -> keras.Model:
    one, two = keras.Input((8, 8, 4)), keras.Input((8, 8, 4))
    inner = keras.Model([one, two], layers.Subtract()([_block(one, "one"), two]))
    y = keras.Input(SIZE)
    a, b = _block(y, "a"), _block(y, "b")
    # Turned round, and one tensor for both.
    return keras.Model(y, _mask(layers.Concatenate()([inner([b, a]), inner([a, a])])))


def _nested_with_named_inputs() -> keras.Model:
    ends = {"b": keras.Input((8, 8, 4), name="b"), "a": keras.Input((8, 8, 4), name="a")}
    inner = keras.Model(ends, {"sum": layers.Subtract()([_block(ends["b"], "in"), ends["a"]])})
    y = keras.Input(SIZE)
    given = {"a": _block(y, "one"), "b": _block(y, "two")}
    return keras.Model(y, _mask(inner(given)["sum"]))


def _sequential() -> keras.Model:
    parts = [layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential([keras.Input(SIZE), *parts, layers.Conv2D(1, 1, name="mask")])


def _sequential_inside() -> keras.Model:
    parts = [layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(), layers.ReLU()]
    x = keras.Input(SIZE)
    return keras.Model(x, _mask(keras.Sequential(parts)(x)))


class Block(layers.Layer):
    """Calls layers of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.conv = layers.Conv2D(4, 3, padding="same", name="own_conv")
        self.norm = layers.BatchNormalization(name="own_norm")
        self.drop = layers.Dropout(0.5)

    def build(self, shape: Any) -> None:
        self.conv.build(shape)
        self.norm.build(self.conv.compute_output_shape(shape))
        self.scale = self.add_weight(name="scale", shape=(1,))

    def call(self, x: Any, training: bool | None = None) -> Any:
        y = self.norm(self.conv(x), training=training)
        return ops.relu(self.drop(y, training=training)) * self.scale + 1.0


class Net(keras.Model):
    """Functional inside of a subclass inside of a functional one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.block, self.inner = Block(), _model()

    def call(self, x: Any) -> Any:
        return self.inner(self.block(x))


class Overridden(keras.Model):
    """Built as a graph, but computes something else."""

    def call(self, x: Any) -> Any:
        return 2.0 * super().call(x)


def _subclassed_inside() -> keras.Model:
    x = keras.Input(SIZE)
    return keras.Model(x, _mask(Net(name="net")(x)))


def _overridden_inside() -> keras.Model:
    inner = keras.Input(SIZE)
    x = keras.Input(SIZE)
    return keras.Model(x, _mask(Overridden(inner, _block(inner, "inner"))(x)))


@pytest.mark.parametrize(
    ("build", "blocks"),
    [
        (_nested_twice_deep, 3),
        (_nested_called_twice, 4),
        (_nested_with_outputs, 2),
        (_nested_with_inputs, 4),
        (_nested_with_named_inputs, 3),
        (_sequential, 1),
        (_sequential_inside, 1),
        (_subclassed_inside, 2),
        (_overridden_inside, 1),
    ],
)
def test_every_part_is_rewritten(
    randomized: Build, rewrite_with: Build, build: Callable[[], keras.Model], blocks: int
) -> None:
    outcome = rewrite_with(randomized(build()), REWRITES)
    assert outcome.error < 1e-5
    assert outcome.ops.count("BatchNormalization") == 0, outcome.result.skipped
    assert len(outcome.forms) >= blocks


def test_rewriting_one_call_of_a_shared_layer_leaves_the_other(
    randomized: Build, rewrite_with: Build
) -> None:
    x = keras.Input((8, 8, 4))
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    one = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(shared(x)))
    model = randomized(keras.Model(x, layers.Concatenate()([one, shared(one)])))
    before = [np.array(weight) for weight in shared.get_weights()]
    outcome = rewrite_with(model, REWRITES)
    assert outcome.error < 1e-5
    assert "BatchNormalization" not in outcome.ops
    kept = [node for node in outcome.result.graph.nodes() if node.op is shared]
    assert len(kept) == 1
    for old, new in zip(before, shared.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_shared_layer_is_in_the_file_once(randomized: Build) -> None:
    def built(*, shared: bool) -> bytes:
        x = keras.Input((8, 8, 16))
        convs = [layers.Conv2D(16, 3, padding="same", activation="relu") for _ in range(3)]
        y = x
        for conv in convs:
            y = (convs[0] if shared else conv)(y)
        return Export(trace(randomized(keras.Model(x, y)))).convert()

    once, thrice = count_parameters(built(shared=True)), count_parameters(built(shared=False))
    assert once == 16 * 9 * 16 + 16
    assert thrice == 3 * once


class _Foreign(layers.Layer):
    """Uses TensorFlow's own functions, which symbolic tensors cannot pass."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.conv = layers.Conv2D(4, 1)

    def call(self, x: Any) -> Any:
        return tf.nn.relu(self.conv(x))


class _Random(layers.Layer):
    """Does not compute twice the same: nothing that was laid open can be trusted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.conv = layers.Conv2D(4, 1)

    def call(self, x: Any) -> Any:
        return self.conv(x) + float(np.random.default_rng().normal())


@pytest.mark.parametrize("part", [_Foreign, _Random])
def test_what_cannot_be_laid_open_stays_whole_and_is_reported(
    randomized: Build, images_for: Build, part: type[layers.Layer]
) -> None:
    x = keras.Input(SIZE)
    model = randomized(keras.Model(x, _mask(_block(part(name="foreign")(x), "after"))))
    graph, skipped = mask_graph(model, ModelSpec(8, 8))
    assert [(s.rewrite, s.layer) for s in skipped] == [("all", "foreign")]
    assert "cannot be walked" in skipped[0].reason
    chooser = EveryExactForm(CheapestForm(Delegate.XNNPACK))
    result = rewrite_graph(graph, images_for(model), chooser, REWRITES)
    # The rest is rewritten all the same.
    assert "after_norm" in [record.layer for record in result.records]
    assert any(isinstance(node.op, part) for node in result.graph.nodes())


def test_a_subclassed_file_is_loaded_as_a_graph(randomized: Build, tmp_path: Any) -> None:
    model = Net(name="net")
    images = np.random.default_rng(0).normal(size=(1, *SIZE)).astype(np.float32)
    model(images)
    randomized(model)
    model.save(tmp_path / "net.keras")
    keras.saving.get_custom_objects().update({"Net": Net, "Block": Block})
    try:
        options = LoadOptions(
            size=(8, 8), input_range=(0.0, 1.0), output_channel=1, activation=Activation.NONE
        )
        loaded = load_model(str(tmp_path / "net.keras"), options)
    finally:
        keras.saving.get_custom_objects().clear()
    graph, skipped = mask_graph(loaded.model, loaded.spec)
    assert skipped == ()
    assert "own_norm" in [node.name for node in graph.nodes()]
    np.testing.assert_allclose(graph(images), model(images)[..., 1:2], atol=1e-5)
    runner = open_model(Export(graph).convert(), Delegate.CPU)
    np.testing.assert_allclose(runner.run(images)[0], model(images)[..., 1:2], atol=1e-4)

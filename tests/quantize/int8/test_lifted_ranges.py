"""Ranges that are too small for what they are computed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.mending.mend import REWRITES
from portrait_tflite.deadly_ops import find_deadly_op
from portrait_tflite.quantize.built import Treatable
from portrait_tflite.quantize.int8 import ranged_network
from portrait_tflite.quantize.int8.lifted_ranges import lift_ranges
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Range
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, IoType, Precision

SHAPE = (16, 16, 3)
SHAPES = {"CONV_2D": (4, 1, 1, 4), "DEPTHWISE_CONV_2D": (1, 1, 1, 4), "FULLY_CONNECTED": (4, 4)}
DEAD = {"padding": "same", "activation": "relu", "name": "dead", "bias_initializer": "zeros"}


def _frames() -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(1)
    return [(rng.random((1, *SHAPE), np.float32),) for _ in range(8)]


def _squeeze(y: Any) -> Any:
    z = layers.Dense(2, "relu", name="dead")(layers.GlobalAveragePooling2D()(y))
    z = layers.Dense(8, "sigmoid", bias_initializer="uniform")(z)
    return layers.Multiply()([y, layers.Reshape((1, 1, 8))(z)])


def _moved(y: Any) -> Any:
    z = layers.MaxPooling2D()(layers.Conv2D(8, 3, **DEAD)(y))
    z = layers.UpSampling2D(interpolation="bilinear")(layers.Reshape((8, 8, 8))(z))
    return layers.Conv2D(8, 3, padding="same", bias_initializer="uniform")(z)


def _stand_alone(y: Any, layer: Any) -> Any:
    z = layers.Conv2D(8, 3, padding="same", name="dead")(y)
    one, other = layers.Conv2D(8, 1)(layer(z)), layers.Conv2D(8, 1)(z)
    return layers.Add()([one, other])


BLOCKS: dict[str, Callable[[Any], Any]] = {
    "FULLY_CONNECTED": _squeeze,
    "CONV_2D": layers.Conv2D(8, 3, **DEAD),
    "DEPTHWISE_CONV_2D": layers.DepthwiseConv2D(3, **DEAD),
    "TRANSPOSE_CONV": layers.Conv2DTranspose(8, 3, **DEAD),
    "ADD": lambda y: layers.ReLU()(layers.Add()([y * 0.1, layers.Conv2D(8, 3, name="dead")(
        layers.ZeroPadding2D()(y))])),
    "moved": _moved,
}  # fmt: skip


def _net(block: Callable[[Any], Any]) -> RangedNetwork:
    """Give a network of which one layer, with a large negative bias, is dead behind its ReLU."""
    keras.utils.set_random_seed(3)
    x = keras.Input(SHAPE)
    y = layers.Conv2D(8, 3, padding="same", activation="relu", bias_initializer="uniform")(x)
    y = layers.Conv2D(1, 1, activation="sigmoid", bias_initializer="uniform")(block(y))
    model = keras.Model(x, y)
    kernel, bias = model.get_layer("dead").get_weights()
    model.get_layer("dead").set_weights([kernel, bias - 8])
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    return measured_network(data, _frames())


@pytest.mark.parametrize("block", BLOCKS)
def test_a_dead_branch_stays_on_xnnpack(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = _net(BLOCKS[block])
    built = Treatable(network, _frames(), _frames()[:2], IoType.FLOAT32, REWRITES).build()
    runner, exact = open_model(built.data), open_model(network.data)
    assert (runner.partitions, runner.outside) == (1, ())
    for frame in _frames():
        assert np.abs(runner.run(*frame)[0] - exact.run(*frame)[0]).max() < 0.01
    monkeypatch.setattr(ranged_network, "lift_ranges", lambda _, ranges: ranges)
    plain = find_deadly_op(quantize_network(network), Delegate.XNNPACK)
    assert plain.startswith("CONV_2D" if block == "moved" else block)


def _links(graph: Any, op: str, largest: float, bias: float = 0.0) -> tuple[bytes, list[int]]:
    """Build two of an op in a row, with ReLU; the tensors are the picture and both outputs."""
    shape = (1, 4) if op == "FULLY_CONNECTED" else (1, 4, 4, 4)
    kernel = np.linspace(-largest, largest, num=int(np.prod(SHAPES[op]))).reshape(SHAPES[op])
    weights = graph.tensor("w", SHAPES[op], "float32", data=kernel)
    biases = graph.tensor("b", (4,), "float32", data=np.full(4, bias))
    strides = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    options: Any = schema.FullyConnectedOptionsT()
    if op == "CONV_2D":
        options = schema.Conv2DOptionsT(**strides)
    elif op == "DEPTHWISE_CONV_2D":
        options = schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **strides)
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU
    x, y, z = (graph.tensor(name, shape, "float32") for name in "xyz")
    graph.op(op, [x, weights, biases], y, 1, options)
    graph.op(op, [y, weights, biases], z, 1, options)
    return graph.build([x], [z]), [x, y, z]


@pytest.mark.parametrize("op", SHAPES)
@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 0.0, (0.0, 16.0)),
        (0.0, 1e-3, (0.0, 16.0)),
        (-1.5, 0.5, (-12.0, 4.0)),
        (0.0, 3.9, (0.0, 16.0)),
        (0.0, 4.1, (0.0, 4.1)),  # nothing is gained
        (-100.0, 900.0, (-100.0, 900.0)),
    ],
)
def test_a_range_of_few_units_has_sixteen(
    tiny_graph: Callable[[], Any], op: str, low: float, high: float, expected: tuple[float, float]
) -> None:
    data, (x, y, z) = _links(tiny_graph(), op, 1.27)
    unit = 0.01 * 0.01  # of a picture of 255 hundredths and weights of ± 127 hundredths
    ranges = {x: Range(0.0, 2.55), y: Range(low * unit, high * unit), z: Range(0.0, 10.0)}
    found = lift_ranges(read_model(data), ranges)
    ends = 255 / 256 * np.array(expected) if expected[1] - expected[0] == 16 else expected
    assert np.allclose([found[y].low, found[y].high], np.multiply(ends, unit))
    assert (found[x], found[z]) == (ranges[x], ranges[z])


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    op=st.sampled_from(sorted(SHAPES)),
    scales=st.tuples(*[st.floats(-12.0, 3.0)] * 4),
    sign=st.sampled_from([-1.0, 0.0, 1.0]),
    dead=st.booleans(),
)
def test_whatever_the_numbers_are_xnnpack_takes_them(
    tiny_graph: Callable[[], Any],
    op: str,
    scales: tuple[float, float, float, float],
    sign: float,
    *,
    dead: bool,
) -> None:
    picture, weights, held, bias = (10.0**scale for scale in scales)
    data, tensors = _links(tiny_graph(), op, weights, sign * bias)
    holds = [Range(0.0, picture), Range(0.0, 0.0 if dead else held), Range(0.0, 0.0)]
    quantized = quantize_network(RangedNetwork(data, dict(zip(tensors, holds, strict=True))))
    assert find_deadly_op(quantized, Delegate.XNNPACK) == ""
    assert open_model(quantized).partitions == 1

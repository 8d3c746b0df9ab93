"""int8 from ranges."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes, op_names
from portrait_tflite.convert.graph import trace
from portrait_tflite.errors import ConversionError
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.post_training import configure
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Range, measure_ranges
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import IoType, Precision

SHAPE = (16, 16, 3)


def _pictures(count: int = 8) -> list[Any]:
    rng = np.random.default_rng(1)
    return [[rng.random((1, *SHAPE), np.float32)] for _ in range(count)]


@pytest.fixture(scope="module")
def export() -> Export:
    keras.utils.set_random_seed(3)
    x = keras.Input(SHAPE)
    y = layers.Conv2D(8, 3, 2, "same", activation="relu", bias_initializer="uniform")(x)
    z = layers.DepthwiseConv2D(3, padding="same", bias_initializer="uniform")(y)
    y = layers.UpSampling2D(interpolation="bilinear")(layers.MaxPooling2D()(y))
    y = layers.Concatenate()([y, z])
    y = layers.Conv2DTranspose(1, 2, 2, "same", activation="sigmoid", bias_initializer="uniform")(y)
    return Export(trace(keras.Model(x, y)))


@pytest.fixture(scope="module")
def network(export: Export) -> RangedNetwork:
    data = export.float_model(Precision.FLOAT32)
    return RangedNetwork(data, measure_ranges(data, [tuple(frame) for frame in _pictures()]))


def _node(data: bytes, op: str) -> Node:
    return next(node for node in list_nodes(read_model(data)) if node.op == op)


def _quantizations(data: bytes) -> list[tuple[str, float, int]]:
    return [
        (node.op, node.outputs[0].scale, node.outputs[0].zero_point)
        for node in list_nodes(read_model(data))
    ]


@pytest.mark.parametrize("io", list(IoType))
def test_it_is_what_the_converter_makes(export: Export, network: RangedNetwork, io: IoType) -> None:
    theirs = export.convert(
        lambda converter: configure(converter, Precision.INT8, lambda: iter(_pictures()), io)
    )
    ours = quantize_network(network, io)
    for one, other in zip(_quantizations(ours), _quantizations(theirs), strict=True):
        assert one == pytest.approx(other)
    (info,) = open_model(ours).inputs
    assert info.dtype == io
    rng = np.random.default_rng(4)
    values = rng.random(info.shape) * (1 if io is IoType.FLOAT32 else 100)
    outputs = [open_model(data).run(values.astype(info.dtype))[0] for data in (ours, theirs)]
    assert np.allclose(*outputs, atol=1e-6 if io is IoType.FLOAT32 else 0)


def test_the_given_ranges_are_taken(network: RangedNetwork) -> None:
    wide = network.with_picture(Range(-1.0, 1.0))
    (info,) = open_model(quantize_network(wide)).inputs
    assert (info.scale, info.zero_point) == (pytest.approx(2 / 255), -1)
    logits = _node(network.data, "TRANSPOSE_CONV").outputs[0].index
    wider = replace(network, ranges={**network.ranges, logits: Range(-12.8, 12.7)})
    found = _node(quantize_network(wider), "TRANSPOSE_CONV").outputs[0]
    assert (found.scale, found.zero_point) == (pytest.approx(0.1), 0)


def test_what_only_moves_the_picture_has_its_range() -> None:
    x = keras.Input(SHAPE)
    y = layers.ZeroPadding2D(1)(layers.Reshape((16, 8, 6))(x))
    y = layers.Conv2D(1, 3, bias_initializer="uniform")(y)
    data = Export(trace(keras.Model(x, y))).float_model(Precision.FLOAT32)
    measured = measure_ranges(data, [tuple(frame) for frame in _pictures()])
    quantized = quantize_network(RangedNetwork(data, measured).with_picture(Range(0.0, 255.0)))
    (info,) = open_model(quantized).inputs
    assert (info.scale, info.zero_point) == (1.0, -128)
    assert _node(quantized, "CONV_2D").inputs[0].scale == 1.0


def test_ops_named_stay_in_float(network: RangedNetwork) -> None:
    depthwise = _node(network.data, "DEPTHWISE_CONV_2D")
    kept = replace(network, in_float=frozenset({depthwise.tensor}))
    model = read_model(quantize_network(kept))
    assert _node(quantize_network(kept), "DEPTHWISE_CONV_2D").outputs[0].dtype == "float32"
    assert {"QUANTIZE", "DEQUANTIZE"} <= set(op_names(model))
    assert "DEQUANTIZE" not in op_names(read_model(quantize_network(network)))


def test_a_transposed_convolution_stays_in_float_with_its_weights(network: RangedNetwork) -> None:
    """The quantizer knows it by no name, and would round its weights."""
    before = _node(network.data, "TRANSPOSE_CONV")
    kept = quantize_network(replace(network, in_float=frozenset({before.tensor})))
    after = _node(kept, "TRANSPOSE_CONV")
    assert after.tensor == before.tensor
    assert [operand.dtype for operand in after.given()[1:]] == ["float32"] * len(before.given()[1:])
    assert [operand.scale for operand in after.given()[1:3]] == [0.0, 0.0]
    (exact, found) = (np.array(node.given()[1].data) for node in (before, after))
    assert np.array_equal(exact, found)
    assert _node(quantize_network(network), "TRANSPOSE_CONV").given()[1].dtype == "int8"


def test_what_is_refused_is_one_clear_line(
    network: RangedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> bytes:
        raise RuntimeError("no such op\nand a long trace")

    converter = importlib.import_module("tensorflow.lite.python.convert")
    monkeypatch.setattr(converter, "mlir_quantize", refuse)
    with pytest.raises(ConversionError, match="can quantize is required.*no such op$"):
        quantize_network(network)


def test_a_dense_block_with_a_tanh_gets_scales_that_agree() -> None:
    """Each concatenation would have another scale; `TFLiteConverter` alone refuses the network."""
    keras.utils.set_random_seed(1)
    x = keras.Input((8, 8, 3), batch_size=1)
    first = layers.Conv2D(4, 3, padding="same")(x)
    bounded = layers.Conv2D(2, 1, activation="tanh")(first)
    both = layers.Concatenate()([first, bounded])
    third = layers.Conv2D(2, 1, activation="relu")(both)
    mask = layers.Conv2D(1, 1, activation="sigmoid")
    model = keras.Model(x, mask(layers.Concatenate()([first, bounded, third])))
    data = Export(trace(model)).float_model(Precision.FLOAT32)
    rng = np.random.default_rng(2)
    pictures = [rng.random((1, 8, 8, 3), np.float32) for _ in range(4)]
    network = measured_network(data, [(picture,) for picture in pictures])
    joined = [node for node in list_nodes(read_model(data)) if node.op == "CONCATENATION"]
    assert len({network.ranges[node.outputs[0].index] for node in joined}) == 2
    quantized = quantize_network(network)
    runner = open_model(quantized)
    found = to_real(runner.run(to_stored(pictures[0], runner.inputs[0]))[0], runner.outputs[0])
    assert float(np.abs(found - np.asarray(model(pictures[0]))).max()) < 0.03
    scales = {
        n.outputs[0].scale for n in list_nodes(read_model(quantized)) if n.op == "CONCATENATION"
    }
    assert len(scales) == 1

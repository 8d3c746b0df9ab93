"""Nets with every kind of upsampling, rewritten by `auto`: what the delegates make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.export import Export, keras_converter, run_converter
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.plan import RewriteRequest, rewrite_for
from portrait_tflite.quantize.int8.post_training import configure
from portrait_tflite.quantize.variants import build_variants
from portrait_tflite.vocabulary import Delegate, IoType, Precision, Target

Build = Callable[..., Any]
SIZE = (12, 16, 16)


def _transposed(x: Any) -> Any:
    options = {"padding": "same", "activation": "relu"}
    x = layers.Conv2DTranspose(16, 3, strides=(2, 1), name="tall", **options)(x)
    x = layers.Conv2DTranspose(16, (4, 5), strides=(1, 3), name="wide", **options)(x)
    return layers.Conv2DTranspose(16, 3, strides=2, output_padding=1, name="odd", **options)(x)


def _nearest(x: Any) -> Any:
    options = {"padding": "same", "activation": "relu"}
    x = layers.UpSampling2D((3, 1), name="tall")(x)
    x = layers.Conv2D(16, 3, name="conv", **options)(x)
    x = layers.UpSampling2D(2, name="up")(x)
    x = layers.SeparableConv2D(16, 3, name="separable", **options)(x)
    skip = layers.UpSampling2D((1, 3), name="skip")(x)
    return layers.Add()([skip, layers.Conv2D(16, 3, padding="same", name="other")(skip)])


def _bilinear(x: Any) -> Any:
    x = layers.UpSampling2D((2, 3), interpolation="bilinear", name="up")(x)
    x = layers.Conv2D(8, 1, name="first")(x)
    return layers.Conv2D(8, 1, activation="relu", name="second")(x)


def _net(randomized: Build, upsample: Build) -> keras.Model:
    x = keras.Input(SIZE)
    y = upsample(layers.Conv2D(16, 3, padding="same", activation="relu", name="stem")(x))
    return randomized(keras.Model(x, layers.Conv2D(1, 3, activation="sigmoid", name="mask")(y)))


def _pictures() -> Any:
    return np.random.default_rng(1).normal(size=(4, *SIZE)).astype(np.float32)


def _representative() -> Iterator[list[Any]]:
    return iter([[picture[None]] for picture in _pictures()])


@pytest.mark.parametrize("upsample", [_transposed, _nearest, _bilinear])
def test_every_upsampling_is_one_partition_and_cheaper(randomized: Build, upsample: Build) -> None:
    model = _net(randomized, upsample)
    graph = trace(model)
    rewritten = {
        delegate: rewrite_for(graph, delegate, RewriteRequest(), _pictures()[:2])
        for delegate in (Delegate.XNNPACK, Delegate.GPU)
    }
    assert all(r.max_rel_error <= 1e-5 for one in rewritten.values() for r in one.records)
    # As planned for the GPU; mending weighs a file for XNNPACK, which has no nearest resize.
    _assert_gpu_complete(Export(rewritten[Delegate.GPU].graph).float_model(Precision.FLOAT16))
    built = build_variants(
        {Delegate.XNNPACK: rewritten[Delegate.XNNPACK].graph},
        (Precision.INT8,),
        Target.CPU,
        _representative,
        IoType.INT8,
        [picture[None] for picture in _pictures()[:1]],
    )
    int8 = audit_model(built["int8"].data).xnnpack
    assert (int8.partitions, int8.outside) == (1, ())
    table = CostTable.load("arm64")
    naive = predict(_naive(model), table).cycles
    assert predict(built["int8"].data, table).cycles < naive


def _assert_gpu_complete(data: bytes) -> None:
    assert audit_model(data).gpu.outside == ()
    resizes = [n for n in list_nodes(read_model(data)) if n.op.startswith("RESIZE")]
    assert not any(n.option("alignCorners") and n.option("halfPixelCenters") for n in resizes)


def _naive(model: keras.Model) -> bytes:
    converter = keras_converter(model, batch_one=True)
    configure(converter, Precision.INT8, _representative, IoType.INT8)
    return run_converter(converter)

"""From a Keras graph to int8 in one partition, for every kind of upsampling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.plan import RewriteRequest, mask_graph, rewrite_for
from portrait_tflite.errors import ConversionError
from portrait_tflite.models.blocks import UPSAMPLING, upsample
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.int8.post_training import float_ops, require_ends
from portrait_tflite.quantize.variants import build_variants, delegate_of
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import to_real, to_stored
from portrait_tflite.vocabulary import (
    Approximation,
    Delegate,
    IoType,
    ModelSpec,
    Precision,
    RewriteMode,
    Target,
)

Build = Callable[..., Any]
SPEC = ModelSpec(16, 16)


def _net(randomized: Build, how: str, kernel: int = 3) -> keras.Model:
    """A pre-activation U-Net: its stand-alone ReLUs are what shatters plain int8 files."""
    x = keras.Input((16, 16, 3))
    skip = layers.Conv2D(8, 3, padding="same", name="stem")(x)
    y = layers.Conv2D(16, 3, strides=2, padding="same", name="down")(layers.ReLU()(skip))
    y = layers.BatchNormalization(name="bn")(y)
    y = upsample(layers.ReLU()(y), 8, how, "up", kernel=kernel)
    y = layers.ReLU()(layers.Add(name="skip")([y, skip]))
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="mask")(y)
    return randomized(keras.Model(x, mask))


AUTO = RewriteRequest()
REQUESTS = {
    "auto": AUTO,
    "exact": RewriteRequest(RewriteMode.EXACT),
    "resize": RewriteRequest(approximate=frozenset({Approximation.RESIZE})),
}


def _pictures() -> Any:
    return np.random.default_rng(1).uniform(0, 1, (8, 16, 16, 3)).astype(np.float32)


def _representative() -> Iterator[list[Any]]:
    return iter([[picture[None]] for picture in _pictures()])


def _build(
    model: keras.Model, io: IoType = IoType.INT8, request: RewriteRequest = AUTO
) -> dict[str, Built]:
    graph, _ = mask_graph(model, SPEC)
    graphs = {
        delegate: rewrite_for(graph, delegate, request, _pictures()).graph
        for delegate in (Delegate.XNNPACK, Delegate.GPU)
    }
    checks = [(picture[None],) for picture in _pictures()[:2]]
    precisions = (Precision.FLOAT32, Precision.FLOAT16, Precision.INT8)
    return build_variants(graphs, precisions, Target.BOTH, _representative, io, checks)


@pytest.mark.parametrize(
    ("how", "kernel", "mode"),
    [
        *((how, 3, "auto") for how in UPSAMPLING),
        ("transposed", 2, "auto"),
        ("transposed", 3, "exact"),
        ("transposed", 3, "resize"),
        ("transposed", 1, "auto"),
    ],
)
def test_one_partition_and_nothing_outside(
    randomized: Build, how: str, kernel: int, mode: str
) -> None:
    model = _net(randomized, how, kernel)
    built = _build(model, request=REQUESTS[mode])
    audits = {name: audit_model(one.data) for name, one in built.items()}
    for name, audit in audits.items():
        assert (name, audit.xnnpack.partitions, audit.xnnpack.outside) == (name, 1, ())
    assert audits["float16"].gpu.outside == ()
    assert built["int8"].mended
    _assert_same_mask(model, built["int8"].data, 0.05 if mode != "resize" else 1)
    _assert_same_mask(model, built["float32"].data, 1e-4 if mode != "resize" else 1)


def _assert_same_mask(model: keras.Model, data: bytes, tolerance: float) -> None:
    runner = open_model(data)
    picture = _pictures()[:1]
    output = runner.run(to_stored(picture, runner.inputs[0]))[0]
    found = to_real(output, runner.outputs[0])
    assert np.abs(found - np.asarray(model(picture))).max() <= tolerance


@pytest.mark.parametrize("io", list(IoType))
def test_input_and_output_are_as_asked(randomized: Build, io: IoType) -> None:
    model = _net(randomized, "transposed")
    data = _build(model, io)["int8"].data
    runner = open_model(data)
    assert (runner.inputs[0].name, runner.inputs[0].dtype) == ("image", str(io))
    assert (runner.outputs[0].name, runner.outputs[0].dtype) == ("mask", str(io))
    # From uint8 XNNPACK quantizes through float only: mending goes that way.
    if io is not IoType.UINT8:
        assert float_ops(data) == ()
    _assert_same_mask(model, data, 0.05)
    for other in set(IoType) - {io}:
        with pytest.raises(ConversionError, match=f"must be {other}. Received: {io.upper()} at"):
            require_ends(data, other)


def test_a_float_file_is_not_int8(randomized: Build) -> None:
    data = Export(mask_graph(_net(randomized, "subpixel"), SPEC)[0]).convert()
    with pytest.raises(ConversionError, match=r"must be int8\. Received: FLOAT32 at 'image'"):
        require_ends(data, IoType.INT8)
    # The ends are as asked, what lies between is not.
    require_ends(data, IoType.FLOAT32)
    assert "CONV_2D" in {node.op for node in float_ops(data)}


def test_each_variant_takes_the_graph_of_its_delegate(randomized: Build) -> None:
    built = _build(_net_with_fused_activation(randomized))
    ops = {name: audit_model(one.data).ops for name, one in built.items()}
    # For the GPU a TRANSPOSE_CONV would be version 4; on arm64 several convolutions are cheapest.
    assert "CONCATENATION" in ops["int8"]
    assert {"CONCATENATION", "TRANSPOSE_CONV"}.isdisjoint(ops["float16"])


def _net_with_fused_activation(randomized: Build) -> keras.Model:
    x = keras.Input((16, 16, 3))
    y = layers.Conv2D(16, 1)(x)
    y = layers.Conv2DTranspose(32, 4, strides=2, padding="same", activation="relu", name="up")(y)
    y = layers.Conv2D(8, 3, strides=2, padding="same")(y)
    y = layers.UpSampling2D(2)(y)
    return randomized(
        keras.Model(x, layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="mask")(y))
    )


@pytest.mark.parametrize(
    ("precision", "target", "delegate"),
    [
        (Precision.INT8, Target.BOTH, Delegate.XNNPACK),
        (Precision.FLOAT16, Target.BOTH, Delegate.GPU),
        (Precision.FLOAT32, Target.BOTH, Delegate.XNNPACK),
        (Precision.FLOAT16, Target.CPU, Delegate.XNNPACK),
        (Precision.INT8, Target.GPU, Delegate.GPU),
        (Precision.INT16X8, Target.BOTH, Delegate.CPU),
        (Precision.INT16X8, Target.GPU, Delegate.CPU),
    ],
)
def test_whose_delegate_a_variant_is_for(
    precision: Precision, target: Target, delegate: Delegate
) -> None:
    assert delegate_of(precision, target) is delegate

"""What is made here never costs more on ARM than what plain TFLiteConverter makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import op_names
from portrait_tflite.convert.plan import RewriteRequest
from portrait_tflite.models.blocks import upsample
from portrait_tflite.quantize.int8.post_training import float_ops, require_ends
from portrait_tflite.vocabulary import IoType, ModelSpec, OutputSpec, RewriteMode

from . import arm_ratio as judge
from .arm_ratio import arm_ratio, int8_of

Build = Callable[..., Any]
SIDE = 16
SPEC = ModelSpec(SIDE, SIDE)
PICTURES = np.random.default_rng(1).uniform(0, 1, (4, SIDE, SIDE, 3)).astype(np.float32)


def _pre_activation(how: str) -> keras.Model:
    """A U-Net whose sums feed a skip and a stand-alone ReLU."""
    x = keras.Input((SIDE, SIDE, 3))
    skip = layers.Conv2D(8, 3, padding="same")(x)
    y = layers.Conv2D(16, 3, strides=2, padding="same")(layers.ReLU()(skip))
    y = layers.BatchNormalization()(y)
    y = upsample(layers.ReLU()(y), 8, how, "up")
    y = layers.ReLU()(layers.Add()([y, skip]))
    return keras.Model(x, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(y))


def _normalized() -> keras.Model:
    """Normalizations between ReLU and depthwise convolution, as many trained nets have them."""
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.ReLU()(layers.Conv2D(8, 3, padding="same")(x))
    for _ in range(3):
        y = layers.DepthwiseConv2D(3, padding="same")(layers.BatchNormalization()(y))
        y = layers.ReLU()(layers.Conv2D(8, 1)(y))
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


def _two_classes() -> keras.Model:
    """Transposed convolutions of stride 1, and a softmax of two."""
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    y = layers.Conv2DTranspose(8, 3, padding="same", activation="relu")(y)
    y = layers.Conv2DTranspose(8, 4, strides=2, padding="same", activation="relu")(y)
    return keras.Model(x, layers.Conv2D(2, 1, activation="softmax")(y))


def _exponential() -> keras.Model:
    """ELU, which XNNPACK looks up: by hand it would be four ops and dearer."""
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Activation("elu")(layers.Conv2D(24, 3, padding="same")(x))
    y = layers.Conv2D(24, 1, activation="elu")(layers.BatchNormalization()(y))
    return keras.Model(x, layers.Conv2D(1, 3, padding="same")(y))


def _scaled() -> keras.Model:
    """SELU, and normalizations of four channels that fold nowhere."""
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Conv2D(4, 3, padding="same", activation="selu")(x)
    y = layers.Concatenate()([y, layers.ReLU()(layers.BatchNormalization()(y))])
    return keras.Model(x, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(y))


def _larger(how: str = "") -> keras.Model:
    """The larger of two tensors, which no form inside of XNNPACK is as cheap as."""
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    y = layers.Maximum()([y, layers.Conv2D(8, 1)(y)])
    if how:
        y = upsample(layers.Conv2D(8, 3, strides=2, padding="same")(y), 8, how, "up")
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


def _gelus() -> keras.Model:
    """GELU, which costs a tenth more inside of XNNPACK than outside."""
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Conv2D(8, 1, activation="gelu")(x)
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


def _joined(how: str = "") -> keras.Model:
    """The picture beside features of another range, whose steps it is to keep."""
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    if how:
        y = upsample(layers.Conv2D(8, 3, strides=2, padding="same")(y), 8, how, "up")
    y = layers.Concatenate()([x, layers.Rescaling(9.0)(y)])
    return keras.Model(x, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(y))


def _one_channel() -> keras.Model:
    """A normalization of one channel before a TANH and a sum: one table of XNNPACK as it is."""
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Conv2D(1, 3, padding="same")(x)
    y = layers.Add()([y, layers.Activation("tanh")(layers.BatchNormalization()(y))])
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


def _clean() -> keras.Model:
    """Nothing to rewrite."""
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(y))


# The least ratio: below 1 never; above, what the forms gained by the table when this was written,
# less a tenth.
NETS: dict[str, tuple[Callable[[], keras.Model], float]] = {
    "transposed": (lambda: _pre_activation("transposed"), 1.6),
    "nearest": (lambda: _pre_activation("nearest_conv"), 1.8),
    "bilinear": (lambda: _pre_activation("resize_conv"), 1.1),
    "subpixel": (lambda: _pre_activation("subpixel"), 1.2),
    "normalized": (_normalized, 1.2),
    "two classes": (_two_classes, 2.5),
    "exponential": (_exponential, 1.1),
    "larger": (lambda: _larger("nearest_conv"), 1.4),
    "scaled": (_scaled, 1.3),
    "one channel": (_one_channel, 1.0),
    "clean": (_clean, 1.0),
}


@pytest.mark.parametrize("name", NETS)
def test_a_net_costs_no_more_than_plain_conversion(randomized: Build, name: str) -> None:
    build, floor = NETS[name]
    model = randomized(build())
    spec = ModelSpec(SIDE, SIDE, output=OutputSpec(channel=model.outputs[0].shape[-1] - 1))
    ours = int8_of(model, spec, PICTURES)
    assert arm_ratio(model, ours, PICTURES) >= floor
    audit = audit_model(ours).xnnpack
    assert (audit.partitions, audit.outside) == (1, ())
    require_ends(ours, IoType.INT8)
    assert float_ops(ours) == ()


@pytest.mark.parametrize(("build", "outside"), [(_larger, "MAXIMUM"), (_gelus, "GELU")])
def test_what_is_cheaper_outside_stays_there_where_nothing_else_is_gained(
    randomized: Build, build: Callable[[], keras.Model], outside: str
) -> None:
    model = randomized(build())
    ours = int8_of(model, SPEC, PICTURES)
    assert arm_ratio(model, ours, PICTURES) >= 1
    assert [op.op for op in audit_model(ours).xnnpack.outside] == [outside]


@pytest.mark.parametrize(
    ("how", "rescaled", "floor"), [("", 0, 1.0), ("nearest_conv", 1, 1.2)], ids=["alone", "gain"]
)
def test_a_joined_picture_keeps_its_steps_where_the_file_stays_below_plain_conversion(
    randomized: Build, how: str, rescaled: int, floor: float
) -> None:
    model = randomized(_joined(how))
    ours = int8_of(model, SPEC, PICTURES)
    assert arm_ratio(model, ours, PICTURES) >= floor
    assert op_names(read_model(ours)).count("QUANTIZE") == rescaled


def test_what_was_asked_for_stays_whatever_it_costs(randomized: Build) -> None:
    model = randomized(_one_channel())
    asked = RewriteRequest(mode=RewriteMode.EXACT)
    assert arm_ratio(model, int8_of(model, SPEC, PICTURES, asked), PICTURES) < 1


def test_a_dearer_file_is_found_out(randomized: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    model = randomized(_clean())
    ours = int8_of(model, SPEC, PICTURES)
    larger = randomized(_pre_activation("transposed"))
    assert arm_ratio(model, int8_of(larger, SPEC, PICTURES), PICTURES) < 1
    # An op without a price is no bargain.
    monkeypatch.setattr(judge, "CostTable", _Priceless)
    with pytest.raises(AssertionError):
        arm_ratio(model, ours, PICTURES)


class _Priceless:
    @staticmethod
    def load(target: str) -> CostTable:
        table = CostTable.load(target)
        kept = tuple(series for series in table.series if series.kind != "CONV_2D")
        return CostTable(table.target, "", {}, table.call, kept)
